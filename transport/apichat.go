package transport

import (
	"bytes"
	"encoding/json"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/agent"
)

// apiChat answers POST /api/chat: one message in, one answer out.
func (s *Server) apiChat(ctx *fasthttp.RequestCtx, r *request) error {
	b, err := parseBody(ctx, false)
	if err != nil {
		return err
	}
	var message, session, model string
	for _, err := range []error{
		b.takeText("message", &message),
		b.take("session_id", &session, "a string"),
		b.take("model", &model, "a string"),
	} {
		if err != nil {
			return err
		}
	}
	busy, err := b.takeBusy()
	if err != nil {
		return err
	}
	before, err := b.takeContext()
	if err != nil {
		return err
	}
	return s.simpleChat(ctx, r, simpleChat{message, session, model, busy, before})
}

// legacyWebhook answers POST /webhook: `{"message"}`, else as /api/chat.
func (s *Server) legacyWebhook(ctx *fasthttp.RequestCtx, r *request) error {
	b, err := parseBody(ctx, false)
	if err != nil {
		return err
	}
	var message, session string
	for _, err := range []error{b.takeText("message", &message), b.take("session_id", &session, "a string")} {
		if err != nil {
			return err
		}
	}
	return s.simpleChat(ctx, r, simpleChat{message: message, session: session})
}

// simpleChat is a message with what may come beside it.
type simpleChat struct {
	message, session, model string
	busy                    actors.BusyPolicy
	context                 []agent.Message
}

func (s *Server) simpleChat(ctx *fasthttp.RequestCtx, r *request, c simpleChat) error {
	t, err := s.newTurnRequest(ctx, r, r.identity.Owner, c.session, c.busy)
	if err != nil {
		return err
	}
	if t.key.Name == "" {
		t.key.Name = actors.NewID("ses_") // told to the client, which may go on with it
		if len(ctx.Request.Header.Peek("X-On-Disconnect")) == 0 {
			t.turn.Disconnect.Grace = s.options.DisconnectGrace
		}
	}
	t.turn.Input = append(c.context, textMessage(c.message))
	t.turn.Own = bringsHistory(c.context)
	t.turn.Model = c.model
	t.turn.Watch = true
	started, err := s.start(ctx, t)
	if err != nil {
		return err
	}
	a, err := s.newWait(ctx, r, started).whole()
	if err != nil {
		return err
	}
	return writeJSON(ctx, struct {
		Message string `json:"message"`
		Tokens  int64  `json:"tokens_used_estimate"`
		Session string `json:"session_id"`
	}{a.text, a.tokens(c.message), started.Session})
}

// tokens is what the provider counted, or else a guess: English text has about
// four characters a token.
func (a *answer) tokens(asked string) int64 {
	var usage struct {
		Total      int64 `json:"total_tokens"`
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
	}
	if a.end.Usage != nil && json.Unmarshal(a.end.Usage, &usage) == nil {
		if usage.Total > 0 {
			return usage.Total
		}
		if n := usage.Prompt + usage.Completion; n > 0 {
			return n
		}
	}
	return int64(len(asked)+len(a.text)+3) / 4
}

// takeText removes a string that must be there and not be empty.
func (b body) takeText(name string, text *string) error {
	if err := b.take(name, text, "a string"); err != nil {
		return err
	}
	if *text == "" {
		return badRequest(name, name+" must be a string that is not empty")
	}
	return nil
}

// takeContext removes context: a string, a list of messages, or null.
func (b body) takeContext() ([]agent.Message, error) {
	raw := bytes.TrimSpace(b["context"])
	if len(raw) > 0 && raw[0] == '"' {
		var text string
		if err := b.take("context", &text, "a string, a list of messages, or null"); err != nil {
			return nil, err
		}
		if text == "" {
			return nil, nil
		}
		return []agent.Message{{Role: "system", Text: text}}, nil
	}
	var messages []agent.Message
	if err := b.takeMessages("context", &messages); err != nil {
		return nil, err
	}
	return messages, nil
}

func writeJSON(ctx *fasthttp.RequestCtx, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	setJSON(ctx, data)
	return nil
}

// setJSON makes data the response, a line of its own on a terminal.
func setJSON(ctx *fasthttp.RequestCtx, data []byte) {
	ctx.SetContentType("application/json")
	ctx.Response.SetBodyRaw(append(data, '\n'))
}
