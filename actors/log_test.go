package actors

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"agentzero/agent"
)

// deltas appends n deltas of a turn.
func deltas(l *Log, turn string, n int) {
	for range n {
		l.append(pending{kind: EventDelta, turn: turn, data: []byte(`"x"`)})
	}
}

func seqs(events []Event) []uint64 {
	list := make([]uint64, len(events))
	for i := range events {
		list[i] = events[i].Seq
	}
	return list
}

func TestACursorResumesAfterASequenceNumber(t *testing.T) {
	l := newLog(1 << 20)
	deltas(l, "t", 5)
	sub := l.subscribe(3, "")
	events, err := sub.Read(nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "events", seqs(events), []uint64{4, 5})
	if events, err = sub.Read(nil, 10); len(events) > 0 || err != nil {
		t.Errorf("read %v, %v again", events, err)
	}
	deltas(l, "t", 1)
	receive(t, sub.Wake(), "the next event")
	events, _ = sub.Read(nil, 10)
	equal(t, "events", seqs(events), []uint64{6})
}

func TestAReaderTakesNoMoreThanItAskedForAndIsWokenForTheRest(t *testing.T) {
	l := newLog(1 << 20)
	sub := l.subscribe(0, "")
	deltas(l, "t", 5)
	for _, want := range [][]uint64{{1, 2}, {3, 4}, {5}} {
		receive(t, sub.Wake(), "events that are there")
		events, err := sub.Read(nil, 2)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "events", seqs(events), want)
	}
}

func TestACursorThatFellOutOfTheWindowGetsAGap(t *testing.T) {
	l := newLog(10 * (eventOverhead + 3))
	slow, turn := l.subscribe(0, ""), l.subscribe(0, "u")
	deltas(l, "t", 1)
	if events, err := turn.Read(nil, 10); len(events) > 0 || err != nil {
		t.Fatalf("read %v, %v of another turn", events, err)
	}
	deltas(l, "t", 100)
	if _, err := slow.Read(nil, 10); !errors.Is(err, ErrGap) {
		t.Errorf("read: %v, want ErrGap", err)
	}
	if len(l.events) != 10 || l.bytes > l.limit {
		t.Errorf("%d events in %d bytes are kept", len(l.events), l.bytes)
	}
	if l.holds(90) || !l.holds(91) || !l.holds(101) || l.holds(102) {
		t.Error("the log holds the events after 91 to 101, and nothing else")
	}
	if _, err := turn.Read(nil, 10); err != nil {
		t.Errorf("a watcher of a turn that has not spoken: %v", err)
	}
}

func TestSlowReadersHoldNoMemoryAndDelayNobody(t *testing.T) {
	l := newLog(1000)
	for range 100 {
		l.subscribe(0, "") // never reads
	}
	fast := l.subscribe(0, "")
	for i := range 10_000 {
		deltas(l, "t", 1)
		events, err := fast.Read(nil, 10)
		if err != nil || len(events) != 1 || events[0].Seq != uint64(i+1) {
			t.Fatalf("event %d: %v, %v", i+1, events, err)
		}
	}
	if l.bytes > 1000+l.events[0].bytes() || cap(l.events) > 100 || cap(l.slab) > maxSlab {
		t.Errorf("the log keeps %d bytes, %d places, a slab of %d", l.bytes, cap(l.events), cap(l.slab))
	}
}

func TestAClosedLogIsReadToItsEnd(t *testing.T) {
	l := newLog(1 << 20)
	sub := l.subscribe(0, "")
	deltas(l, "t", 2)
	l.close()
	if events, err := sub.Read(nil, 10); len(events) != 2 || err != nil {
		t.Errorf("read %v, %v", events, err)
	}
	if _, err := sub.Read(nil, 10); !errors.Is(err, ErrLogClosed) {
		t.Errorf("read: %v, want ErrLogClosed", err)
	}
	sub.Close()
	sub.Close()
	if len(l.subs) != 0 {
		t.Error("the log keeps a subscription that was closed")
	}
}

func TestAWatcherFollowsAMergedTurn(t *testing.T) {
	l := newLog(1 << 20)
	sub := l.subscribe(0, "t")
	l.append(pending{kind: EventMerged, turn: "t"})
	if events, _ := sub.Read(nil, 10); len(events) != 1 {
		t.Fatalf("read %v", events)
	}
	sub.Follow("u")
	deltas(l, "t", 1)
	deltas(l, "u", 1)
	events, _ := sub.Read(nil, 10)
	equal(t, "events", seqs(events), []uint64{3})
}

func TestAnExtractIsATurnsEventsAlone(t *testing.T) {
	l := newLog(1 << 20)
	l.append(pending{kind: EventStarted, turn: "t"})
	deltas(l, "other", 2)
	deltas(l, "t", 1)
	l.append(pending{kind: EventCompleted, turn: "t", data: []byte("{}")})
	x := l.extract("t")
	for after, want := range map[uint64][]uint64{0: {1, 4, 5}, 1: {4, 5}, 3: {4, 5}, 4: {5}, 5: {}} {
		events, err := x.subscribe(after, "t").Read(nil, 10)
		if len(want) > 0 && err != nil {
			t.Errorf("after %d: %v", after, err)
		}
		equal(t, fmt.Sprint("after ", after), seqs(events), want)
	}
	small := newLog(1)
	small.append(pending{kind: EventStarted, turn: "t"})
	deltas(small, "t", 1)
	if small.extract("t") != nil {
		t.Error("an extract whose beginning is lost was made")
	}
}

func TestASessionIsResumedByEpochAndSequence(t *testing.T) {
	s := testSystem(t, Options{Agent: echo, LogWindow: 10_000})
	started := start(t, s, chat, watched("hi"))
	events := rest(t, started)
	epoch := started.Events.Epoch()
	sub := subscribe(t, s, chat, Subscribe{Epoch: epoch, After: events[0].Seq})
	equal(t, "after the first", story(until(t, sub, kind(EventCompleted))), story(events[1:]))
	for what, m := range map[string]Subscribe{
		"another epoch":       {Epoch: "another", After: 1},
		"ahead of the log":    {Epoch: epoch, After: 1000},
		"ahead, of any epoch": {After: 1000},
	} {
		_, err := s.Subscribe(chat, m)
		if refused(t, err, RefusedGap); err == nil {
			t.Error(what)
		}
	}
	for range 5 {
		rest(t, start(t, s, chat, watched(strings.Repeat("long ", 500))))
	}
	_, err := s.Subscribe(chat, Subscribe{Epoch: epoch, After: 0})
	refused(t, err, RefusedGap)
	_, err = s.Subscribe(Key{"ann", "nobody"}, Subscribe{Live: true})
	refused(t, err, RefusedNotFound)
	_, err = s.Subscribe(Key{"bob", "chat"}, Subscribe{Live: true})
	refused(t, err, RefusedNotFound)
}

func TestAWholeAnswerReachesItsCallerHoweverLargeItIs(t *testing.T) {
	large := []byte(`{"content":"` + strings.Repeat("x", 10_000) + `"}`)
	o := newObserver()
	s, a := scriptedSystem(t, Options{LogWindow: 1000, Observer: o})
	m := watched("hi")
	m.Whole = true
	started := start(t, s, chat, m)
	start(t, s, chat, message("and then"))
	a.next(t).end(agent.Result{Completion: large}, nil, strings.Repeat("x", 5000), strings.Repeat("x", 5000))
	a.next(t).finish(strings.Repeat("y", 5000))
	receive(t, o.ends, "the end of the turn")
	receive(t, o.ends, "the end of the next, and its answer has left the window")
	events := rest(t, started)
	if len(events) < 2 || string(events[len(events)-2].Data) != string(large) {
		t.Errorf("the caller read %d events", len(events))
	}
}

func TestAStreamedAnswerWithAHoleIsAGap(t *testing.T) {
	o := newObserver()
	s, a := scriptedSystem(t, Options{LogWindow: 1000, Observer: o})
	started := start(t, s, chat, watched("hi"))
	a.next(t).finish(strings.Repeat("x", 5000), strings.Repeat("x", 5000))
	receive(t, o.ends, "the end of the turn")
	if _, err := started.Events.Read(nil, 10); !errors.Is(err, ErrGap) {
		t.Errorf("read: %v, want ErrGap", err)
	}
}

func TestAnEventLargerThanTheWindowReachesWhoReadsAtOnce(t *testing.T) {
	s, a := scriptedSystem(t, Options{LogWindow: 1000})
	started := start(t, s, chat, watched("hi"))
	large := strings.Repeat("x", 50_000)
	c := a.next(t)
	until(t, started.Events, kind(EventStarted))
	c.finish(large, "after")
	if got := heard(t, rest(t, started)); got != large+"after" {
		t.Errorf("%d bytes were heard", len(got))
	}
}

func TestEndsThatAreReleasedOutOfOrderAreShownInOrder(t *testing.T) {
	l := newLog(1)
	end := func(turn string) pending {
		return pending{kind: EventCompleted, turn: turn, data: []byte(`{"turn_id":"` + turn + `"}`)}
	}
	all := l.follow("", false)
	whole := l.follow("b", true)
	first := l.hold(end("a"))
	second := l.hold(pending{kind: EventCompletion, turn: "b", data: []byte(`{"whole":1}`)}, end("b"))
	drainWake(all)
	failed := pending{kind: EventFailed, turn: "b", data: []byte(`{"failed":"because it could not be kept"}`)}
	l.release(second, &failed)
	if events, err := all.Read(nil, 10); len(events) > 0 || err != nil {
		t.Errorf("before the first is certain: %v, %v", story(events), err)
	}
	l.append(pending{kind: EventDelta, turn: "c", data: []byte(`"c":1`)}) // waits behind them
	l.release(first, nil)
	receive(t, all.Wake(), "what was released")
	l.append(pending{kind: EventDelta, turn: "c", data: []byte(strings.Repeat("c", 1000))}) // pushes out all before it
	events, err := whole.Read(nil, 10)
	equal(t, "of the whole answer", story(events), []string{"turn.completion", "turn.failed"})
	if err != nil || !bytes.Contains(events[1].Data, []byte("because")) {
		t.Errorf("%s, %v", events[1].Data, err)
	}
	sum := 0
	for i := range l.events {
		sum += l.events[i].bytes()
	}
	if sum != l.bytes {
		t.Errorf("the log counts %d bytes and holds %d", l.bytes, sum)
	}
}

func drainWake(s *Subscription) {
	select {
	case <-s.Wake():
	default:
	}
}

func TestAPassingLogKeepsWhatIsNotRead(t *testing.T) {
	l := newLog(1 << 20)
	l.passing = true
	fast, slow := l.subscribe(0, ""), l.subscribe(0, "")
	deltas(l, "t", 5)
	if events, _ := fast.Read(nil, 10); len(events) != 5 {
		t.Fatalf("read %v", seqs(events))
	}
	if len(l.events) != 5 {
		t.Errorf("%d events are kept for the slow reader, want 5", len(l.events))
	}
	events, err := slow.Read(nil, 3)
	equal(t, "the slow reader's", seqs(events), []uint64{1, 2, 3})
	if err != nil || len(l.events) != 2 {
		t.Errorf("%v; %d events are kept, want 2", err, len(l.events))
	}
	slow.Close()
	deltas(l, "t", 1)
	if events, _ = fast.Read(nil, 10); len(events) != 1 || events[0].Seq != 6 || len(l.events) != 0 || l.bytes != 0 {
		t.Errorf("read %v; %d events of %d bytes are kept", seqs(events), len(l.events), l.bytes)
	}
}

func TestAPassingLogHasAWindowToo(t *testing.T) {
	l := newLog(10 * (eventOverhead + 3))
	l.passing = true
	sub := l.subscribe(0, "")
	deltas(l, "t", 100)
	if len(l.events) != 10 {
		t.Errorf("%d events are kept, want 10", len(l.events))
	}
	if _, err := sub.Read(nil, 10); err != ErrGap {
		t.Errorf("a reader far behind is told %v", err)
	}
}

func TestAPushedWatcherIsCalledByWhoAppends(t *testing.T) {
	l := newLog(1 << 20)
	sub := l.subscribe(0, "")
	receive(t, sub.Wake(), "the first look")
	var got []uint64
	sub.Push(func() {
		events, err := sub.Read(nil, 10)
		if err != nil {
			t.Error(err)
		}
		got = append(got, seqs(events)...)
	})
	deltas(l, "t", 1)
	l.append(pending{kind: EventDelta, turn: "t"}, pending{kind: EventDelta, turn: "t"}, pending{kind: EventDelta, turn: "t"})
	equal(t, "read", got, []uint64{1, 2, 3, 4})
}
