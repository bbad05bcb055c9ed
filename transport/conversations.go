package transport

import (
	"encoding/json"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/transport/responses"
)

// A conversation is a session, by another name. See
// https://platform.openai.com/docs/api-reference/conversations.

type conversationJSON struct {
	ID       string          `json:"id"`
	Object   string          `json:"object"`
	Created  int64           `json:"created_at"`
	Metadata json.RawMessage `json:"metadata"`
}

func writeConversation(ctx *fasthttp.RequestCtx, d *actors.Description) error {
	metadata := d.Metadata
	if metadata == nil || string(metadata) == "null" {
		metadata = json.RawMessage("{}")
	}
	return writeJSON(ctx, conversationJSON{d.Name, "conversation", d.Created.Unix(), metadata})
}

// createConversation answers POST /v1/conversations.
func (s *Server) createConversation(ctx *fasthttp.RequestCtx, r *request) error {
	b, err := parseBody(ctx, true)
	if err != nil {
		return err
	}
	m := actors.CreateSession{Turn: actors.NewID("turn_")}
	if m.Metadata, err = takeMetadata(b); err != nil {
		return err
	}
	if raw, ok := b["items"]; ok && string(raw) != "null" {
		if m.Items, err = responses.ParseItems(raw, "items"); err != nil {
			return err
		}
	}
	delete(b, "items")
	if err := nothingElse(b); err != nil {
		return err
	}
	if s.draining.Load() {
		return interrupted(actors.ReasonShutdown)
	}
	name := actors.NewID("conv_")
	d, err := s.options.Sessions.CreateWith(actors.Key{Owner: r.identity.Owner, Name: name}, m)
	if err != nil {
		return err
	}
	ctx.Response.Header.Set("X-Session-Id", name)
	return writeConversation(ctx, d)
}

// takeMetadata removes metadata, as JSON; nil where there is none.
func takeMetadata(b body) (json.RawMessage, error) {
	metadata, err := responses.TakeMetadata(b)
	if err != nil || metadata == nil {
		return nil, err
	}
	return json.Marshal(metadata)
}

// conversationKey is the session of the path.
func conversationKey(ctx *fasthttp.RequestCtx, r *request) (actors.Key, error) {
	key, err := sessionKey(ctx, r)
	if err != nil {
		return key, noConversation
	}
	return key, nil
}

var noConversation = fail(CodeNotFound, "there is no such conversation")

// getConversation answers GET /v1/conversations/:id.
func (s *Server) getConversation(ctx *fasthttp.RequestCtx, r *request) error {
	key, err := conversationKey(ctx, r)
	if err != nil {
		return err
	}
	d, err := s.options.Sessions.Describe(key)
	if err != nil {
		return err
	}
	return writeConversation(ctx, d)
}

// updateConversation answers POST /v1/conversations/:id: other metadata.
func (s *Server) updateConversation(ctx *fasthttp.RequestCtx, r *request) error {
	key, err := conversationKey(ctx, r)
	if err != nil {
		return err
	}
	b, err := parseBody(ctx, false)
	if err != nil {
		return err
	}
	if _, ok := b["metadata"]; !ok {
		return badRequest("metadata", "metadata is what can be changed: an object, or null")
	}
	metadata, err := takeMetadata(b)
	if err != nil {
		return err
	}
	if err := nothingElse(b); err != nil {
		return err
	}
	d, err := s.options.Sessions.Update(key, metadata)
	if err != nil {
		return err
	}
	return writeConversation(ctx, d)
}

// deleteConversation answers DELETE /v1/conversations/:id: all of it is forgotten,
// and the responses in it.
func (s *Server) deleteConversation(ctx *fasthttp.RequestCtx, r *request) error {
	key, err := conversationKey(ctx, r)
	if err != nil {
		return err
	}
	if err := s.options.Sessions.Delete(key); err != nil {
		return err
	}
	return writeJSON(ctx, deletedJSON{key.Name, "conversation.deleted", true})
}

// items are those of a conversation, the oldest first.
func (s *Server) items(key actors.Key) ([]responses.Item, error) {
	c, err := s.options.Sessions.Messages(key)
	if err != nil {
		return nil, err
	}
	var items []responses.Item
	for i := range c.Items {
		it := &c.Items[i]
		if it.Open != "" {
			continue // it is none yet
		}
		whole := it.Whole()
		more, err := responses.ItemsOf(it.Turn, it.Index, &whole, it.Gone, it.Interrupted)
		if err != nil {
			return nil, err
		}
		items = append(items, more...)
	}
	return items, nil
}

// listItems answers GET /v1/conversations/:id/items.
func (s *Server) listItems(ctx *fasthttp.RequestCtx, r *request) error {
	key, err := conversationKey(ctx, r)
	if err != nil {
		return err
	}
	p, err := pageOf(ctx)
	if err != nil {
		return err
	}
	items, err := s.items(key)
	if err != nil {
		return err
	}
	return p.write(ctx, items)
}

// createItems answers POST /v1/conversations/:id/items.
func (s *Server) createItems(ctx *fasthttp.RequestCtx, r *request) error {
	key, err := conversationKey(ctx, r)
	if err != nil {
		return err
	}
	if err := checkInclude(ctx); err != nil {
		return err
	}
	b, err := parseBody(ctx, false)
	if err != nil {
		return err
	}
	m := actors.AddItems{Turn: actors.NewID("turn_")}
	if m.Items, err = responses.ParseItems(b["items"], "items"); err != nil {
		return err
	}
	delete(b, "items")
	if err := nothingElse(b); err != nil {
		return err
	}
	if len(m.Items) == 0 {
		return badRequest("items", "items holds no item")
	}
	if err := s.options.Sessions.AddItems(key, m); err != nil {
		return err
	}
	var items []responses.Item
	for i := range m.Items {
		more, err := responses.ItemsOf(m.Turn, i, &m.Items[i], nil, false)
		if err != nil {
			return err
		}
		items = append(items, more...)
	}
	return writeItems(ctx, items, false)
}

// findItem finds the item of the path.
func (s *Server) findItem(ctx *fasthttp.RequestCtx, r *request) (key actors.Key, item responses.Item, err error) {
	if key, err = conversationKey(ctx, r); err != nil {
		return key, item, err
	}
	if err := checkInclude(ctx); err != nil {
		return key, item, err
	}
	items, err := s.items(key)
	if err != nil {
		return key, item, err
	}
	at := itemAt(items, pathValue(ctx, "item"))
	if at < 0 {
		return key, item, fail(CodeNotFound, "there is no such item in this conversation")
	}
	return key, items[at], nil
}

// getItem answers GET /v1/conversations/:id/items/:item.
func (s *Server) getItem(ctx *fasthttp.RequestCtx, r *request) error {
	_, item, err := s.findItem(ctx, r)
	if err != nil {
		return err
	}
	return writeJSON(ctx, item.JSON)
}

// deleteItem answers DELETE /v1/conversations/:id/items/:item with the conversation.
// The model does not hear of the item any more.
func (s *Server) deleteItem(ctx *fasthttp.RequestCtx, r *request) error {
	key, item, err := s.findItem(ctx, r)
	if err != nil {
		return err
	}
	if err := s.options.Sessions.RemoveItem(key, actors.RemoveItem{Turn: item.Ref.Turn, Index: item.Ref.Index, Part: item.Ref.Part}); err != nil {
		return err
	}
	d, err := s.options.Sessions.Describe(key)
	if err != nil {
		return err
	}
	return writeConversation(ctx, d)
}
