package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agentzero/agent"
	"agentzero/channels"
	"agentzero/store"
)

// eventually asks again and again, because what it asks for makes no sound.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func hooks(t testing.TB, s channels.Settings, o ChannelOptions) ChannelOptions {
	t.Helper()
	s.Name = "hooks"
	if s.Kind == "" {
		s.Kind = channels.Generic
	}
	c, err := channels.New(s)
	if err != nil {
		t.Fatal(err)
	}
	o.Channel = c
	setDefault(&o.Backoff, time.Millisecond)
	t.Cleanup(c.CloseIdle)
	return o
}

func deliverTo(t testing.TB, s *System, id, conversation, text string) *Delivered {
	t.Helper()
	d, err := s.Deliver("hooks", &channels.Message{ID: id, Conversation: conversation, Text: text})
	if err != nil {
		t.Fatalf("deliver %s: %v", id, err)
	}
	return d
}

func stateOf(t testing.TB, s *System, id string) Delivery {
	t.Helper()
	d, err := s.Delivery(t.Context(), "hooks", id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func becomes(t testing.TB, s *System, id string, state DeliveryState) Delivery {
	t.Helper()
	var d Delivery
	eventually(t, id+" becomes "+string(state), func() bool {
		d = stateOf(t, s, id)
		return d.State == state
	})
	return d
}

func TestADeliveryIsAnsweredInItsSession(t *testing.T) {
	s := testSystem(t, Options{Agent: echo, Channels: []ChannelOptions{hooks(t, channels.Settings{}, ChannelOptions{})}})
	if d := deliverTo(t, s, "d1", "a b", "hello"); d.Duplicate || d.ID != "d1" {
		t.Errorf("got %+v", d)
	}
	got, err := s.Await(t.Context(), "hooks", "d1", patience)
	if err != nil || got.State != DeliveryAnswered || got.Answer != "re hello" || got.Session != "hooks:a=20b" || got.Tries != 1 || got.Turn == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	c, err := s.Messages(Key{ChannelOwner, "hooks:a=20b"})
	if err != nil || len(c.Items) != 2 || c.Items[1].Message.Text != "re hello" {
		t.Errorf("the session has %+v, %v", c, err)
	}
	if d := deliverTo(t, s, "d1", "a b", "hello"); !d.Duplicate {
		t.Error("the second is no duplicate")
	}
	if d := deliverTo(t, s, "", "", "x"); !strings.HasPrefix(d.ID, "dlv_") {
		t.Errorf("without an id it has the id %q", d.ID)
	}
	var refusal *Refusal
	if _, err := s.Deliver("other", &channels.Message{Text: "x"}); !errors.As(err, &refusal) || refusal.Code != RefusedNotFound {
		t.Errorf("an unknown channel: %v", err)
	}
}

func TestWhatIsIgnoredIsKeptAndNotRun(t *testing.T) {
	s, a := scriptedSystem(t, Options{Channels: []ChannelOptions{hooks(t, channels.Settings{}, ChannelOptions{})}})
	d, err := s.Deliver("hooks", &channels.Message{ID: "d1", Ignored: "a bot has sent it"})
	if err != nil || d.Ignored != "a bot has sent it" {
		t.Fatalf("got %+v, %v", d, err)
	}
	if got := stateOf(t, s, "d1"); got.State != DeliveryIgnored || got.Reason != "a bot has sent it" {
		t.Errorf("got %+v", got)
	}
	a.idle(t)
	if err := s.Replay(t.Context(), "hooks", "d1"); err == nil {
		t.Error("what has no text was begun anew")
	}
}

// Within a conversation one after another, in order; conversations beside each
// other as far as they may.
func TestConversationsRunBesideEachOther(t *testing.T) {
	s, a := scriptedSystem(t, Options{Channels: []ChannelOptions{hooks(t, channels.Settings{}, ChannelOptions{Concurrency: 2})}})
	for i, conversation := range []string{"a", "a", "b", "c", "a"} {
		deliverTo(t, s, fmt.Sprint("d", i), conversation, fmt.Sprint(conversation, i))
	}
	first, second := a.next(t), a.next(t)
	begun := []string{last(first.request), last(second.request)}
	if slices.Sort(begun); !slices.Equal(begun, []string{"a0", "b2"}) {
		t.Fatalf("begun: %v", begun)
	}
	a.idle(t)
	if got := s.Channels(); len(got) != 1 || got[0].Running != 2 || got[0].Queued != 3 {
		t.Errorf("got %+v", got)
	}
	if d := stateOf(t, s, "d0"); d.State != DeliveryRunning {
		t.Errorf("d0 is %s", d.State)
	}
	if last(first.request) != "a0" {
		first, second = second, first
	}
	first.finish("x")
	third := a.next(t) // c3 has waited longer than a1
	if last(third.request) != "c3" {
		t.Fatalf("then %s", last(third.request))
	}
	third.finish("x")
	for _, want := range []string{"a1", "a4"} {
		c := a.next(t)
		if last(c.request) != want {
			t.Fatalf("then %s, want %s", last(c.request), want)
		}
		c.finish("x")
	}
	second.finish("x")
	for i := range 5 {
		becomes(t, s, fmt.Sprint("d", i), DeliveryAnswered)
	}
}

func TestAFullQueueRefusesAndKeepsWhatItHas(t *testing.T) {
	s, a := scriptedSystem(t, Options{Channels: []ChannelOptions{hooks(t, channels.Settings{}, ChannelOptions{QueueLimit: 2})}})
	deliverTo(t, s, "d0", "", "0")
	deliverTo(t, s, "d1", "", "1")
	_, err := s.Deliver("hooks", &channels.Message{ID: "d2", Text: "2"})
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Code != RefusedQueueFull || refusal.RetryAfter < time.Second {
		t.Fatalf("got %v", err)
	}
	if d := deliverTo(t, s, "d1", "", "1"); !d.Duplicate {
		t.Error("a duplicate needs no room")
	}
	a.next(t).finish("x")
	becomes(t, s, "d0", DeliveryAnswered)
	deliverTo(t, s, "d2", "", "2")
	a.next(t).finish("x")
	a.next(t).finish("x")
	becomes(t, s, "d2", DeliveryAnswered)
}

func TestAFailedRunIsTriedAgainAndThenGivenUp(t *testing.T) {
	s, a := scriptedSystem(t, Options{Channels: []ChannelOptions{hooks(t, channels.Settings{}, ChannelOptions{MaxTries: 3})}})
	deliverTo(t, s, "d0", "", "zero")
	deliverTo(t, s, "d1", "", "one")
	broken := &agent.Error{Kind: agent.KindConnect, Message: "nobody there"}
	a.next(t).end(agent.Result{}, broken)
	a.next(t).end(agent.Result{}, broken)
	c := a.next(t)
	if last(c.request) != "zero" {
		t.Errorf("the next one ran before: %q", last(c.request))
	}
	c.finish("there")
	if d := becomes(t, s, "d0", DeliveryAnswered); d.Tries != 3 || d.Answer != "there" || d.Reason != "" {
		t.Errorf("got %+v", d)
	}
	for range 3 {
		a.next(t).end(agent.Result{}, broken)
	}
	if d := becomes(t, s, "d1", DeliveryFailed); d.Tries != 3 || !strings.Contains(d.Reason, "nobody there") {
		t.Errorf("got %+v", d)
	}
	if err := s.Replay(t.Context(), "hooks", "d1"); err != nil {
		t.Fatal(err)
	}
	a.next(t).finish("at last")
	if d := becomes(t, s, "d1", DeliveryAnswered); d.Replays != 1 || d.Tries != 1 {
		t.Errorf("got %+v", d)
	}
	// An invalid request fails the same way each time.
	deliverTo(t, s, "d2", "", "two")
	a.next(t).end(agent.Result{}, &agent.Error{Kind: agent.KindInvalid, Message: "no"})
	if d := becomes(t, s, "d2", DeliveryFailed); d.Tries != 1 {
		t.Errorf("got %+v", d)
	}
}

func TestWhatBecameNoTurnIsDeadLettered(t *testing.T) {
	s, a := scriptedSystem(t, Options{MaxRunning: 1, MaxWaiting: 1, Channels: []ChannelOptions{hooks(t, channels.Settings{}, ChannelOptions{MaxTries: 2})}})
	for _, name := range []string{"x", "y"} { // all places are taken
		if _, err := s.Start(Key{"ann", name}, message("busy"), nil); err != nil {
			t.Fatal(err)
		}
	}
	busy := a.next(t)
	deliverTo(t, s, "d0", "", "zero")
	becomes(t, s, "d0", DeliveryFailed)
	if n := s.Counts().Ended[FateDeadLettered]; n != 1 {
		t.Errorf("%d dead letters", n)
	}
	busy.finish("x")
	a.next(t).finish("x")
	eventually(t, "rest", func() bool { return s.Counts().InFlight() == 0 })
}

// A journal that outlives the system that wrote it.
func TestDeliveriesOutliveTheSystem(t *testing.T) {
	journal := store.NewMemory(store.MemoryOptions{})
	options := func(a agent.Agent) Options {
		return Options{Agent: a, Journal: journal, Resumes: true, Channels: []ChannelOptions{hooks(t, channels.Settings{}, ChannelOptions{})}}
	}
	a := newScripted()
	first := NewSystem(options(a))
	for i := range 4 {
		deliverTo(t, first, fmt.Sprint("d", i), "c", fmt.Sprint("text ", i))
	}
	a.next(t).finish("answer 0")
	becomes(t, first, "d0", DeliveryAnswered)
	a.next(t).say("half an ")
	first.Shutdown(ended())

	second := testSystem(t, options(echo))
	if _, err := second.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	deliverTo(t, second, "d4", "c", "text 4")
	for i := 1; i < 5; i++ {
		becomes(t, second, fmt.Sprint("d", i), DeliveryAnswered)
	}
	c, err := second.Messages(Key{ChannelOwner, "hooks:c"})
	if err != nil {
		t.Fatal(err)
	}
	var answers []string
	for _, item := range c.Items {
		if item.Message.Role == "assistant" && !item.Interrupted {
			answers = append(answers, item.Message.Text)
		}
	}
	if want := []string{"answer 0", "re text 1", "re text 2", "re text 3", "re text 4"}; !slices.Equal(answers, want) {
		t.Errorf("answers %q, want %q", answers, want)
	}
	if d := deliverTo(t, second, "d2", "c", "text 2"); !d.Duplicate {
		t.Error("after a restart it is no duplicate")
	}
}

// platform is a fake of a platform's API that notes its calls.
type platform struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []string
	answer func(n int, path string) (int, string) // of the nth call
}

func newPlatform(t *testing.T, answer func(n int, path string) (int, string)) *platform {
	p := &platform{answer: answer}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.calls = append(p.calls, r.URL.Path+" "+string(body))
		n := len(p.calls)
		p.mu.Unlock()
		status, text := p.answer(n, r.URL.Path)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *platform) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

func TestAnAnswerIsSentAgainUntilItIsTaken(t *testing.T) {
	p := newPlatform(t, func(n int, _ string) (int, string) {
		if n < 3 {
			return http.StatusBadGateway, ""
		}
		return http.StatusCreated, `{"id":7}`
	})
	s := testSystem(t, Options{Agent: echo, Channels: []ChannelOptions{
		hooks(t, channels.Settings{Kind: channels.GitHub, Secret: "x", Token: "t", APIURL: p.URL, AllowPrivate: true}, ChannelOptions{ReplyTries: 4})}})
	target := json.RawMessage(`{"repository":"a/b","number":"3"}`)
	for _, id := range []string{"d0", "d1"} {
		if _, err := s.Deliver("hooks", &channels.Message{ID: id, Conversation: "c", Text: id, Target: target}); err != nil {
			t.Fatal(err)
		}
	}
	if d := becomes(t, s, "d0", DeliveryReplied); d.ReplyTries != 2 || d.Reason != "" {
		t.Errorf("got %+v", d)
	}
	becomes(t, s, "d1", DeliveryReplied)
	want := []string{"d0", "d0", "d0", "d1"} // in order, whatever fails
	for i, call := range p.seen() {
		if !strings.HasPrefix(call, "/repos/a/b/issues/3/comments ") || !strings.Contains(call, "re "+want[i]) {
			t.Errorf("call %d: %s", i, call)
		}
	}
}

func TestAnAnswerThatCannotBeSentIsADeadLetter(t *testing.T) {
	var broken sync.Mutex
	status := http.StatusNotFound
	p := newPlatform(t, func(int, string) (int, string) {
		broken.Lock()
		defer broken.Unlock()
		return status, `{"id":1}`
	})
	s, a := scriptedSystem(t, Options{Channels: []ChannelOptions{
		hooks(t, channels.Settings{Kind: channels.GitHub, Secret: "x", Token: "t", APIURL: p.URL, AllowPrivate: true}, ChannelOptions{})}})
	if _, err := s.Deliver("hooks", &channels.Message{ID: "d0", Text: "x", Target: json.RawMessage(`{"repository":"a/b","number":"3"}`)}); err != nil {
		t.Fatal(err)
	}
	a.next(t).finish("hello")
	if d := becomes(t, s, "d0", DeliveryDead); d.ReplyTries != 1 || !strings.Contains(d.Reason, "404") || d.Answer != "hello" {
		t.Errorf("got %+v", d)
	}
	broken.Lock()
	status = http.StatusCreated
	broken.Unlock()
	if err := s.Replay(t.Context(), "hooks", "d0"); err != nil {
		t.Fatal(err)
	}
	becomes(t, s, "d0", DeliveryReplied)
	a.idle(t) // the answer was there
	list, err := s.Deliveries(t.Context(), "hooks", []DeliveryState{DeliveryReplied}, "", 10)
	if err != nil || len(list) != 1 {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestAPrivateAddressIsNotCalled(t *testing.T) {
	p := newPlatform(t, func(int, string) (int, string) { return 200, "" })
	s := testSystem(t, Options{Agent: echo, Channels: []ChannelOptions{
		hooks(t, channels.Settings{ReplyURL: p.URL + "/reply", ReplySecret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, ChannelOptions{})}})
	if _, err := s.Deliver("hooks", &channels.Message{ID: "d0", Text: "x", Target: json.RawMessage(`{"url":"` + p.URL + `/reply"}`)}); err != nil {
		t.Fatal(err)
	}
	if d := becomes(t, s, "d0", DeliveryDead); !strings.Contains(d.Reason, "not a public one") {
		t.Errorf("got %+v", d)
	}
	if calls := p.seen(); len(calls) > 0 {
		t.Errorf("it was called: %v", calls)
	}
}

func TestAnAnswerGrowsInPlace(t *testing.T) {
	p := newPlatform(t, func(_ int, path string) (int, string) {
		return 200, `{"ok":true,"result":{"message_id":55}}`
	})
	s, a := scriptedSystem(t, Options{Channels: []ChannelOptions{
		hooks(t, channels.Settings{Kind: channels.Telegram, Secret: "x", Token: "TOKEN", APIURL: p.URL, AllowPrivate: true}, ChannelOptions{})}})
	if _, err := s.Deliver("hooks", &channels.Message{ID: "d0", Text: "x", Target: json.RawMessage(`{"chat_id":9}`)}); err != nil {
		t.Fatal(err)
	}
	c := a.next(t)
	eventually(t, "typing", func() bool {
		return slices.Contains(p.seen(), `/botTOKEN/sendChatAction {"action":"typing","chat_id":9}`)
	})
	c.say("Once ", "upon ")
	eventually(t, "the beginning", func() bool {
		return slices.Contains(p.seen(), `/botTOKEN/sendMessage {"chat_id":9,"text":"Once upon"}`)
	})
	c.finish("a time")
	becomes(t, s, "d0", DeliveryReplied)
	calls := p.seen()
	if last := calls[len(calls)-1]; last != `/botTOKEN/editMessageText {"chat_id":9,"message_id":55,"text":"Once upon a time"}` {
		t.Errorf("at last %s", last)
	}
}

func TestAChannelThatIsNoMoreTakesNothing(t *testing.T) {
	o := hooks(t, channels.Settings{}, ChannelOptions{})
	s, a := scriptedSystem(t, Options{Channels: []ChannelOptions{o}})
	deliverTo(t, s, "d0", "", "0")
	deliverTo(t, s, "d1", "", "1")
	c := a.next(t)
	s.ReloadChannels(nil)
	if _, err := s.Deliver("hooks", &channels.Message{Text: "x"}); err == nil {
		t.Error("it takes deliveries")
	}
	c.finish("x")
	s.ReloadChannels([]ChannelOptions{o})
	a.next(t).finish("y")
	becomes(t, s, "d1", DeliveryAnswered)
}

// brokenInbox fails its next Accept after it has kept the delivery, as a database
// does whose connection breaks at the wrong moment.
type brokenInbox struct {
	*store.Memory
	mu   sync.Mutex
	fail bool
}

func (b *brokenInbox) Accept(d store.Delivery, done func(bool, error)) {
	b.mu.Lock()
	fail := b.fail
	b.fail = false
	b.mu.Unlock()
	b.Memory.Accept(d, func(fresh bool, err error) {
		if fail {
			err = errors.New("the connection broke")
		}
		done(fresh, err)
	})
}

func TestADeliveryInDoubtIsRunWhenItComesAgain(t *testing.T) {
	b := &brokenInbox{Memory: store.NewMemory(store.MemoryOptions{}), fail: true}
	s := testSystem(t, Options{Agent: echo, Journal: b, Channels: []ChannelOptions{hooks(t, channels.Settings{}, ChannelOptions{})}})
	var refusal *Refusal
	if _, err := s.Deliver("hooks", &channels.Message{ID: "d0", Text: "x"}); !errors.As(err, &refusal) || refusal.Code != RefusedUnavailable {
		t.Fatalf("got %v", err)
	}
	if d := deliverTo(t, s, "d0", "", "x"); !d.Duplicate {
		t.Error("it was kept, and is a duplicate")
	}
	becomes(t, s, "d0", DeliveryAnswered)
}

func TestSessionsOfConversationsDoNotMeet(t *testing.T) {
	seen := make(map[string]string)
	long := strings.Repeat("x", 200)
	for _, key := range []string{"", "a", "a.b", "a_b", "a b", "a=20b", "a/b#1", "ä", "\x00", long, long + "y", "A", "a:b", "=", "=3D"} {
		name := sessionOf("hooks", key)
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q are both %s", key, other, name)
		}
		seen[name] = key
		if _, err := ParseName(name); err != nil {
			t.Errorf("%q: %q: %v", key, name, err)
		}
	}
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 10: time.Minute, 100: time.Minute} {
		if got := backoff(n, time.Second, time.Minute); got < want*8/10 || got > want*12/10 {
			t.Errorf("after %d tries %v, want about %v", n, got, want)
		}
	}
}

func TestWhoWaitsIsLetGoAtShutdown(t *testing.T) {
	s, a := scriptedSystem(t, Options{Channels: []ChannelOptions{hooks(t, channels.Settings{}, ChannelOptions{})}})
	deliverTo(t, s, "d0", "", "0")
	c := a.next(t)
	got := make(chan Delivery, 1)
	go func() {
		d, _ := s.Await(context.Background(), "hooks", "d0", time.Hour)
		got <- d
	}()
	eventually(t, "somebody waits", func() bool {
		s.Drain()
		select {
		case d := <-got:
			return d.State == DeliveryRunning
		default:
			return false
		}
	})
	c.finish("x")
}
