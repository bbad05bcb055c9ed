package dashboard

import (
	"strings"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// counting starts a gateway whose model counts, one number each time gate is
// given a value; behind the last number the answer ends by itself.
func counting(t *testing.T, n int) (g *gateway.Gateway, next func(upTo int) string) {
	t.Helper()
	up := upstream.New(t)
	steps := make(chan struct{}, n)
	deltas := upstream.Count(n)
	up.Set("count", upstream.Script{Deltas: deltas, Steps: steps})
	g = gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "count"})
	t.Cleanup(func() { close(steps) }) // what still runs ends, so that the gateway need not wait for it
	said := 0
	return g, func(upTo int) string {
		for ; said < upTo; said++ {
			steps <- struct{}{}
		}
		return strings.Join(deltas[:upTo], "")
	}
}

func TestDeltasAreShownOneByOne(t *testing.T) {
	g, next := counting(t, 5)
	b := signedIn(t, g)
	b.say("Count")
	for i := 1; i <= 5; i++ {
		b.answer(next(i))
	}
	b.sees("5 tokens", ".status")
	b.sees("Count", ".session-list")
}

func TestStopKeepsWhatWasSaid(t *testing.T) {
	g, next := counting(t, 5)
	b := signedIn(t, g)
	b.say("Count")
	b.answer(next(2))
	b.click("button", "Stop")
	b.sees("What was said is kept", ".status")
	b.reload()
	b.answer(next(2))
	b.sees("What was said is kept", ".status")
}

func TestAReloadInMidAnswerGoesOn(t *testing.T) {
	g, next := counting(t, 6)
	b := signedIn(t, g)
	b.say("Count")
	b.answer(next(2))
	b.reload()
	b.answer(next(2))
	b.sees("Count", ".bubble")
	b.answer(next(4))
	b.answer(next(6))
	b.sees("6 tokens", ".status")
	if n := strings.Count(b.text(".bubble"), "Count"); n != 1 {
		t.Errorf("the question stands there %d times", n)
	}
}

func TestTwoTabsAreInStep(t *testing.T) {
	g, next := counting(t, 6)
	first := signedIn(t, g)
	first.say("Count")
	first.answer(next(1))
	second := first.another()
	second.answer(next(1))
	second.sees("Count", ".bubble")
	whole := next(3)
	first.answer(whole)
	second.answer(whole)
	whole = next(6)
	first.answer(whole)
	second.answer(whole)

	second.say("And once more")
	first.sees("And once more", ".bubble")
	if a, b := first.text(".bubble"), second.text(".bubble"); a != b {
		t.Errorf("one tab shows %q, the other %q", a, b)
	}
}
