package auth_test

import (
	"fmt"
	"os"

	"agentzero/auth"
)

// A gateway prints the pairing code, a device sends it, and the token it gets
// is good until somebody revokes it.
func Example() {
	dir, err := os.MkdirTemp("", "auth")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	keyring, err := auth.Open(auth.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	defer keyring.Close()

	code, _, _ := keyring.PairingCode()
	token, _, err := keyring.Pair(code, "phone")
	if err != nil {
		panic(err)
	}
	identity, ok := keyring.Verify([]byte(token))
	fmt.Println(ok, identity.Owner, identity.Scopes)

	keyring.OnRevoke(identity.TokenID, func() { fmt.Println("the stream ends") })
	if _, err := keyring.Revoke("phone"); err != nil {
		panic(err)
	}
	_, ok = keyring.Verify([]byte(token))
	fmt.Println(ok)
	// Output:
	// true default chat,webhook,admin
	// the stream ends
	// false
}
