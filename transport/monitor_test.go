package transport

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"
)

// watchGateway opens the stream of samples as an admin.
func (r *rig) watchGateway(headers ...string) *sse {
	r.t.Helper()
	return r.dial().get("/v1/events", append(headers, asAdmin)...).stream()
}

func momentOf(t *testing.T, data string) (m moment) {
	t.Helper()
	if err := json.Unmarshal([]byte(data), &m); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return m
}

func TestSamplesTellWhatHappened(t *testing.T) {
	r := newRig(t)
	s := r.watchGateway()
	if e := s.event(); e.event != "history" {
		t.Fatalf("%+v", e)
	}
	c := r.dial().post("/v1/chat/completions", helloStream)
	turn := r.agent.next()
	turn.says("a", "b", "c")
	stream := c.stream()
	r.ask("GET", "/v1/sessions/none", "") // a not_found
	deltas, errors := uint64(0), uint64(0)
	running, spoke := false, false
	for end := time.Now().Add(patience); deltas < 3 || errors < 1 || !running || !spoke; {
		if time.Now().After(end) {
			t.Fatalf("deltas %d, errors %d, running %v, first delta %v", deltas, errors, running, spoke)
		}
		e := s.event()
		m := momentOf(t, e.data)
		if e.event != "sample" || e.id != strconv.FormatInt(m.At, 10) {
			t.Fatalf("%+v", e)
		}
		deltas += m.Deltas
		errors += m.Errors[CodeNotFound]
		running = running || m.Running == 1 && m.Streams >= 2
		spoke = spoke || m.FirstDelta50 != nil && *m.FirstDelta50 > 0 && m.FirstDelta99 != nil && m.Heap > 0
	}
	turn.finish()
	stream.rest()

	// Who comes now is told what was; who comes back, what is new.
	var history struct{ Samples []moment }
	again := r.watchGateway()
	e := again.event()
	if err := json.Unmarshal([]byte(e.data), &history); err != nil || len(history.Samples) == 0 {
		t.Fatalf("%v in %s", err, e.data)
	}
	e = r.watchGateway("Last-Event-ID: " + e.id).event()
	last := history.Samples[len(history.Samples)-1].At
	if err := json.Unmarshal([]byte(e.data), &history); err != nil {
		t.Fatal(err)
	}
	for _, m := range history.Samples {
		if m.At <= last {
			t.Errorf("the sample of %d was told twice", m.At)
		}
	}
}

func TestTheStreamOfSamplesEndsWithItsTokenAndItsClient(t *testing.T) {
	r := newRig(t)
	left := r.dial().get("/v1/events", asAdmin)
	left.stream().event()
	s := r.watchGateway()
	s.event()
	r.eventually("two watch", func() bool { return r.auth.watched(adminToken) == 2 })
	left.hangUp()
	r.eventually("one has left", func() bool { return r.auth.watched(adminToken) == 1 })
	r.auth.revoke(adminToken)
	rest := s.rest()
	if n := len(rest); n == 0 || rest[n-1].event != "error" || errorIn(t, rest[n-1].data).Code != CodeAuthFailed {
		t.Errorf("%v", rest)
	}
}

func TestTheStreamOfSamplesIsForFewAndForAdmins(t *testing.T) {
	r := newRig(t)
	if got := r.ask("GET", "/v1/events", ""); got.StatusCode != 403 {
		t.Errorf("without the scope: %s", got.Status)
	}
	if got := r.ask("GET", "/v1/events", "", asAdmin, "Last-Event-ID: x"); got.StatusCode != 400 {
		t.Errorf("with a bad id: %s", got.Status)
	}
	for range maxMonitorWatchers {
		if r.server.monitor.watch() == nil {
			t.Fatal("refused too early")
		}
	}
	if got := r.ask("GET", "/v1/events", "", asAdmin); got.StatusCode != 429 || got.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s", got.Status)
	}
}

func TestTheMonitorKeepsTheLastQuarterOfAnHour(t *testing.T) {
	m := &monitor{watchers: make(map[chan struct{}]struct{})}
	for at := int64(1); at <= monitorKept+50; at++ {
		m.keep(moment{At: at})
	}
	kept := m.since(0)
	if len(kept) != monitorKept || kept[0].At != 51 || kept[monitorKept-1].At != monitorKept+50 {
		t.Errorf("%d from %d to %d", len(kept), kept[0].At, kept[len(kept)-1].At)
	}
	if after := m.since(monitorKept + 48); len(after) != 2 {
		t.Errorf("%d are newer", len(after))
	}
}

func TestQuantilesOfTheTimeToTheFirstDelta(t *testing.T) {
	var f firstDeltas
	if c := f.counts(); c.quantile(.5) != nil {
		t.Error("nothing has a median")
	}
	for range 98 {
		f.add(100 * time.Millisecond)
	}
	f.add(3 * time.Second)
	f.add(3 * time.Second)
	f.add(0)
	f.add(time.Hour)
	c := f.counts()
	for q, want := range map[float64]float64{.5: .1, .985: 3} {
		if got := *c.quantile(q); got < want*.87 || got > want*1.13 {
			t.Errorf("the quantile %v is %v, want about %v", q, got, want)
		}
	}
	if before := c; before.minus(c) != (firstDeltaCounts{}) || c.minus(firstDeltaCounts{}).plus(firstDeltaCounts{}) != c {
		t.Error("differences are wrong")
	}
}
