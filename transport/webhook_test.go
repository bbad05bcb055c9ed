package transport

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"agentzero/actors"
	"agentzero/channels"
)

// withChannel gives a rig a channel.
func withChannel(s channels.Settings, change ...func(*actors.ChannelOptions)) func(*settings) {
	return func(rig *settings) {
		c, err := channels.New(s)
		if err != nil {
			panic(err)
		}
		o := actors.ChannelOptions{Channel: c, Backoff: time.Millisecond}
		for _, f := range change {
			f(&o)
		}
		rig.actors.Channels = append(rig.actors.Channels, o)
	}
}

var hooks = channels.Settings{Name: "hooks", Kind: channels.Generic}

// deliver posts to the channel hooks.
func deliver(r *rig, path, body string, headers ...string) (reply, deliveredJSON) {
	r.t.Helper()
	p := ask(r, "POST", "/v1/webhook/hooks"+path, body, headers...)
	var d deliveredJSON
	if p.StatusCode < 300 {
		p.into(r.t, &d)
	}
	return p, d
}

func TestADeliveryIsTakenAndAnswered(t *testing.T) {
	r := newRig(t, withChannel(hooks))
	r.agent.always("Hi")
	p, d := deliver(r, "", `{"message":"hello","session_id":"s"}`, "X-Delivery-Id: d1")
	if p.StatusCode != 200 || !d.Accepted || d.Channel != "hooks" || d.Detail != "queued" || d.Delivery != "d1" || d.State != "" {
		t.Errorf("got %d %+v", p.StatusCode, d)
	}
	p, d = deliver(r, "?wait=30s", `{"message":"hello","session_id":"s"}`, "X-Delivery-Id: d1")
	if p.StatusCode != 200 || !strings.HasPrefix(d.Detail, "duplicate") || d.State != "answered" || d.Answer != "Hi" || d.Session != "hooks:s" {
		t.Errorf("the same again: %d %+v", p.StatusCode, d)
	}
	if p, d = deliver(r, "?wait=30s", `{"message":"more","session_id":"s"}`, "Authorization: Bearer "+webhookToken); p.StatusCode != 200 || d.Answer != "Hi" || d.Detail != "answered" {
		t.Errorf("with a wait: %d %+v", p.StatusCode, d)
	}
	var one deliveryJSON
	ask(r, "GET", "/v1/webhook/hooks/deliveries/d1", "").into(t, &one)
	if one.State != "answered" || one.Text != "hello" || *one.Answer != "Hi" || one.Tries != 1 || one.Latency == nil || one.Turn == nil {
		t.Errorf("got %+v", one)
	}
}

func TestADeliveryThatTakesLongIs202(t *testing.T) {
	r := newRig(t, withChannel(hooks))
	p, d := deliver(r, "?wait=10ms", `{"message":"hello"}`)
	if p.StatusCode != http.StatusAccepted || d.Delivery == "" || d.State != "running" && d.State != "queued" {
		t.Errorf("got %d %+v", p.StatusCode, d)
	}
	endWith(r.agent.next(), "late")
	if p, d = deliver(r, "?wait=30s", `{"message":"hello"}`, "X-Delivery-Id: "+d.Delivery); d.Answer != "late" {
		t.Errorf("got %d %+v", p.StatusCode, d)
	}
}

func TestDeliveriesThatAreRefused(t *testing.T) {
	r := newRig(t, withChannel(hooks), withChannel(channels.Settings{Name: "signed", Kind: channels.StandardWebhook, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}))
	signed := func(path, now string) []string {
		return []string{"Authorization:", "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp: " + now, "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}
	}
	for name, c := range map[string]struct {
		path, body string
		headers    []string
		status     int
		code       Code
	}{
		"no channel":            {"none", `{}`, nil, 404, CodeNotFound},
		"no token":              {"hooks", `{}`, []string{"Authorization:"}, 401, CodeAuthRequired},
		"a wrong token":         {"hooks", `{}`, []string{"Authorization: Bearer nobody"}, 403, CodeAuthFailed},
		"a token for chats":     {"hooks", `{}`, []string{"Authorization: Bearer " + chatToken}, 403, CodeAuthFailed},
		"no JSON":               {"hooks", `hello`, nil, 400, CodeBadRequest},
		"no form":               {"hooks", `%zz`, []string{"Content-Type: application/x-www-form-urlencoded"}, 400, CodeBadRequest},
		"a wait that is none":   {"hooks?wait=soon", `{"message":"x"}`, nil, 400, CodeBadRequest},
		"no signature":          {"signed", `{}`, []string{"Authorization:"}, 401, CodeBadSignature},
		"a signature too old":   {"signed", `{"test": 2432232314}`, signed("", "1614265330"), 401, CodeBadSignature},
		"a signature of others": {"signed", `{"test": 2432232314}`, signed("", time.Now().Format("20060102")), 401, CodeBadSignature},
		"a token for deliveries in the place of a signature": {"signed", `hello`, []string{"Authorization: Bearer " + webhookToken}, 400, CodeBadRequest},
		"too large, signed or not":                           {"signed", strings.Repeat(" ", signedBody+1), []string{"Authorization:"}, 413, CodeTooLarge},
	} {
		p := ask(r, "POST", "/v1/webhook/"+c.path, c.body, c.headers...)
		if p.StatusCode != c.status || p.failure(t).Code != c.code {
			t.Errorf("%s: %d %s", name, p.StatusCode, p.body)
		}
	}
	for _, path := range []string{"/v1/webhook/hooks/deliveries", "/v1/webhook/hooks/deliveries/x", "/v1/channels"} {
		for token, status := range map[string]int{webhookToken: 403, chatToken: 403} {
			if p := ask(r, "GET", path, "", "Authorization: Bearer "+token); p.StatusCode != status {
				t.Errorf("%s with %s: %d", path, token, p.StatusCode)
			}
		}
	}
	r.eventually("unsigned deliveries are counted", func() bool {
		return strings.Contains(ask(r, "GET", "/metrics", "").body, `agentzero_channel_requests_total{channel="signed",outcome="unsigned"} 3`)
	})
}

func TestGuessesAtSignaturesAreLimitedAndDeliveriesAreNot(t *testing.T) {
	c := channels.Settings{Name: "hooks", Kind: channels.GitHub, Secret: "x"}
	r := newRig(t, withChannel(c), func(s *settings) { s.Live.RateLimit, s.Live.RateWindow = 2, time.Hour })
	signer, _ := channels.New(c)
	for i := range 5 {
		h, _ := signer.Sign([]byte(`{}`), "d"+string(rune('0'+i)), time.Now())
		headers := []string{"Authorization:"}
		for name := range h {
			headers = append(headers, name+": "+h.Get(name))
		}
		if p := ask(r, "POST", "/v1/webhook/hooks", `{}`, headers...); p.StatusCode != 200 {
			t.Fatalf("%d: %d %s", i, p.StatusCode, p.body)
		}
	}
	for _, want := range []int{401, 401, 429} {
		if p := ask(r, "POST", "/v1/webhook/hooks", `{}`, "Authorization:"); p.StatusCode != want {
			t.Errorf("got %d, want %d", p.StatusCode, want)
		}
	}
}

func TestAFullChannelSaysWhenToComeAgain(t *testing.T) {
	r := newRig(t, withChannel(hooks, func(o *actors.ChannelOptions) { o.QueueLimit = 1 }))
	deliver(r, "", `{"message":"one"}`)
	p, _ := deliver(r, "", `{"message":"two"}`)
	if p.StatusCode != 429 || p.failure(t).Code != "queue_full" || p.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %s", p.StatusCode, p.body)
	}
	endWith(r.agent.next(), "x")
}

func TestWhatIsIgnoredSaysWhy(t *testing.T) {
	r := newRig(t, withChannel(channels.Settings{Name: "hooks", Kind: channels.Slack, Secret: "x"}))
	p, d := deliver(r, "?wait=30s", `{"type":"event_callback","event_id":"E1","event":{"type":"message","channel_type":"im","bot_id":"B","text":"x","channel":"D","ts":"1"}}`)
	if p.StatusCode != 200 || d.Detail != "ignored: a bot has sent it" || d.Delivery != "E1" {
		t.Errorf("got %d %+v", p.StatusCode, d)
	}
	p, _ = deliver(r, "", `{"type":"url_verification","challenge":"c"}`)
	if p.StatusCode != 200 || strings.TrimSpace(p.body) != `{"challenge":"c"}` {
		t.Errorf("got %d %s", p.StatusCode, p.body)
	}
}

func TestDeliveriesAreListedAndReplayed(t *testing.T) {
	r := newRig(t, withChannel(hooks, func(o *actors.ChannelOptions) { o.MaxTries = 1 }))
	for _, id := range []string{"d1", "d2", "d/3"} {
		deliver(r, "", `{"message":"`+strings.Repeat("ä", 150)+`"}`, "X-Delivery-Id: "+id)
		r.agent.next().fail(errors.New("broken"))
	}
	list := func(query string) (page struct {
		Data []deliveryJSON `json:"data"`
		Last *string        `json:"last_id"`
		More bool           `json:"has_more"`
	}) {
		ask(r, "GET", "/v1/webhook/hooks/deliveries"+query, "").into(t, &page)
		return page
	}
	r.eventually("all have failed", func() bool { return len(list("?state=failed,dead").Data) == 3 })
	page := list("?limit=2")
	if len(page.Data) != 2 || !page.More || page.Data[0].ID != "d/3" || len(page.Data[0].Text) != 200 || page.Data[0].Reason == nil {
		t.Fatalf("got %+v", page)
	}
	if page = list("?limit=2&after=" + url.QueryEscape(*page.Last)); len(page.Data) != 1 || page.More || page.Data[0].ID != "d1" {
		t.Errorf("got %+v", page)
	}
	for _, query := range []string{"?limit=0", "?limit=x", "?state=lost"} {
		if p := ask(r, "GET", "/v1/webhook/hooks/deliveries"+query, ""); p.StatusCode != 400 {
			t.Errorf("%s: %d", query, p.StatusCode)
		}
	}
	if p := ask(r, "GET", "/v1/webhook/hooks/deliveries?after=none", ""); p.StatusCode != 404 {
		t.Errorf("after nobody: %d", p.StatusCode)
	}

	if p := ask(r, "POST", "/v1/webhook/hooks/deliveries/d%2F3/replay", ""); p.StatusCode != 200 {
		t.Errorf("got %d %s", p.StatusCode, p.body)
	}
	if p := ask(r, "POST", "/v1/webhook/hooks/deliveries/d%2F3/replay", ""); p.StatusCode != 409 {
		t.Errorf("again: %d %s", p.StatusCode, p.body)
	}
	endWith(r.agent.next(), "fine")
	var result struct{ Replayed []string }
	ask(r, "POST", "/v1/webhook/hooks/replay", `{"state":"failed,dead"}`).into(t, &result)
	if strings.Join(result.Replayed, " ") != "d1 d2" {
		t.Errorf("got %+v", result)
	}
	endWith(r.agent.next(), "fine")
	endWith(r.agent.next(), "fine")
	r.eventually("all are answered", func() bool { return len(list("?state=answered").Data) == 3 })
	for _, body := range []string{`{}`, `{"ids":["d1"],"state":"dead"}`, `{"state":"lost"}`, `{"ids":"d1"}`} {
		if p := ask(r, "POST", "/v1/webhook/hooks/replay", body); p.StatusCode != 400 {
			t.Errorf("%s: %d", body, p.StatusCode)
		}
	}
	var all struct{ Data []channelJSON }
	ask(r, "GET", "/v1/channels", "").into(t, &all)
	if len(all.Data) != 1 || all.Data[0].ID != "hooks" || all.Data[0].Kind != "generic" || all.Data[0].Deliveries["answered"] != 3 {
		t.Errorf("got %+v", all)
	}
}

func endWith(c *call, text string) {
	c.says(text)
	c.finish()
}

// ask asks as an admin, unless the headers say otherwise.
func ask(r *rig, method, path, body string, headers ...string) reply {
	r.t.Helper()
	for _, h := range headers {
		if strings.HasPrefix(h, "Authorization:") {
			return r.ask(method, path, body, headers...)
		}
	}
	return r.ask(method, path, body, append(headers, "Authorization: Bearer "+adminToken)...)
}
