package transport

import (
	"encoding/json"
	"strings"
	"testing"

	"agentzero/actors"
	"agentzero/agent"
)

// All doors lead to one actor: its turns run one after another, and each knows
// what was said before it.
func TestEveryDoorReachesOneSession(t *testing.T) {
	r := newRig(t)
	ws := r.socket("?session=s")
	// The first turn runs while the others come, so that they wait.
	r.ask("POST", "/v1/sessions/s/messages", `{"content":"by the session"}`)
	turn := r.agent.next()
	chat := r.dial().post("/v1/chat/completions", `{"messages":[{"role":"user","content":"by chat completions"}]}`, "X-Session-Id: s")
	api := r.dial().post("/api/chat", `{"message":"by the API","session_id":"s"}`)
	ws.say("by WebSocket")
	hook := r.dial().post("/webhook", `{"message":"by the webhook","session_id":"s"}`, "Authorization: Bearer "+webhookToken)
	r.eventually("all wait", func() bool {
		d, err := r.system.Describe(actors.Key{Owner: "default", Name: "s"})
		return err == nil && len(d.Queue) == 4
	})
	said := map[string]bool{}
	for i := range 5 {
		select {
		case <-r.agent.calls:
			t.Fatal("two turns run at once")
		default:
		}
		said[turn.last()] = true
		if n := len(turn.request.Messages); n != 2*i+1 {
			t.Errorf("turn %d knows %d messages", i, n)
		}
		turn.says("Hi")
		turn.finish()
		if i < 4 {
			turn = r.agent.next()
		}
	}
	if len(said) != 5 {
		t.Errorf("the turns were of %v", said)
	}
	for _, c := range []*client{chat, api, hook} {
		if got := c.whole(); got.StatusCode != 200 || !strings.Contains(got.body, `"Hi"`) || got.Header.Get("X-Session-Id") != "s" {
			t.Errorf("%s %s", got.Status, got.body)
		}
	}
	for range 5 {
		if text, end := ws.answer(); text != "Hi" || end.Type != "done" {
			t.Errorf("the socket heard %q %+v", text, end)
		}
	}
}

func TestMessagesThatAreMergedShareTheAnswer(t *testing.T) {
	r := newRig(t)
	r.ask("POST", "/v1/sessions/s/messages", `{"content":"one"}`)
	first := r.agent.next()
	two := r.dial().post("/v1/chat/completions", helloStream, "X-Session-Id: s", "X-Busy-Policy: collect")
	r.eventually("it waits", func() bool {
		d, err := r.system.Describe(actors.Key{Owner: "default", Name: "s"})
		return err == nil && len(d.Queue) == 1
	})
	three := r.dial().post("/v1/sessions/s/messages", `{"content":"three","on_busy":"collect","stream":true}`)
	four := r.dial().post("/api/chat", `{"message":"four","session_id":"s","on_busy":"collect"}`)
	r.eventually("all are merged", func() bool { return r.system.Counts().Ended[actors.FateMerged] == 2 })
	first.finish()
	merged := r.agent.next()
	merged.says("Hi all")
	merged.finish()
	if rest := two.stream().rest(); len(rest) != 2 || rest[1].data != "[DONE]" {
		t.Errorf("%v", rest)
	}
	if e := three.stream().until("turn.completed"); e.data == "" {
		t.Errorf("%+v", e)
	}
	if got := four.whole(); !strings.Contains(got.body, "Hi all") {
		t.Errorf("%s", got.body)
	}
}

func TestEventsOfTurnsThatWereNotAnswered(t *testing.T) {
	r := newRig(t)
	type end struct {
		Turn   string `json:"turn_id"`
		Reason string
	}
	t.Run("because they failed", func(t *testing.T) {
		c := r.dial().post("/v1/sessions/s/messages", `{"content":"x","stream":true}`)
		turn := r.agent.next()
		turn.says("Hel")
		turn.fail(&agent.Error{Kind: agent.KindStatus, Status: 429, Message: "slow down"})
		failed := c.stream().until("turn.failed")
		if e := errorIn(t, failed.data); e.Code != CodeAgentFailed || e.Type != "rate_limit_error" {
			t.Errorf("%+v", failed)
		}
	})
	t.Run("because they were cancelled", func(t *testing.T) {
		c := r.dial().post("/v1/sessions/s/messages", `{"content":"x","stream":true}`)
		turn := r.agent.next()
		turn.says("Hel")
		r.ask("POST", "/v1/sessions/s/cancel", "")
		interrupted := c.stream().until("turn.interrupted")
		var data end
		if err := json.Unmarshal([]byte(interrupted.data), &data); err != nil || data.Reason != actors.ReasonCancelled || data.Turn == "" {
			t.Errorf("%v %+v", err, interrupted)
		}
		if e := errorIn(t, interrupted.data); e.Code != CodeInterrupted {
			t.Errorf("%+v", interrupted)
		}
	})
	t.Run("because their session was deleted", func(t *testing.T) {
		c := r.dial().post("/v1/chat/completions", hello, "X-Session-Id: s")
		turn := r.agent.next()
		if got := r.ask("DELETE", "/v1/sessions/s", ""); got.StatusCode != 200 {
			t.Errorf("%s", got.Status)
		}
		turn.mustBeCancelled()
		if got := c.whole(); got.StatusCode != 404 {
			t.Errorf("%s %s", got.Status, got.body)
		}
	})
}

// toolCalls is a delta that is no text, with a field that nobody here knows.
func toolCalls() agent.Delta {
	return agent.Delta{Chunk: []byte(`"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":null,"x":1}]`)}
}

func TestWhatIsNoTextPassesToo(t *testing.T) {
	r := newRig(t)
	t.Run("in chunks", func(t *testing.T) {
		c := r.dial().post("/v1/chat/completions", `{"stream":true,"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"}]}`, "X-Session-Id: s")
		turn := r.agent.next() // there is a session from then on
		events := r.dial().get("/v1/sessions/s/events?after=0")
		if !strings.Contains(string(turn.request.Params), `"tools":[{"type":"function"}]`) {
			t.Errorf("the model gets %s", turn.request.Params)
		}
		turn.emits(toolCalls())
		turn.finish()
		if e := c.stream().event(); !strings.Contains(e.data, `"tool_calls":[{"index":0,"id":"c1"`) || !strings.Contains(e.data, `"x":1`) {
			t.Errorf("%+v", e)
		}
		var data struct {
			Delta string
			Chunk map[string]any
		}
		if err := json.Unmarshal([]byte(events.stream().until("delta").data), &data); err != nil || data.Delta != "" || data.Chunk["choices"] == nil {
			t.Errorf("%v %+v", err, data)
		}
	})
	t.Run("as a whole", func(t *testing.T) {
		c := r.dial().post("/v1/chat/completions", hello)
		turn := r.agent.next()
		whole := finished
		whole.Completion = json.RawMessage(`{"id":"theirs","object":"chat.completion","created":7,"model":"theirs","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null,"x":1},"finish_reason":"stop"}],"system_fingerprint":"f"}`)
		turn.end <- outcome{result: whole}
		var got map[string]any
		c.whole().into(t, &got)
		if got["system_fingerprint"] != "f" || got["model"] != "theirs" || got["usage"] == nil || !strings.HasPrefix(got["id"].(string), "chatcmpl-") {
			t.Errorf("%v", got)
		}
	})
}

func TestTokensAreCountedOrGuessed(t *testing.T) {
	for usage, want := range map[string]int64{
		`{"total_tokens":5}`: 5, `{"prompt_tokens":3,"completion_tokens":4}`: 7, ``: 3, `{}`: 3, `"odd"`: 3,
	} {
		a := &answer{text: "12345678", end: actors.TurnEvent{Usage: json.RawMessage(usage)}}
		if got := a.tokens("123"); got != want {
			t.Errorf("%s: %d, want %d", usage, got, want)
		}
	}
}

func TestScopes(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	for _, test := range []struct {
		path, body string
		allowed    []string
	}{
		{"/v1/ping", `{}`, []string{chatToken, webhookToken, adminToken}},
		{"/v1/chat/completions", hello, []string{chatToken, adminToken}},
		{"/v1/sessions", `{}`, []string{chatToken, adminToken}},
		{"/webhook", `{"message":"x"}`, []string{webhookToken, adminToken}},
	} {
		for _, token := range []string{chatToken, webhookToken, adminToken} {
			want := strings.Contains(strings.Join(test.allowed, " "), token)
			got := r.ask("POST", test.path, test.body, "Authorization: Bearer "+token)
			if ok := got.StatusCode < 300; ok != want || !ok && got.StatusCode != 403 {
				t.Errorf("%s at %s: %s", token, test.path, got.Status)
			}
		}
	}
	for _, odd := range []string{"Bearer", "Bearer ", "Basic " + chatToken, chatToken} {
		if got := r.ask("POST", "/v1/ping", "", "Authorization: "+odd); got.StatusCode != 401 {
			t.Errorf("%q: %s", odd, got.Status)
		}
	}
	if got := r.ask("POST", "/v1/ping", "", "Authorization: bEaReR  "+chatToken); got.StatusCode != 200 {
		t.Errorf("%s", got.Status)
	}
}

func TestASessionTellsItsState(t *testing.T) {
	r := newRig(t)
	type state struct {
		State    string
		Turn     *string `json:"turn_id"`
		Queue    []string
		Metadata map[string]any
	}
	look := func() (s state) { r.ask("GET", "/v1/sessions/s", "").into(t, &s); return s }
	r.ask("POST", "/v1/sessions", `{"id":"s","metadata":{"a":1}}`)
	if s := look(); s.State != "idle" || s.Turn != nil || s.Metadata["a"] != 1.0 {
		t.Errorf("%+v", s)
	}
	var one, two struct {
		Turn string `json:"turn_id"`
	}
	r.ask("POST", "/v1/sessions/s/messages", `{"content":"x"}`).into(t, &one)
	turn := r.agent.next()
	r.ask("POST", "/v1/sessions/s/messages", `{"content":"y"}`).into(t, &two)
	if s := look(); s.State != "running" || *s.Turn != one.Turn || len(s.Queue) != 1 || s.Queue[0] != two.Turn {
		t.Errorf("%+v, turns %s %s", s, one.Turn, two.Turn)
	}
	var cancelled struct{ Cancelled []string }
	r.ask("POST", "/v1/sessions/s/cancel", `{"turn_id":"`+two.Turn+`"}`).into(t, &cancelled)
	if len(cancelled.Cancelled) != 1 || cancelled.Cancelled[0] != two.Turn {
		t.Errorf("%v", cancelled)
	}
	if got := r.ask("POST", "/v1/sessions/s/cancel", `{"turn_id":"none"}`); got.StatusCode != 404 {
		t.Errorf("%s", got.Status)
	}
	turn.finish()
}

func TestTypesOfAnUpstreamsStatuses(t *testing.T) {
	for status, want := range map[int]string{
		400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 408: "timeout_error",
		409: "conflict_error", 422: "invalid_request_error", 429: "rate_limit_error", 500: "api_error", 503: "overloaded_error", 504: "timeout_error", 529: "overloaded_error",
	} {
		if got := typeOf(status); got != want {
			t.Errorf("%d is %s, want %s", status, got, want)
		}
	}
}
