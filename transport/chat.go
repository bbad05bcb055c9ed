package transport

import (
	"encoding/json"
	"strconv"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/agent"
)

// chatRequest is a chat completions request of OpenAI's API.
type chatRequest struct {
	*turnRequest
	stream, includeUsage bool
}

// chatCompletions answers POST /v1/chat/completions.
// See https://platform.openai.com/docs/api-reference/chat.
func (s *Server) chatCompletions(ctx *fasthttp.RequestCtx, r *request) error {
	chat, err := s.parseChat(ctx, r)
	if err != nil {
		return err
	}
	started, err := s.start(ctx, chat.turnRequest)
	if err != nil {
		return err
	}
	w := s.newWait(ctx, r, started)
	if !chat.stream {
		return w.completion()
	}
	frames := newChunkFrames(started, started.Session != "", chat.includeUsage)
	return w.stream(frames)
}

func (s *Server) parseChat(ctx *fasthttp.RequestCtx, r *request) (*chatRequest, error) {
	b, err := parseBody(ctx, false)
	if err != nil {
		return nil, err
	}
	var (
		messages       []agent.Message
		model, session string
		stream         bool
		options        struct {
			IncludeUsage bool `json:"include_usage"`
		}
	)
	for _, err := range []error{
		b.takeMessages("messages", &messages),
		b.take("model", &model, "a string"),
		b.take("stream", &stream, "true or false"),
		b.take("stream_options", &options, "an object"),
		b.take("session_id", &session, "a string"),
	} {
		if err != nil {
			return nil, err
		}
	}
	busy, err := b.takeBusy()
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 {
		return nil, badRequest("messages", "messages must be a list of at least one message")
	}
	t, err := s.newTurnRequest(ctx, r, r.identity.Owner, session, busy)
	if err != nil {
		return nil, err
	}
	t.turn.Input, t.turn.Own = messages, bringsHistory(messages)
	t.turn.Model = model
	t.turn.Whole = !stream
	t.turn.Watch = true
	if len(b) > 0 {
		params, err := json.Marshal(b)
		if err != nil {
			return nil, badRequest("", "the body is not a JSON object")
		}
		t.turn.Params = params
	}
	return &chatRequest{turnRequest: t, stream: stream, includeUsage: options.IncludeUsage}, nil
}

// takeMessages removes a list of messages and says which one is at fault.
func (b body) takeMessages(name string, messages *[]agent.Message) error {
	var list []json.RawMessage
	if err := b.take(name, &list, "a list of messages"); err != nil {
		return err
	}
	*messages = make([]agent.Message, len(list))
	for i, raw := range list {
		if err := json.Unmarshal(raw, &(*messages)[i]); err != nil {
			return badRequest(name+"["+strconv.Itoa(i)+"]", err.Error())
		}
	}
	return nil
}

// bringsHistory reports whether a client's messages are a conversation of its
// own, as OpenAI's clients send it with every call. Then they are the truth of
// the call, and of the session from there on. Messages that nobody has answered
// yet continue the session's conversation.
func bringsHistory(messages []agent.Message) bool {
	for _, m := range messages {
		if m.Role == "assistant" || m.Role == "tool" || m.Role == "function" {
			return true
		}
	}
	return false
}

// completion answers with a whole chat.completion.
func (w *wait) completion() error {
	answer, err := w.whole()
	if err != nil {
		return err
	}
	data, err := answer.chatCompletion(w.started)
	if err != nil {
		return err
	}
	setJSON(w.ctx, data)
	return nil
}

// completionID is the id of a turn's answer in OpenAI's form.
func completionID(started *actors.Started) string {
	return "chatcmpl-" + trimTurn(started.Follow)
}
