package transport

import (
	"slices"
	"testing"
)

const asAdmin = "Authorization: Bearer " + adminToken

func TestWhoAmI(t *testing.T) {
	r := newRig(t)
	var who struct {
		Token   string `json:"token_id"`
		Owner   string
		Scopes  []string
		Pairing bool `json:"pairing_required"`
		Version string
	}
	r.ask("GET", "/v1/whoami", "", asAdmin).into(t, &who)
	if who.Token != adminToken || who.Owner != "default" || !slices.Equal(who.Scopes, []string{"chat", "webhook", "admin"}) || !who.Pairing || who.Version != "test" {
		t.Errorf("%+v", who)
	}
	r.ask("GET", "/v1/whoami", "", "Authorization: Bearer "+otherToken).into(t, &who)
	if who.Owner != "other" || !slices.Equal(who.Scopes, []string{"chat"}) {
		t.Errorf("%+v", who)
	}
	if got := r.ask("GET", "/v1/whoami", "", "Authorization:"); got.StatusCode != 401 {
		t.Errorf("without a token: %s", got.Status)
	}
}

func TestTokensAreMadeListedAndRevoked(t *testing.T) {
	r := newRig(t)
	made := r.ask("POST", "/v1/tokens", `{"name":"ci","owner":"ops","scopes":["chat"]}`, asAdmin)
	var token tokenJSON
	made.into(t, &token)
	if made.StatusCode != 201 || made.Header.Get("Cache-Control") != "no-store" || token.Token == "" || token.Name != "ci" || token.Owner != "ops" || !slices.Equal(token.Scopes, []string{"chat"}) {
		t.Fatalf("%s: %s", made.Status, made.body)
	}
	bearer := "Authorization: Bearer " + token.Token
	if got := r.ask("GET", "/v1/sessions", "", bearer); got.StatusCode != 200 {
		t.Errorf("with the new token: %s", got.Status)
	}
	var list struct{ Data []map[string]any }
	r.ask("GET", "/v1/tokens", "", asAdmin).into(t, &list)
	i := slices.IndexFunc(list.Data, func(m map[string]any) bool { return m["id"] == token.ID })
	if i < 0 {
		t.Fatalf("it is not in the list: %v", list)
	}
	if _, told := list.Data[i]["token"]; told {
		t.Error("the list tells the secret")
	}
	if got := r.ask("DELETE", "/v1/tokens/"+token.ID, "", asAdmin); got.StatusCode != 200 {
		t.Errorf("revoke: %s %s", got.Status, got.body)
	}
	if got := r.ask("GET", "/v1/sessions", "", bearer); got.StatusCode != 403 {
		t.Errorf("with the revoked token: %s", got.Status)
	}
	if got := r.ask("DELETE", "/v1/tokens/"+token.ID, "", asAdmin); got.StatusCode != 404 {
		t.Errorf("revoke again: %s", got.Status)
	}
}

func TestTokensAreForAdmins(t *testing.T) {
	r := newRig(t)
	for _, request := range [][3]string{{"GET", "/v1/tokens", ""}, {"POST", "/v1/tokens", `{"name":"x"}`}, {"DELETE", "/v1/tokens/" + adminToken, ""}} {
		if got := r.ask(request[0], request[1], request[2]); got.StatusCode != 403 || got.failure(t).Code != CodeAuthFailed {
			t.Errorf("%s %s: %s", request[0], request[1], got.Status)
		}
	}
}

func TestATokenThatCannotBeMade(t *testing.T) {
	r := newRig(t)
	for body, param := range map[string]string{
		`{"name":"` + chatToken + `"}`:        "name",
		`{"name":7}`:                          "name",
		`{"name":"x","scopes":["root"]}`:      "scopes",
		`{"name":"x","scopes":"chat"}`:        "scopes",
		`{"name":"x","owner":[]}`:             "owner",
		`{"name":"x","expires":"2030-01-01"}`: "expires",
	} {
		got := r.ask("POST", "/v1/tokens", body, asAdmin)
		if got.StatusCode != 400 || got.failure(t).Param == nil || *got.failure(t).Param != param {
			t.Errorf("%s: %s %s", body, got.Status, got.body)
		}
	}
}
