package dashboard

import (
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"

	"agentzero/auth"
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

// A code takes ten minutes to expire, so the gateway's answer to one that has is
// put in place of what it would answer now.
func TestAnExpiredCodeShowsTheWay(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	b := open(t, g)
	b.refused()
	body := fmt.Sprintf(`{"error":{"message":%q,"type":"permission_error","code":"auth_failed","param":null}}`, (&auth.PairingError{Err: auth.ErrExpired}).Error())
	chromedp.ListenTarget(b.ctx, func(event any) {
		if e, ok := event.(*fetch.EventRequestPaused); ok {
			go chromedp.Run(b.ctx, fetch.FulfillRequest(e.RequestID, 403).WithBody(base64.StdEncoding.EncodeToString([]byte(body)))) // the tab's end is its end
		}
	})
	b.run("catch the pairing", fetch.Enable().WithPatterns([]*fetch.RequestPattern{{URLPattern: "*/pair"}}))
	b.write("#code", "0000-0000")
	b.click("button", "Pair this browser")
	b.sees("The code has expired", "[role=alert]")
	b.sees("--new-pairing", "details[open]")
	b.click("button", "Use a token instead")
	b.write("#token", g.Token(t))
	b.click("button", "Sign in")
	b.sees("Ask something")
}

func TestARevokedTokenSignsOut(t *testing.T) {
	g, next := counting(t, 4)
	b := signedIn(t, g)
	b.refused()
	b.say("Count")
	b.answer(next(2))
	b.eval("location.hash = '#/connect'", nil)
	b.sees("this browser", ".tokens")
	b.click(".tokens button", "Revoke")
	b.sees("Sign this browser out?")
	b.click(".tokens button", "Yes")
	b.sees("not good any more")
	b.sees("Pairing code")
}

func TestATokenThatIsRevokedElsewhereEndsTheChat(t *testing.T) {
	g, next := counting(t, 4)
	admin := signedIn(t, g)
	admin.eval("location.hash = '#/connect'", nil)
	admin.write("#name", "phone")
	admin.click("button", "Make")
	admin.sees("copy it now")
	token := admin.text(".secret code")

	phone := open(t, g)
	phone.refused()
	phone.click("button", "Use a token instead")
	phone.write("#token", token)
	phone.click("button", "Sign in")
	phone.say("Count")
	phone.answer(next(2))
	if menu := phone.text(".menu"); menu != "Chat\nConnect" && menu != "Chat\n\nConnect" {
		t.Errorf("who may only chat is offered %q", menu)
	}
	admin.click(".tokens button", "Revoke") // the newest stands first
	admin.click(".tokens button", "Yes")
	phone.sees("not good any more")
	admin.sees("Make a token")
}

func TestWhereNoPairingIsAskedForThePageIsOpen(t *testing.T) {
	g := gateway.Start(t, gateway.Options{Env: []string{"AGENTZERO_GATEWAY__REQUIRE_PAIRING=false"}})
	b := open(t, g)
	b.sees("Ask something")
	b.say("Repeat after me: hello")
	b.answer("hello")
}
