package dashboard

import (
	"testing"

	"agentzero/test/gateway"
)

func TestACodePairsTheBrowser(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	b := open(t, g)
	b.refused()
	b.sees("Pairing code")
	b.write("#code", "0000-0000")
	b.click("button", "Pair this browser")
	b.sees("This is not the code", "[role=alert]")
	b.sees("Tries left: 4", "[role=alert]")
	b.eval("document.querySelector('#code').select()", nil)
	b.write("#code", g.Code(t))
	b.click("button", "Pair this browser")
	b.sees("Ask something")
	b.reload()
	b.sees("Ask something")

	b.click("button", "Sign out")
	b.sees("Pairing code")
	var token any
	if b.eval("localStorage.getItem('agentzero.token')", &token); token != nil {
		t.Errorf("after the sign-out the browser still has %v", token)
	}
	b.reload()
	b.write("#code", g.Code(t))
	b.click("button", "Pair this browser")
	b.sees("No code is open now", "[role=alert]")
	b.sees("agentzero token create", "details[open]")
}

func TestFiveWrongCodesLockThePairing(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	b := open(t, g)
	b.refused()
	for _, told := range []string{"Tries left: 4", "Tries left: 3", "Tries left: 2", "Tries left: 1", "it was the last try", "Too many wrong codes"} {
		b.wait("document.querySelector('#code')", "there is a field for the code")
		b.eval("document.querySelector('#code').select()", nil)
		b.write("#code", "1111-1111")
		b.click("button", "Pair this browser")
		b.sees(told, "[role=alert]")
	}
	b.sees("5 minutes", "[role=alert]")
}
