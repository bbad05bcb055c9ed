package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"agentzero/agent"
	"agentzero/store"
	"agentzero/store/sqlite"
)

func TestALongPartialAnswerSurvivesACrash(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{})
	start(t, s, chat, message("one"))
	long := strings.Repeat("long ", 10_000)
	c := a.next(t)
	c.say(long)
	j.until(t, journalSaid)
	c.say("ago")
	j.until(t, journalSaid)
	after := d.crash()
	s, _, _ = after.process(Options{})
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: " + long + "ago (interrupted)"})
}

// What is left to the next process must be found by it, also where the turn that
// ran leaves nothing behind.
func TestWhatWaitsBehindATurnThatLeavesNothingRunsAfterTheRestart(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{CancelTimeout: time.Minute})
	start(t, s, chat, message("one"))
	c := a.next(t)
	c.stay()
	start(t, s, chat, message("two"))
	e := s.registry.lease(chat)
	s.registry.unlease(e)
	s.Drain()
	s.tell(e.pid, &cutOff{ReasonShutdown})
	if _, err := s.Describe(chat); err != nil { // it has heard of it
		t.Fatal(err)
	}
	c.end(agent.Result{}, &agent.Error{Kind: agent.KindConnect, Message: "refused"})
	j.until(t, journalEnded)
	stop(t, s, j)

	_, a, _ = d.process(Options{})
	if c := a.next(t); last(c.request) != "two" {
		t.Errorf("the agent is asked %v", texts(c.request.Messages))
	}
}

func TestAProcessThatShutsDownLeavesAloneWhatItRevives(t *testing.T) {
	d := newDisk(t)
	s, a, _ := d.process(Options{})
	start(t, s, chat, message("one"))
	a.next(t)
	start(t, s, chat, message("two"))
	after := d.crash()

	j := after.open()
	s, a = scriptedSystem(t, Options{Journal: j, Resumes: true})
	s.Drain()
	if _, err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop(t, s, j)
	a.idle(t)
	_, a, _ = after.process(Options{})
	if c := a.next(t); last(c.request) != "two" {
		t.Errorf("the agent is asked %v", texts(c.request.Messages))
	}
}

func TestATurnAcceptedBeforeAClientsOwnConversationAndRunAfterItIsRead(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{})
	start(t, s, chat, message("one"))
	c := a.next(t)
	waits := start(t, s, chat, watched("waits"))
	own := with(message("own"), BusyInterrupt)
	own.Own = true
	start(t, s, chat, own)
	receive(t, c.ctx.Done(), "the interruption")
	a.next(t).finish("2")
	a.next(t).finish("3")
	rest(t, waits)
	want := []string{"user: own", "assistant: 2", "user: waits", "assistant: 3"}
	equal(t, "conversation", conversation(t, s, chat), want)
	stop(t, s, j)
	kept, err := ReadConversation(t.Context(), d.open(), chat)
	if err != nil || len(kept.Items) != len(want) {
		t.Errorf("%d messages are read, %v", len(kept.Items), err)
	}
}

func TestInterruptionsThatWaitAtACrashKeepTheirMeaning(t *testing.T) {
	d := newDisk(t)
	s, a, _ := d.process(Options{})
	start(t, s, chat, message("one"))
	c := a.next(t)
	c.stay() // so that they wait for it
	start(t, s, chat, message("content to wait"))
	start(t, s, chat, with(message("first"), BusyInterrupt))
	start(t, s, chat, with(message("second"), BusyInterrupt))
	after := d.crash()
	c.end(agent.Result{}, nil)

	_, a, _ = after.process(Options{})
	c = a.next(t)
	equal(t, "the model sees", texts(c.request.Messages), []string{"user: one", "user: first", "user: second"})
	c.finish("2")
	if c = a.next(t); last(c.request) != "content to wait" {
		t.Errorf("then %q", last(c.request))
	}
}

// The end of a turn that was cancelled while it waited can be written before what
// was said before it.
func TestALogIsRevivedInItsOrder(t *testing.T) {
	d := newDisk(t)
	s, a, j := d.process(Options{SaveEvery: time.Hour})
	sub := subscribe(t, s, chat, Subscribe{Live: true, Create: true})
	from := sub.Position()
	running := start(t, s, chat, message("one"))
	c := a.next(t)
	c.say("a")
	until(t, sub, kind(EventDelta))
	waits := start(t, s, chat, message("two"))
	cancel(t, s, waits.Turn, waits.Turn)
	c.finish("b")
	until(t, sub, endOf(running.Turn))
	epoch := sub.Epoch()
	stop(t, s, j)

	s, _, _ = d.process(Options{})
	again := subscribe(t, s, chat, Subscribe{Epoch: epoch, After: from})
	events := until(t, again, endOf(running.Turn))
	if numbers := seqs(events); !slices.IsSorted(numbers) {
		t.Errorf("numbers %v", numbers)
	}
	equal(t, "events", story(events), []string{"turn.started", `"a"`, "turn.interrupted", `"b"`, "turn.completed"})
}

// A key whose turn fails after the restart can be used again.
func TestAKeyWhoseTurnFailsAfterARestartIsFree(t *testing.T) {
	d := newDisk(t)
	s, a, _ := d.process(Options{})
	start(t, s, chat, message("one"))
	a.next(t)
	startOnce(t, s, chat, message("two"), once("k", "two"))
	after := d.crash()

	s, a, j := after.process(Options{})
	c := a.next(t)
	attached := startOnce(t, s, chat, watched("two"), once("k", "two"))
	c.end(agent.Result{}, &agent.Error{Kind: agent.KindConnect, Message: "refused"})
	rest(t, attached)
	again := startOnce(t, s, chat, watched("two"), once("k", "two"))
	if again.Replayed {
		t.Error("the failure is replayed")
	}
	a.next(t).end(agent.Result{}, &agent.Error{Kind: agent.KindConnect, Message: "refused"})
	rest(t, again)
	if _, there, err := j.Claimed(t.Context(), "k"); there || err != nil {
		t.Errorf("the journal has the key, %v", err)
	}
}

// kept is what must be the same after a revival.
type kept struct {
	Turns, Messages    int
	Prompt, Completion int64
	Metadata, Epoch    string
	Items              []Item
}

func keptOf(t testing.TB, s *System) (k kept) {
	t.Helper()
	d, err := s.Describe(chat)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Messages(chat)
	if err != nil {
		t.Fatal(err)
	}
	k = kept{d.Turns, d.Messages, d.PromptTokens, d.CompletionTokens, string(d.Metadata), d.Epoch, nil}
	for _, item := range c.Items {
		item.place, item.At = 0, time.Time{}
		k.Items = append(k.Items, item)
	}
	return k
}

// random does one thing after another with a session whose agent answers by
// itself, and returns when all is over.
func random(t testing.TB, s *System, r *rand.Rand) {
	t.Helper()
	var turns []*Started
	for i := range 12 {
		m := with(watched(fmt.Sprintf("%d-%d", i, r.Uint32())), BusyPolicies()[r.IntN(5)])
		m.Own = r.IntN(6) == 0
		if r.IntN(4) == 0 {
			m.Input = append([]agent.Message{{Role: "system", Text: fmt.Sprint("be ", i)}}, m.Input...)
		}
		if r.IntN(8) == 0 {
			m.Params = json.RawMessage(`{"fail":true}`)
		}
		started, err := s.Start(chat, m, nil)
		if err == nil {
			turns = append(turns, started)
			if r.IntN(6) == 0 {
				if _, err := s.Cancel(chat, started.Turn); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, started := range turns {
		rest(t, started)
		started.Events.Close()
	}
}

func TestARevivedSessionIsWhatItWas(t *testing.T) {
	agents := echo
	failing := agentFunc(func(ctx context.Context, r *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
		if r.Params != nil {
			emit(deltasOf("half")[:len(last(r))%2])
			return agent.Result{}, &agent.Error{Kind: agent.KindConnect, Message: "refused"}
		}
		return agents(ctx, r, emit)
	})
	for _, disk := range []string{"memory", "sqlite"} {
		t.Run(disk, func(t *testing.T) {
			for seed := range uint64(12) {
				var j store.Journal = store.NewMemory(store.MemoryOptions{})
				if disk == "sqlite" {
					file, err := sqlite.Open(sqlite.Options{Path: t.TempDir() + "/j.db"})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { file.Close() })
					j = file
				}
				s := testSystem(t, Options{Journal: j, Agent: failing})
				if _, err := s.Create(chat, []byte(`{"a":1}`)); err != nil {
					t.Fatal(err)
				}
				r := rand.New(rand.NewPCG(seed, 7))
				for range 3 {
					random(t, s, r)
					before := keptOf(t, s)
					s.Shutdown(t.Context())
					s = testSystem(t, Options{Journal: j, Agent: failing})
					if after := keptOf(t, s); !reflect.DeepEqual(before, after) {
						t.Fatalf("seed %d:\nbefore %+v\nafter  %+v", seed, before, after)
					}
				}
				s.Shutdown(t.Context())
			}
		})
	}
}

// FuzzSaidRecord holds records of deltas to give back what was put in.
func FuzzSaidRecord(f *testing.F) {
	f.Add([]byte(`"choices":[{"index":0,"delta":{"content":"a"}}]`), "a", `\ud83d half`, uint8(3))
	f.Add([]byte(`"choices":[{"index":0,"delta":{"role":"assistant","content":"a"}},{"index":1,"delta":{"content":"b"}}]`), "<&>\u2028", "", uint8(0))
	f.Add([]byte(`"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]}}]`), `\"`, "😀", uint8(9))
	f.Add([]byte(``), "m", "m", uint8(1))
	f.Fuzz(func(t *testing.T, odd []byte, first, second string, gap uint8) {
		if !json.Valid(slices.Concat([]byte("{"), odd, []byte("}"))) {
			t.Skip()
		}
		l, p := newLog(1<<20), newPipe(1<<20)
		p.put([]agent.Delta{deltaOf(first), {Chunk: odd}, deltaOf(second), deltaOf(first + second)})
		for i, d := range p.take() {
			at, length := contentOf(&d)
			l.append(pending{EventDelta, "t", d.Chunk, at, length})
			for range int(gap) >> i & 3 {
				l.append(pending{kind: EventQueued, turn: "other"})
			}
		}
		deltas := l.since(nil, 0, "t")
		data, err := encode(sayRecord(deltas))
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode[saidRecord](data)
		if err != nil {
			t.Fatal(err)
		}
		if back.last() != deltas[3].Seq {
			t.Errorf("the last is %d, want %d", back.last(), deltas[3].Seq)
		}
		i := 0
		var before, after turn
		if err := back.each(new(pending), "t", func(p *pending, seq uint64) {
			d := deltas[i]
			got := Event{Seq: seq, Data: p.data, contentAt: p.contentAt, contentLen: p.contentLen}
			if seq != d.Seq || compact(t, got.Data) != compact(t, d.Data) {
				t.Errorf("%d: %d %s, want %d %s", i, seq, got.Data, d.Seq, d.Data)
			}
			// An empty text adds nothing, whether it is found or not.
			if want := strings.TrimSuffix(string(d.Content()), `""`); i != 1 && strings.TrimSuffix(string(got.Content()), `""`) != want {
				t.Errorf("%d: content %s, want %s", i, got.Content(), want)
			}
			before.hear(&pending{data: d.Data, contentAt: d.contentAt, contentLen: d.contentLen})
			after.hear(p)
			i++
		}); err != nil || i != len(deltas) {
			t.Fatalf("%d deltas, %v", i, err)
		}
		if i != 1 && before.answer.Text() != after.answer.Text() {
			t.Errorf("%q, want %q", after.answer.Text(), before.answer.Text())
		}
	})
}

func compact(t testing.TB, chunk []byte) string {
	data, err := encode(json.RawMessage(slices.Concat([]byte("{"), chunk, []byte("}"))))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
