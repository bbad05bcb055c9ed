package transport

import (
	"encoding/json"
	"strconv"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/transport/responses"
)

// getResponse answers GET /v1/responses/:id, and with ?stream=true tells the
// response's events, those past ?starting_after=.
func (s *Server) getResponse(ctx *fasthttp.RequestCtx, r *request) error {
	owner, err := ownerOf(ctx, r)
	if err != nil {
		return err
	}
	stream, err := queryBool(ctx, "stream")
	if err != nil {
		return err
	}
	if obfuscate, err := queryBool(ctx, "include_obfuscation"); err != nil {
		return err
	} else if obfuscate {
		return badRequest("include_obfuscation", "streams are not obfuscated here")
	}
	if err := checkInclude(ctx); err != nil {
		return err
	}
	after, err := startingAfter(ctx, stream)
	if err != nil {
		return err
	}
	_, ref, told, kept, err := s.findResponse(pathID(ctx), owner, stream)
	if err != nil {
		return err
	}
	if !stream {
		return s.writeResponse(ctx, ref, told, kept)
	}
	ctx.Response.Header.Set("X-Session-Id", ref.Session)
	ctx.Response.Header.Set("X-Turn-Id", ref.Turn)
	s.watchEvents(ctx, r, nil, told.Rest).responseStream(builderOf(ref, told, kept, after), told.Events)
	return nil
}

// tellResponse writes a response as it stands.
func (s *Server) tellResponse(ctx *fasthttp.RequestCtx, r *request, key actors.Key, ref responses.Ref) error {
	_, ref, told, kept, err := s.findResponse(ref.ID(), key.Owner, false)
	if err != nil {
		return err
	}
	return s.writeResponse(ctx, ref, told, kept)
}

// allSeen is the number of the last event that a client could have seen.
const allSeen = 1<<53 - 1

func builderOf(ref responses.Ref, told *actors.ToldTurn, kept responses.Kept, after int64) *responses.Builder {
	return responses.NewBuilder(responses.New(ref.ID(), told.Accepted, kept.Settings), ref.Turn, after)
}

func (s *Server) writeResponse(ctx *fasthttp.RequestCtx, ref responses.Ref, told *actors.ToldTurn, kept responses.Kept) error {
	defer told.Rest.Close()
	b := builderOf(ref, told, kept, allSeen)
	events := told.Events
	for {
		for i := range events {
			if _, last := b.Add(nil, &events[i]); last {
				return writeJSON(ctx, b.Response())
			}
		}
		var err error
		if events, err = told.Rest.Read(nil, maxRead); err != nil {
			return readError(err)
		}
		if len(events) == 0 {
			return writeJSON(ctx, b.Response())
		}
	}
}

// cancelResponse answers POST /v1/responses/:id/cancel. One that is over stays as it
// is.
func (s *Server) cancelResponse(ctx *fasthttp.RequestCtx, r *request) error {
	if b, err := parseBody(ctx, true); err != nil {
		return err
	} else if err := nothingElse(b); err != nil {
		return err
	}
	key, ref, told, kept, err := s.findResponse(pathID(ctx), r.identity.Owner, false)
	if err != nil {
		return err
	}
	if told.Ended {
		return s.writeResponse(ctx, ref, told, kept)
	}
	if err := s.endResponse(ctx, r, key, ref, told); err != nil {
		return err
	}
	return s.tellResponse(ctx, r, key, ref)
}

// endResponse cancels a response and returns when it is over.
func (s *Server) endResponse(ctx *fasthttp.RequestCtx, r *request, key actors.Key, ref responses.Ref, told *actors.ToldTurn) error {
	w := s.watchEvents(ctx, r, nil, told.Rest)
	defer w.done()
	if _, err := s.options.Sessions.Cancel(key, ref.Turn); err != nil {
		return err
	}
	for {
		events, err := w.next(nil)
		if err != nil {
			return err
		}
		for i := range events {
			if events[i].Kind.Ends() {
				return nil
			}
		}
	}
}

// deleteResponse answers DELETE /v1/responses/:id. What it has left in a
// conversation stays there.
func (s *Server) deleteResponse(ctx *fasthttp.RequestCtx, r *request) error {
	key, ref, told, kept, err := s.findResponse(pathID(ctx), r.identity.Owner, false)
	if err != nil {
		return err
	}
	if told.Ended {
		told.Rest.Close()
	} else if err := s.endResponse(ctx, r, key, ref, told); err != nil {
		return err
	}
	err = s.options.Sessions.Hide(key, actors.HideTurn{Turn: ref.Turn, Place: ref.Place, Forget: kept.Settings.Conversation == nil})
	if err != nil {
		return err
	}
	return writeJSON(ctx, deletedJSON{ref.ID(), "response", true})
}

type deletedJSON struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

// responseInput answers GET /v1/responses/:id/input_items: the items that came with
// the request.
func (s *Server) responseInput(ctx *fasthttp.RequestCtx, r *request) error {
	owner, err := ownerOf(ctx, r)
	if err != nil {
		return err
	}
	page, err := pageOf(ctx)
	if err != nil {
		return err
	}
	_, ref, told, kept, err := s.findResponse(pathID(ctx), owner, false)
	if err != nil {
		return err
	}
	told.Rest.Close()
	var items []responses.Item
	for i := range told.Start.Input {
		if i < kept.History {
			continue
		}
		more, err := responses.ItemsOf(ref.Turn, i, &told.Start.Input[i], nil, false)
		if err != nil {
			return err
		}
		items = append(items, more...)
	}
	return page.write(ctx, items)
}

// page is the part of a list that a client wants.
type page struct {
	after      string
	limit      int
	descending bool
}

func pageOf(ctx *fasthttp.RequestCtx) (*page, error) {
	args := ctx.QueryArgs()
	p := &page{after: string(args.Peek("after")), limit: defaultPage, descending: true}
	if args.Has("limit") {
		var err error
		if p.limit, err = strconv.Atoi(string(args.Peek("limit"))); err != nil || p.limit < 1 || p.limit > maxPage {
			return nil, badRequest("limit", "limit is a number from 1 to "+strconv.Itoa(maxPage))
		}
	}
	if args.Has("order") {
		order := string(args.Peek("order"))
		if order != "asc" && order != "desc" {
			return nil, badRequest("order", "order is asc or desc")
		}
		p.descending = order == "desc"
	}
	return p, checkInclude(ctx)
}

type itemList struct {
	Object string            `json:"object"`
	Data   []json.RawMessage `json:"data"`
	First  string            `json:"first_id"` // "" where there is none
	Last   string            `json:"last_id"`
	More   bool              `json:"has_more"`
}

// write answers with the part of the items that is wanted.
func (p *page) write(ctx *fasthttp.RequestCtx, items []responses.Item) error {
	if p.descending {
		items = reversed(items)
	}
	if p.after != "" {
		at := itemAt(items, p.after)
		if at < 0 {
			return &Error{Code: CodeNotFound, Param: "after", Message: "there is no item " + p.after + " to list after"}
		}
		items = items[at+1:]
	}
	more := len(items) > p.limit
	return writeItems(ctx, items[:min(p.limit, len(items))], more)
}

func writeItems(ctx *fasthttp.RequestCtx, items []responses.Item, more bool) error {
	l := itemList{Object: "list", Data: make([]json.RawMessage, len(items)), More: more}
	for i := range items {
		l.Data[i] = items[i].JSON
	}
	if n := len(items); n > 0 {
		l.First, l.Last = items[0].ID, items[n-1].ID
	}
	return writeJSON(ctx, l)
}

func reversed(items []responses.Item) []responses.Item {
	out := make([]responses.Item, len(items))
	for i := range items {
		out[len(items)-1-i] = items[i]
	}
	return out
}

func itemAt(items []responses.Item, id string) int {
	for i := range items {
		if items[i].ID == id {
			return i
		}
	}
	return -1
}

// nothingElse refuses members that nobody has taken.
func nothingElse(b body) error {
	for name := range b {
		return badRequest(name, "there is no field "+strconv.Quote(name)+" here")
	}
	return nil
}

func queryBool(ctx *fasthttp.RequestCtx, name string) (bool, error) {
	if !ctx.QueryArgs().Has(name) {
		return false, nil
	}
	switch string(ctx.QueryArgs().Peek(name)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, badRequest(name, name+" is true or false")
}

// checkInclude refuses to include what is not there. Clients write lists in two ways.
func checkInclude(ctx *fasthttp.RequestCtx) error {
	args := ctx.QueryArgs()
	for _, value := range append(args.PeekMulti("include"), args.PeekMulti("include[]")...) {
		if err := responses.CheckInclude(string(value), "include"); err != nil {
			return err
		}
	}
	return nil
}

func startingAfter(ctx *fasthttp.RequestCtx, stream bool) (int64, error) {
	args := ctx.QueryArgs()
	if !args.Has("starting_after") {
		return -1, nil
	}
	if !stream {
		return 0, badRequest("starting_after", "starting_after is for streams: add stream=true")
	}
	after, err := strconv.ParseInt(string(args.Peek("starting_after")), 10, 64)
	if err != nil || after < 0 || after > allSeen {
		return 0, badRequest("starting_after", "starting_after is the sequence_number of an event")
	}
	return after, nil
}
