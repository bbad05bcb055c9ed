package transport

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

// turnOf is the turn an event belongs to.
func turnOf(t testing.TB, e sseEvent) string {
	t.Helper()
	var data struct {
		Turn string `json:"turn_id"`
	}
	if err := json.Unmarshal([]byte(e.data), &data); err != nil {
		t.Fatalf("%v in %q", err, e.data)
	}
	return data.Turn
}

// told is one answered turn in a session, as its events.
func told(r *rig, session string, texts ...string) []sseEvent {
	r.t.Helper()
	c := r.dial().post("/v1/sessions/"+session+"/messages", `{"content":"x","stream":true}`)
	turn := r.agent.next()
	turn.says(texts...)
	turn.finish()
	events := c.stream().rest()
	c.hangUp()
	return events
}

func TestTheEventsOfATurn(t *testing.T) {
	r := newRig(t)
	events := told(r, "s", "Hel", "lo")
	turn := turnOf(t, events[0])
	epoch, _, _ := strings.Cut(events[0].id, "-")
	want := []sseEvent{
		{event: "turn.started", data: `{"turn_id":"TURN"}`},
		{event: "delta", data: `{"turn_id":"TURN","delta":"Hel"}`},
		{event: "delta", data: `{"turn_id":"TURN","delta":"lo"}`},
		{event: "turn.completed", data: `{"turn_id":"TURN","finish_reason":"stop","model":"m","usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`},
	}
	if len(events) != len(want) {
		t.Fatalf("%v", events)
	}
	for i, w := range want {
		w.id = epoch + "-" + strconv.Itoa(i+1)
		w.data = strings.Replace(w.data, "TURN", turn, 1)
		if events[i] != w {
			t.Errorf("event %d is\n%+v\nwant\n%+v", i, events[i], w)
		}
	}
}

func TestResumingLosesAndRepeatsNothing(t *testing.T) {
	r := newRig(t)
	all := append(told(r, "s", "a", "b", "c"), told(r, "s", "d")...)
	epoch, _, _ := strings.Cut(all[0].id, "-")
	for i := range len(all) + 1 {
		position := epoch + "-" + strconv.Itoa(i)
		for how, c := range map[string]*client{
			"Last-Event-ID": r.dial().get("/v1/sessions/s/events", "Last-Event-ID: "+position),
			"after":         r.dial().get("/v1/sessions/s/events?after=" + position),
			"a number":      r.dial().get("/v1/sessions/s/events?after=" + strconv.Itoa(i)),
		} {
			s := c.stream()
			if first := s.event(); first.id != position || first.data != "" {
				t.Errorf("%s %d: the stream begins with %+v", how, i, first)
			}
			for _, want := range all[i:] {
				if got := s.event(); got != want {
					t.Errorf("%s %d: %+v, want %+v", how, i, got, want)
				}
			}
			c.hangUp()
		}
	}
}

// An EventSource comes back to the address it began with.
func TestTheLastEventIDIsStrongerThanAfter(t *testing.T) {
	r := newRig(t)
	all := told(r, "s", "a", "b")
	s := r.dial().get("/v1/sessions/s/events?after=0", "Last-Event-ID: "+all[1].id).stream()
	s.event()
	if got := s.event(); got != all[2] {
		t.Errorf("%+v, want %+v", got, all[2])
	}
	for query, headers := range map[string][]string{"?after=x": {"Last-Event-ID: " + all[1].id}, "?after=0": {"Last-Event-ID: x"}} {
		if got := r.ask("GET", "/v1/sessions/s/events"+query, "", headers...); got.StatusCode != 400 {
			t.Errorf("%s, %s: %d", query, headers[0], got.StatusCode)
		}
	}
}

// A client whose connection breaks before the first event knows where it was.
func TestResumingBeforeAnythingWasSaid(t *testing.T) {
	r := newRig(t)
	r.ask("POST", "/v1/sessions", `{"id":"s"}`)
	c := r.dial().get("/v1/sessions/s/events")
	position := c.stream().event().id
	c.hangUp()
	want := told(r, "s", "a")
	s := r.dial().get("/v1/sessions/s/events", "Last-Event-ID: "+position).stream()
	s.event()
	for _, w := range want {
		if got := s.event(); got != w {
			t.Errorf("%+v, want %+v", got, w)
		}
	}
}

// A stream of OpenAI's form has the ids of the session's events.
func TestAChatCompletionIsResumedByItsIDs(t *testing.T) {
	r := newRig(t)
	c := r.dial().post("/v1/chat/completions", helloStream, "X-Session-Id: s")
	turn := r.agent.next()
	turn.says("Hel")
	seen := c.stream().event()
	c.hangUp()
	turn.says("lo")
	turn.finish()
	s := r.dial().get("/v1/sessions/s/events", "Last-Event-ID: "+seen.id).stream()
	s.event()
	if e := s.event(); e.event != "delta" || !strings.Contains(e.data, `"delta":"lo"`) {
		t.Errorf("%+v", e)
	}
	s.until("turn.completed")
}

func TestAPositionThatIsNotKept(t *testing.T) {
	r := newRig(t, func(s *settings) { s.actors.LogWindow = 2000 })
	old := told(r, "s", "a")[0].id
	for range 5 {
		told(r, "s", strings.Repeat("b", 400))
	}
	t.Run("is an event for an EventSource, and the live stream follows", func(t *testing.T) {
		c := r.dial().get("/v1/sessions/s/events", "Last-Event-ID: "+old)
		s := c.stream()
		s.event() // where it stands
		gap := s.event()
		var data struct{ Messages string }
		if err := json.Unmarshal([]byte(gap.data), &data); err != nil || gap.event != "gap" || data.Messages != "/v1/sessions/s/messages" {
			t.Fatalf("%v: %+v", err, gap)
		}
		if e := errorIn(t, gap.data); e.Code != CodeGap {
			t.Errorf("the code is %s", e.Code)
		}
		if got := r.ask("GET", data.Messages, ""); got.StatusCode != 200 {
			t.Errorf("the messages: %s", got.Status)
		}
		told(r, "s", "more")
		s.until("turn.completed")
		c.hangUp()
	})
	t.Run("is a status for others", func(t *testing.T) {
		if got := r.ask("GET", "/v1/sessions/s/events?after="+old, ""); got.StatusCode != 410 {
			t.Errorf("%s", got.Status)
		}
	})
	t.Run("and one of the future neither", func(t *testing.T) {
		if got := r.ask("GET", "/v1/sessions/s/events?after=999", ""); got.StatusCode != 410 {
			t.Errorf("%s", got.Status)
		}
	})
}
