package transport

import (
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/agent"
)

// sessionKey is the session of the path. It is the asker's own; who is admin may
// name another owner with ?owner=.
func sessionKey(ctx *fasthttp.RequestCtx, r *request) (actors.Key, error) {
	owner, err := ownerOf(ctx, r)
	if err != nil {
		return actors.Key{}, err
	}
	if owner == everybody {
		return actors.Key{}, badRequest("owner", "one session has one owner; * stands for all in the list only")
	}
	name, err := actors.ParseName(pathID(ctx))
	if err != nil {
		return actors.Key{}, fail(CodeNotFound, "there is no such session: "+err.Error())
	}
	return actors.Key{Owner: owner, Name: name}, nil
}

// pathID is the path's {id} as the client meant it. The router gives it as it was
// sent.
func pathID(ctx *fasthttp.RequestCtx) string { return pathValue(ctx, "id") }

func pathValue(ctx *fasthttp.RequestCtx, name string) string {
	id, _ := ctx.UserValue(name).(string)
	if plain, err := url.PathUnescape(id); err == nil {
		return plain
	}
	return id
}

func ownerOf(ctx *fasthttp.RequestCtx, r *request) (string, error) {
	owner := string(ctx.QueryArgs().Peek("owner"))
	if owner == "" || owner == r.identity.Owner {
		return r.identity.Owner, nil
	}
	if !r.identity.Admin {
		return "", fail(CodeNotFound, "there is no such session")
	}
	return owner, nil
}

type sessionJSON struct {
	ID        string          `json:"id"`
	Object    string          `json:"object"`
	Created   int64           `json:"created"`
	Updated   int64           `json:"updated"`
	Metadata  json.RawMessage `json:"metadata"`
	State     string          `json:"state"`
	Turn      *string         `json:"turn_id"`
	Queue     []string        `json:"queue"`
	Turns     int             `json:"turns"`
	Messages  int             `json:"messages"`
	Watchers  int             `json:"watchers"`
	Model     *string         `json:"model"`
	Usage     usageJSON       `json:"usage"`
	LastEvent string          `json:"last_event_id"`
}

type usageJSON struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	Total      int64 `json:"total_tokens"`
}

func sessionBody(d *actors.Description) sessionJSON {
	j := sessionJSON{
		ID: d.Name, Object: "session", Created: d.Created.Unix(), Updated: d.Updated.Unix(), Metadata: d.Metadata,
		State: "idle", Queue: d.Queue, Turns: d.Turns, Messages: d.Messages, Watchers: d.Watchers,
		Usage:     usageJSON{d.PromptTokens, d.CompletionTokens, d.PromptTokens + d.CompletionTokens},
		LastEvent: d.Epoch + "-" + strconv.FormatUint(d.Seq, 10),
	}
	if d.Model != "" {
		j.Model = &d.Model
	}
	if d.Running != "" {
		j.State, j.Turn = "running", &d.Running
	}
	return j
}

// createSession answers POST /v1/sessions.
func (s *Server) createSession(ctx *fasthttp.RequestCtx, r *request) error {
	b, err := parseBody(ctx, true)
	if err != nil {
		return err
	}
	var id string
	var metadata map[string]json.RawMessage
	for _, err := range []error{
		b.take("id", &id, "a string"),
		b.take("metadata", &metadata, "an object"),
	} {
		if err != nil {
			return err
		}
	}
	if id == "" {
		id = actors.NewID("ses_")
	}
	name, err := actors.ParseName(id)
	if err != nil {
		return badRequest("id", err.Error())
	}
	if s.draining.Load() {
		return interrupted(actors.ReasonShutdown)
	}
	var raw json.RawMessage
	if metadata != nil {
		if raw, err = json.Marshal(metadata); err != nil {
			return err
		}
	}
	d, err := s.options.Sessions.Create(actors.Key{Owner: r.identity.Owner, Name: name}, raw)
	if err != nil {
		return err
	}
	ctx.Response.Header.Set("X-Session-Id", name)
	ctx.SetStatusCode(fasthttp.StatusCreated)
	return writeJSON(ctx, sessionBody(d))
}

// getSession answers GET /v1/sessions/:id.
func (s *Server) getSession(ctx *fasthttp.RequestCtx, r *request) error {
	key, err := sessionKey(ctx, r)
	if err != nil {
		return err
	}
	d, err := s.options.Sessions.Describe(key)
	if err != nil {
		return err
	}
	return writeJSON(ctx, sessionBody(d))
}

// deleteSession answers DELETE /v1/sessions/:id.
func (s *Server) deleteSession(ctx *fasthttp.RequestCtx, r *request) error {
	key, err := sessionKey(ctx, r)
	if err != nil {
		return err
	}
	if err := s.options.Sessions.Delete(key); err != nil {
		return err
	}
	return writeJSON(ctx, struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
	}{key.Name, "session.deleted", true})
}

// readMessages answers GET /v1/sessions/:id/messages.
func (s *Server) readMessages(ctx *fasthttp.RequestCtx, r *request) error {
	key, err := sessionKey(ctx, r)
	if err != nil {
		return err
	}
	c, err := s.options.Sessions.Messages(key)
	if err != nil {
		return err
	}
	type item struct {
		Message     agent.Message `json:"message"`
		Role        string        `json:"role"`
		Content     string        `json:"content"`
		Turn        string        `json:"turn_id"`
		Created     int64         `json:"created"`
		Interrupted bool          `json:"interrupted"`
		Status      string        `json:"status"`
	}
	list := struct {
		Object    string `json:"object"`
		Data      []item `json:"data"`
		LastEvent string `json:"last_event_id"`
	}{"list", make([]item, len(c.Items)), c.Epoch + "-" + strconv.FormatUint(c.Seq, 10)}
	for i, it := range c.Items {
		status := it.Open
		switch {
		case it.Interrupted:
			status = "interrupted"
		case status == "":
			status = "completed"
		}
		list.Data[i] = item{it.Message, it.Message.Role, it.Message.Text, it.Turn, it.At.Unix(), it.Interrupted, status}
	}
	return writeJSON(ctx, list)
}

// postMessage answers POST /v1/sessions/:id/messages: 202 with the turn's id, or
// the turn's events.
func (s *Server) postMessage(ctx *fasthttp.RequestCtx, r *request) error {
	key, err := sessionKey(ctx, r)
	if err != nil {
		return err
	}
	b, err := parseBody(ctx, false)
	if err != nil {
		return err
	}
	var (
		content, model string
		stream         bool
	)
	for _, err := range []error{
		b.takeText("content", &content),
		b.take("model", &model, "a string"),
		b.take("stream", &stream, "true or false"),
	} {
		if err != nil {
			return err
		}
	}
	busy, err := b.takeBusy()
	if err != nil {
		return err
	}
	t, err := s.newTurnRequest(ctx, r, key.Owner, key.Name, busy)
	if err != nil {
		return err
	}
	t.turn.Input = []agent.Message{textMessage(content)}
	t.turn.Model = model
	t.turn.Watch = stream
	if !stream { // nobody waits, so nobody can leave
		t.turn.Disconnect = actors.Disconnect{Continue: true}
	}
	started, err := s.start(ctx, t)
	if err != nil {
		return err
	}
	if stream {
		return s.newWait(ctx, r, started).stream(&eventFrames{epoch: started.Events.Epoch(), once: started.Follow})
	}
	ctx.SetStatusCode(fasthttp.StatusAccepted)
	return writeJSON(ctx, struct {
		Turn    string `json:"turn_id"`
		Session string `json:"session_id"`
	}{started.Turn, started.Session})
}

// cancelSession answers POST /v1/sessions/:id/cancel: one turn, or all.
func (s *Server) cancelSession(ctx *fasthttp.RequestCtx, r *request) error {
	key, err := sessionKey(ctx, r)
	if err != nil {
		return err
	}
	b, err := parseBody(ctx, true)
	if err != nil {
		return err
	}
	turn, err := b.takeTurn()
	if err != nil {
		return err
	}
	c, err := s.cancel(key, turn)
	if err != nil {
		return err
	}
	return writeJSON(ctx, struct {
		Turns []string `json:"cancelled"`
	}{c.Turns})
}

// cancel cancels one turn, or with "" all.
func (s *Server) cancel(key actors.Key, turn string) (*actors.Cancelled, error) {
	c, err := s.options.Sessions.Cancel(key, turn)
	if err == nil && turn != "" && len(c.Turns) == 0 {
		return nil, fail(CodeNotFound, "no such turn runs or waits in this session")
	}
	return c, err
}

// takeTurn removes the turn that a cancel names, as the API or as a WebSocket's
// frames call it. Nothing else may stand there: a name that is misspelt must not
// cancel all.
func (b body) takeTurn() (string, error) {
	var turn, frame string
	for _, err := range []error{b.take("turn_id", &turn, "a string"), b.take("turn", &frame, "a string")} {
		if err != nil {
			return "", err
		}
	}
	for name := range b {
		return "", badRequest(name, "a cancel names a turn_id, or with none cancels all; it takes nothing else")
	}
	if turn == "" {
		turn = frame
	}
	return turn, nil
}
