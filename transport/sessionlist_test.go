package transport

import "testing"

type sessionPage struct {
	Data []struct {
		ID, Owner, State string
		Model            *string
		Metadata         map[string]any
	}
	More bool `json:"has_more"`
}

func TestAnAdminSeesTheSessionsOfAll(t *testing.T) {
	r := newRig(t)
	r.ask("POST", "/v1/sessions", `{"id":"mine","metadata":{"title":"Mine"}}`)
	r.ask("POST", "/v1/sessions", `{"id":"theirs"}`, "Authorization: Bearer "+otherToken)
	var page sessionPage
	r.ask("GET", "/v1/sessions?owner=*&limit=1", "", asAdmin).into(t, &page)
	if len(page.Data) != 1 || page.Data[0].ID != "theirs" || page.Data[0].Owner != "other" || !page.More {
		t.Fatalf("%+v", page)
	}
	r.ask("GET", "/v1/sessions?owner=*&after=theirs&after_owner=other", "", asAdmin).into(t, &page)
	if len(page.Data) != 1 || page.Data[0].ID != "mine" || page.Data[0].State != "idle" || page.Data[0].Metadata["title"] != "Mine" || page.More {
		t.Errorf("%+v", page)
	}
	r.ask("GET", "/v1/sessions?detail=true", "").into(t, &page)
	if len(page.Data) != 1 || page.Data[0].Owner != "default" {
		t.Errorf("%+v", page)
	}
	for path, status := range map[string]int{
		"/v1/sessions?owner=*":              404, // for who is no admin
		"/v1/sessions?detail=yes":           400,
		"/v1/sessions?detail=true&after=no": 404,
	} {
		if got := r.ask("GET", path, ""); got.StatusCode != status {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
	for path, status := range map[string]int{"/v1/sessions?owner=*&after=theirs": 400, "/v1/sessions/mine?owner=*": 400} {
		if got := r.ask("GET", path, "", asAdmin); got.StatusCode != status {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}
