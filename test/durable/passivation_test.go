package durable

import (
	"fmt"
	"testing"

	"agentzero/test/gateway"
)

func TestAnIdleSessionLeavesTheMemoryAndRemembers(t *testing.T) {
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			const n = 20
			g := keeps(t, gateway.Options{Config: "[sessions]\nidle_timeout = \"100ms\"\n", Env: store.env(t)})
			for round := 1; round <= 2; round++ {
				for i := range n {
					say(t, g, fmt.Sprint("s", i), fmt.Sprint("round ", round))
				}
				eventually(t, "no session in memory", func() bool { return metricsOf(t, g)["agentzero_active_sessions"] == 0 })
			}
			for i := range n {
				if list := messages(t, g, fmt.Sprint("s", i)); len(list) != 4 || list[0].Content != "round 1" || list[3].Content != "round 2" {
					t.Errorf("session %d has %+v", i, list)
				}
			}
			atRest(t, g)
		})
	}
}

func TestNoMoreSessionsAreInMemoryThanMay(t *testing.T) {
	const n, most = 40, 5
	g := keeps(t, gateway.Options{Config: fmt.Sprintf("[sessions]\nmax_live = %d\n", most)})
	for i := range n {
		say(t, g, fmt.Sprint("s", i), "hello")
	}
	eventually(t, "the bound holds", func() bool { return metricsOf(t, g)["agentzero_active_sessions"] <= most })
	for i := range n {
		say(t, g, fmt.Sprint("s", i), "again")
		if list := messages(t, g, fmt.Sprint("s", i)); len(list) != 4 {
			t.Errorf("session %d has %+v", i, list)
		}
	}
	eventually(t, "the bound holds", func() bool { return metricsOf(t, g)["agentzero_active_sessions"] <= most })
}
