package dashboard

import (
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// niceAnswer uses most of what answers are made of.
const niceAnswer = "An actor is a small thing that owns its state and does **one thing at a time**. Three rules:\n\n" +
	"1. It has a mailbox; messages are taken in order.\n2. Nobody else touches its state.\n3. It may make other actors.\n\n" +
	"```go\nfunc (c *Counter) Receive(ctx actor.Context) {\n\tswitch m := ctx.Message().(type) {\n\tcase *Add:\n\t\tc.sum += m.N\n\t}\n}\n```\n\n" +
	"| door | session |\n|---|---|\n| `/v1/chat/completions` | by header |\n| `/ws/chat` | by query |\n\n> Both reach the same mailbox.\n"

// conversationOf shows a conversation in which a model has said some things, one
// answer each.
func conversationOf(t *testing.T, answers ...string) (*gateway.Gateway, *tab) {
	t.Helper()
	up := upstream.New(t)
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m"})
	b := signedIn(t, g)
	for i, answer := range answers {
		up.Set("m", upstream.Script{Deltas: []string{answer[:len(answer)/2], answer[len(answer)/2:]}})
		b.say("What is an actor?")
		b.wait("document.querySelectorAll('.turn[data-state=done] .prose > *').length > 0 && document.querySelectorAll('.turn[data-state=done]').length === "+string(rune('1'+i)), "the answer is whole")
	}
	return g, b
}
