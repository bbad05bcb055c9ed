package actors

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"agentzero/agent"
	"agentzero/store"
	"agentzero/store/sqlite"
)

// spy is a journal that tells what it has written.
type spy struct {
	store.Journal
	wrote chan string
}

func (j *spy) Append(id store.ID, epoch uint64, b store.Batch, done func(error)) {
	j.Journal.Append(id, epoch, b, func(err error) {
		for _, e := range b.Events {
			select {
			case j.wrote <- e.Kind:
			default:
			}
		}
		done(err)
	})
}

// until waits until an event of a kind was written.
func (j *spy) until(t testing.TB, kind string) {
	t.Helper()
	for receive(t, j.wrote, kind) != kind {
	}
}

// disk is a folder with a journal, as it survives a process.
type disk struct {
	t    testing.TB
	path string
}

func newDisk(t testing.TB) *disk { return &disk{t, filepath.Join(t.TempDir(), "j.db")} }

func (d *disk) open() *spy {
	d.t.Helper()
	j, err := sqlite.Open(sqlite.Options{Path: d.path})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { j.Close() })
	return &spy{j, make(chan string, 4096)}
}

// crash is the disk as the process leaves it that dies now: its files as they
// are, without anything being closed.
func (d *disk) crash() *disk {
	d.t.Helper()
	after := newDisk(d.t)
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(d.path + suffix)
		if err != nil {
			d.t.Fatal(err)
		}
		if err := os.WriteFile(after.path+suffix, data, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	return after
}

// process starts a system on a disk, which resumes what it finds.
func (d *disk) process(o Options) (*System, *scripted, *spy) {
	d.t.Helper()
	j := d.open()
	o.Journal, o.Resumes = j, true
	if o.SaveEvery == 0 {
		o.SaveEvery = time.Millisecond
	}
	s, a := scriptedSystem(d.t, o)
	if _, err := s.Resume(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	return s, a, j
}

// stop ends a process in good order.
func stop(t testing.TB, s *System, j *spy) {
	t.Helper()
	s.Shutdown(t.Context())
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// heard joins the texts of the deltas among events.
func heard(t testing.TB, events []Event) string {
	t.Helper()
	var b strings.Builder
	for i := range events {
		if content := events[i].Content(); content != nil {
			var text string
			if err := json.Unmarshal(content, &text); err != nil {
				t.Fatal(err)
			}
			b.WriteString(text)
		}
	}
	return b.String()
}

func TestASessionSurvivesARestart(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{})
	if _, err := s.Create(chat, []byte(`{"topic":"tea"}`)); err != nil {
		t.Fatal(err)
	}
	m := watched("one")
	m.Input = append([]agent.Message{{Role: "system", Text: "be kind"}}, m.Input...)
	first := start(t, s, chat, m)
	a.next(t).end(agent.Result{FinishReason: "stop", Usage: []byte(`{"prompt_tokens":5,"completion_tokens":7}`)}, nil, "1")
	rest(t, first)
	epoch := first.Events.Epoch()
	stop(t, s, j)

	s, a, _ = d.process(Options{})
	described, err := s.Describe(chat)
	if err != nil || string(described.Metadata) != `{"topic":"tea"}` || described.Turns != 1 || described.Messages != 2 ||
		described.PromptTokens != 5 || described.Epoch != epoch {
		t.Errorf("%+v, %v", described, err)
	}
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: 1"})
	second := start(t, s, chat, watched("two"))
	c := a.next(t)
	equal(t, "what the model sees", texts(c.request.Messages), []string{"system: be kind", "user: one", "assistant: 1", "user: two"})
	c.finish("2")
	rest(t, second)
}

func TestAWatcherResumesOverARestart(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{})
	sub := subscribe(t, s, chat, Subscribe{Live: true, Create: true})
	start(t, s, chat, message("one"))
	c := a.next(t)
	c.say("a", "b", "c")
	before := until(t, sub, func(e *Event) bool { return string(e.Content()) == `"b"` })
	at := before[len(before)-1].Seq
	epoch := sub.Epoch()
	sub.Close()
	c.say("d")
	c.finish("e")
	j.until(t, journalEnded)
	stop(t, s, j)

	s, _, _ = d.process(Options{})
	again := subscribe(t, s, chat, Subscribe{Epoch: epoch, After: at})
	events := until(t, again, func(e *Event) bool { return e.Kind.Ends() })
	equal(t, "events", story(events), []string{`"c"`, `"d"`, `"e"`, "turn.completed"})
	for i := range events {
		want := string(deltaOf(string(rune('c' + i))).Chunk)
		if events[i].Kind == EventDelta && string(events[i].Data) != want {
			t.Errorf("the chunk is %s, want %s", events[i].Data, want)
		}
	}
	// What comes now has numbers that were never used.
	last := events[len(events)-1].Seq
	one := start(t, s, chat, message("two"))
	if one.After <= last {
		t.Errorf("numbers go on at %d, after %d", one.After, last)
	}
}

func TestACrashInTheMiddleOfATurnLeavesWhatWasSaid(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{})
	sub := subscribe(t, s, chat, Subscribe{Live: true, Create: true})
	running := start(t, s, chat, message("one"))
	waiting := start(t, s, chat, message("two"))
	c := a.next(t)
	c.say("half", " an")
	before := until(t, sub, func(e *Event) bool { return string(e.Content()) == `"half"` })
	j.until(t, journalSaid)
	after := d.crash()

	s, a, _ = after.process(Options{})
	again := subscribe(t, s, chat, Subscribe{Epoch: sub.Epoch(), After: before[len(before)-1].Seq})
	events := until(t, again, func(e *Event) bool { return e.Turn == running.Turn && e.Kind.Ends() })
	if e := tellingOf(t, events); heard(t, events) != " an" || events[len(events)-1].Kind != EventInterrupted || e.Reason != ReasonCrashed {
		t.Errorf("%v, %+v", story(events), e)
	}
	next := a.next(t)
	equal(t, "what the waiting turn sees", texts(next.request.Messages), []string{"user: one", "assistant: half an", "user: two"})
	next.finish("2")
	until(t, again, endOf(waiting.Turn))
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: half an (interrupted)", "user: two", "assistant: 2"})
}

// What was said after the last checkpoint is lost with the process, but a client
// that has read it goes on behind it.
func TestAWatcherThatHasReadMoreThanWasKeptMissesNothingOfWhatFollows(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{SaveEvery: time.Hour})
	sub := subscribe(t, s, chat, Subscribe{Live: true, Create: true})
	start(t, s, chat, message("one"))
	c := a.next(t)
	j.until(t, journalStarted)
	after := d.crash()
	c.say("lost")
	read := until(t, sub, kind(EventDelta))

	s, a, _ = after.process(Options{})
	again := subscribe(t, s, chat, Subscribe{Epoch: sub.Epoch(), After: read[len(read)-1].Seq})
	events := until(t, again, func(e *Event) bool { return e.Kind.Ends() })
	equal(t, "events", story(events), []string{"turn.interrupted"})
	start(t, s, chat, message("two"))
	a.next(t).finish("2")
	equal(t, "events", story(until(t, again, func(e *Event) bool { return e.Kind.Ends() })), []string{"turn.started", `"2"`, "turn.completed"})
}

func TestATurnThatWaitsForNobodyIsCancelledAfterACrashAndItsGrace(t *testing.T) {
	d := newDisk(t)
	s, a, _ := d.process(Options{})
	start(t, s, chat, message("one"))
	a.next(t)
	start(t, s, chat, leaving("two", Disconnect{}))
	after := d.crash()

	s, a, _ = after.process(Options{})
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one"})
	a.idle(t)
}

func TestWhatWaitsAtAShutdownRunsAfterTheRestart(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{})
	running := start(t, s, chat, watched("one"))
	waiting := start(t, s, chat, message("two"))
	a.next(t).say("half")
	until(t, running.Events, kind(EventDelta))
	s.Shutdown(ended())
	atRest(t, s)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if e := outcome(t, running); e.Reason != ReasonShutdown {
		t.Errorf("the running turn ended with %+v", e)
	}

	s, a, _ = d.process(Options{})
	sub := subscribe(t, s, chat, Subscribe{Live: true})
	c := a.next(t)
	equal(t, "what the waiting turn sees", texts(c.request.Messages), []string{"user: one", "assistant: half", "user: two"})
	c.finish("2")
	until(t, sub, endOf(waiting.Turn))
}

func TestIdempotencySurvivesARestart(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{})
	first := startOnce(t, s, chat, watched("one"), once("k", "one"))
	a.next(t).finish("1", "!")
	told := rest(t, first)
	failed := startOnce(t, s, chat, watched("two"), once("failing", "two"))
	a.next(t).end(agent.Result{}, &agent.Error{Kind: agent.KindConnect, Message: "refused"})
	rest(t, failed)
	stop(t, s, j)

	s, a, _ = d.process(Options{})
	again := startOnce(t, s, chat, watched("one"), once("k", "one"))
	if !again.Replayed || again.Turn != first.Turn {
		t.Errorf("%+v", again)
	}
	got := rest(t, again)
	equal(t, "events", story(got), story(told))
	if string(got[len(got)-1].Data) != string(told[len(told)-1].Data) {
		t.Errorf("the end is %s, was %s", got[len(got)-1].Data, told[len(told)-1].Data)
	}
	a.idle(t)
	_, err := s.Start(chat, message("other"), once("k", "other"))
	refused(t, err, RefusedConflict)
	retried := startOnce(t, s, chat, watched("two"), once("failing", "two"))
	if retried.Replayed {
		t.Error("a failed turn is replayed")
	}
	a.next(t).finish("2")
	rest(t, retried)
}

func TestARetryAfterACrashAttachesToTheTurnThatStillWaits(t *testing.T) {
	d := newDisk(t)
	s, a, _ := d.process(Options{})
	start(t, s, chat, message("one"))
	a.next(t)
	waiting := startOnce(t, s, chat, message("two"), once("k", "two"))
	after := d.crash()

	s, a, _ = after.process(Options{})
	c := a.next(t)
	again := startOnce(t, s, chat, watched("two"), once("k", "two"))
	if !again.Replayed || again.Turn != waiting.Turn {
		t.Errorf("%+v", again)
	}
	c.finish("2")
	if got := rest(t, again); heard(t, got) != "2" {
		t.Errorf("%v", story(got))
	}
	a.idle(t)
}

func TestACollectedMessageIsFoundAgainInTheTurnThatTookIt(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{})
	start(t, s, chat, message("one"))
	c := a.next(t)
	into := start(t, s, chat, with(message("two"), BusyCollect))
	merged := startOnce(t, s, chat, with(watched("three"), BusyCollect), once("k", "three"))
	c.finish("1")
	a.next(t).finish("2 and 3")
	until(t, merged.Events, endOf(into.Turn))
	stop(t, s, j)

	s, _, _ = d.process(Options{})
	again := startOnce(t, s, chat, with(watched("three"), BusyCollect), once("k", "three"))
	if !again.Replayed || again.Turn != merged.Turn || again.Follow != into.Turn {
		t.Errorf("%+v", again)
	}
	if got := until(t, again.Events, endOf(into.Turn)); heard(t, got) != "2 and 3" {
		t.Errorf("%v", story(got))
	}
	equal(t, "conversation", conversation(t, s, chat),
		[]string{"user: one", "assistant: 1", "user: two", "user: three", "assistant: 2 and 3"})
}

func TestALongAnswerIsKeptThoughTheLogForgetsIt(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{LogWindow: 4096, SaveEvery: time.Hour})
	first := start(t, s, chat, message("one"))
	c := a.next(t)
	word := strings.Repeat("w", 400)
	for range 50 {
		c.say(word, word)
	}
	c.finish(word)
	for ended := 0; ended < 1; {
		if receive(t, j.wrote, journalEnded) == journalEnded {
			ended++
		}
	}
	want := []string{"user: one", "assistant: " + strings.Repeat(word, 101)}
	equal(t, "conversation", conversation(t, s, chat), want)
	stop(t, s, j)
	s, _, _ = d.process(Options{LogWindow: 4096})
	equal(t, "conversation after the restart", conversation(t, s, chat), want)
	_, err := s.Subscribe(chat, Subscribe{After: first.After})
	refused(t, err, RefusedGap)
}

func TestARevivalReadsOnlyWhatItNeeds(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{})
	long := strings.Repeat("a", maxConversation/8)
	for range 12 {
		started := start(t, s, chat, watched(long))
		a.next(t).finish("ok")
		rest(t, started)
	}
	stop(t, s, j)
	s, a, j2 := d.process(Options{})
	reads := 0
	s.options.Journal = &countingReads{j2, &reads}
	described, err := s.Describe(chat)
	if err != nil || described.Turns != 12 || described.Messages != 24 {
		t.Errorf("%+v, %v", described, err)
	}
	if reads > 9*3 {
		t.Errorf("%d events were read", reads)
	}
	// The whole conversation is still there to be read.
	if c := conversation(t, s, chat); len(c) != 24 {
		t.Errorf("%d messages", len(c))
	}
	start(t, s, chat, message("go on"))
	if got := a.next(t).request.Messages; len(got) > 17 {
		t.Errorf("the model sees %d messages", len(got))
	}
}

type countingReads struct {
	store.Journal
	events *int
}

func (j *countingReads) Read(ctx context.Context, id store.ID, after uint64, max int) ([]store.Event, error) {
	events, err := j.Journal.Read(ctx, id, after, max)
	*j.events += len(events)
	return events, err
}

func TestTheModelIsGivenTheNewestTurnsThatFit(t *testing.T) {
	s, a := scriptedSystem(t, Options{Live: Live{SystemPrompt: "be brief", ContextMessages: 5}})
	for _, word := range []string{"one", "two", "three"} {
		started := start(t, s, chat, watched(word))
		a.next(t).finish("re " + word)
		rest(t, started)
	}
	fourth := start(t, s, chat, watched("four"))
	c := a.next(t)
	equal(t, "what the model sees", texts(c.request.Messages),
		[]string{"system: be brief", "user: two", "assistant: re two", "user: three", "assistant: re three", "user: four"})
	c.finish()
	var begun TurnEvent
	for _, e := range rest(t, fourth) {
		if e.Kind == EventStarted {
			begun = tellingOf(t, []Event{e})
		}
	}
	if begun.LeftOut != 2 {
		t.Errorf("%+v, want 2 messages left out", begun)
	}
	s.Reload(Live{ContextTokens: 9})
	start(t, s, chat, watched("five"))
	equal(t, "by tokens", texts(a.next(t).request.Messages), []string{"user: five"})
}

func TestSweepingRemovesWhatNeedNotBeKept(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	name := func(n string) Key { return Key{"ann", n} }
	for _, n := range []string{"first", "second", "third"} {
		started := start(t, s, name(n), watched("hi"))
		a.next(t).finish("1")
		rest(t, started)
	}
	watcher := subscribe(t, s, name("first"), Subscribe{Live: true})
	s.Reload(Live{Retention: store.Retention{MaxSessions: 1}})
	if n, err := s.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	listed := func() (names []string) {
		list, err := s.List(t.Context(), "ann", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range list {
			names = append(names, l.Name)
		}
		slices.Sort(names)
		return names
	}
	equal(t, "left", listed(), []string{"first", "third"}) // the first is watched
	watcher.Close()
	if n, err := s.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	equal(t, "left", listed(), []string{"third"})
}
