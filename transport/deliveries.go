package transport

import (
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
)

// channelJSON is a channel with what it has to do and what it keeps.
type channelJSON struct {
	ID         string         `json:"id"`
	Object     string         `json:"object"`
	Kind       string         `json:"kind"`
	Queued     int            `json:"queued"`
	Running    int            `json:"running"`
	Replying   int            `json:"replying"`
	Deliveries map[string]int `json:"deliveries"`
}

// listChannels answers GET /v1/channels.
func (s *Server) listChannels(ctx *fasthttp.RequestCtx, _ *request) error {
	list := []channelJSON{}
	if s.options.Channels != nil {
		for _, d := range s.options.Channels.Channels() {
			counts, err := s.options.Channels.CountDeliveries(s.life, d.Name)
			if err != nil {
				return err
			}
			list = append(list, channelJSON{d.Name, "channel", d.Kind, d.Queued, d.Running, d.Replying, counts})
		}
	}
	return writeJSON(ctx, struct {
		Object string        `json:"object"`
		Data   []channelJSON `json:"data"`
	}{"list", list})
}

// deliveryJSON is a delivery. Of a list's the text is cut short and the answer
// left out.
type deliveryJSON struct {
	ID      string  `json:"id"`
	Object  string  `json:"object"`
	Channel string  `json:"channel"`
	State   string  `json:"state"`
	Session string  `json:"session_id"`
	Turn    *string `json:"turn_id"`
	Text    string  `json:"text"`
	Answer  *string `json:"answer,omitempty"`
	Reason  *string `json:"reason"`
	Tries   int     `json:"tries"`
	Replies int     `json:"reply_tries"`
	Replays int     `json:"replays"`
	Created int64   `json:"created"`
	Updated int64   `json:"updated"`
	Next    *int64  `json:"next_try"`
	Latency *int64  `json:"latency_ms"` // from its acceptance to its answer
}

func deliveryBody(d *actors.Delivery) deliveryJSON {
	body := deliveryJSON{
		ID: d.ID, Object: "delivery", Channel: d.Channel, State: string(d.State), Session: d.Session, Text: d.Text,
		Tries: d.Tries, Replies: d.ReplyTries, Replays: d.Replays, Created: d.Accepted.Unix(), Updated: d.Updated.Unix(),
	}
	if d.Turn != "" {
		body.Turn = &d.Turn
	}
	if d.Reason != "" {
		body.Reason = &d.Reason
	}
	if !d.Next.IsZero() {
		next := d.Next.Unix()
		body.Next = &next
	}
	if !d.Answered.IsZero() {
		latency := d.Answered.Sub(d.Accepted).Milliseconds()
		body.Latency = &latency
	}
	return body
}

// preview is how much of a text a list tells, in bytes.
const preview = 200

// listDeliveries answers GET /v1/webhook/:channel/deliveries, the newest first.
func (s *Server) listDeliveries(ctx *fasthttp.RequestCtx, _ *request) error {
	c, err := s.channelOf(ctx)
	if err != nil {
		return err
	}
	args := ctx.QueryArgs()
	limit := defaultPage
	if args.Has("limit") {
		if limit, err = strconv.Atoi(string(args.Peek("limit"))); err != nil || limit < 1 || limit > maxPage {
			return badRequest("limit", "limit is a number from 1 to "+strconv.Itoa(maxPage))
		}
	}
	states, err := stateList(string(args.Peek("state")))
	if err != nil {
		return err
	}
	found, err := s.options.Channels.Deliveries(s.life, c.Name(), states, string(args.Peek("after")), limit+1)
	if err != nil {
		return err
	}
	page := struct {
		Object string         `json:"object"`
		Data   []deliveryJSON `json:"data"`
		First  *string        `json:"first_id"`
		Last   *string        `json:"last_id"`
		More   bool           `json:"has_more"`
	}{Object: "list", Data: []deliveryJSON{}, More: len(found) > limit}
	for i := range found[:min(limit, len(found))] {
		body := deliveryBody(&found[i])
		if len(body.Text) > preview {
			end := preview
			for !utf8.RuneStart(body.Text[end]) {
				end--
			}
			body.Text = body.Text[:end]
		}
		page.Data = append(page.Data, body)
	}
	if n := len(page.Data); n > 0 {
		page.First, page.Last = &page.Data[0].ID, &page.Data[n-1].ID
	}
	return writeJSON(ctx, page)
}

// deliveryID is the path's, as the client meant it.
func deliveryID(ctx *fasthttp.RequestCtx) string {
	id, _ := ctx.UserValue("id").(string)
	if plain, err := url.PathUnescape(id); err == nil {
		return plain
	}
	return id
}

// getDelivery answers GET /v1/webhook/:channel/deliveries/:id.
func (s *Server) getDelivery(ctx *fasthttp.RequestCtx, _ *request) error {
	c, err := s.channelOf(ctx)
	if err != nil {
		return err
	}
	return s.tellDelivery(ctx, c.Name(), deliveryID(ctx))
}

func (s *Server) tellDelivery(ctx *fasthttp.RequestCtx, channel, id string) error {
	d, err := s.options.Channels.Delivery(s.life, channel, id)
	if err != nil {
		return err
	}
	body := deliveryBody(&d)
	body.Answer = &d.Answer
	return writeJSON(ctx, &body)
}

// replayDelivery answers POST /v1/webhook/:channel/deliveries/:id/replay.
func (s *Server) replayDelivery(ctx *fasthttp.RequestCtx, _ *request) error {
	c, err := s.channelOf(ctx)
	if err != nil {
		return err
	}
	if err := s.options.Channels.Replay(s.life, c.Name(), deliveryID(ctx)); err != nil {
		return err
	}
	return s.tellDelivery(ctx, c.Name(), deliveryID(ctx))
}

// maxReplay is how many deliveries one request begins anew at most.
const maxReplay = 1000

// replayDeliveries answers POST /v1/webhook/:channel/replay: those named, or those
// of a state.
func (s *Server) replayDeliveries(ctx *fasthttp.RequestCtx, _ *request) error {
	c, err := s.channelOf(ctx)
	if err != nil {
		return err
	}
	b, err := parseBody(ctx, false)
	if err != nil {
		return err
	}
	var ids []string
	var state string
	if err := b.take("ids", &ids, "a list of delivery ids"); err != nil {
		return err
	}
	if err := b.take("state", &state, "a string"); err != nil {
		return err
	}
	states, err := stateList(state)
	switch {
	case err != nil:
		return err
	case len(ids) == 0 && len(states) == 0:
		return badRequest("ids", "name the deliveries in ids, or in state what state they are in, such as \"failed,dead\"")
	case len(ids) > 0 && len(states) > 0:
		return badRequest("state", "ids and state cannot be given together")
	case len(ids) > maxReplay:
		return badRequest("ids", "at most "+strconv.Itoa(maxReplay)+" deliveries are begun anew at once")
	}
	if len(states) > 0 {
		found, err := s.options.Channels.Deliveries(s.life, c.Name(), states, "", maxReplay)
		if err != nil {
			return err
		}
		for i := len(found) - 1; i >= 0; i-- { // the oldest first
			if !found[i].State.Open() {
				ids = append(ids, found[i].ID)
			}
		}
	}
	type left struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
	}
	result := struct {
		Object   string   `json:"object"`
		Replayed []string `json:"replayed"`
		Left     []left   `json:"left"`
	}{"replay", []string{}, []left{}}
	for _, id := range ids {
		if err := s.options.Channels.Replay(s.life, c.Name(), id); err != nil {
			result.Left = append(result.Left, left{id, errorOf(err).Message})
			continue
		}
		result.Replayed = append(result.Replayed, id)
	}
	return writeJSON(ctx, result)
}
