package transport

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
)

const (
	defaultPage = 20
	maxPage     = 100
)

// everybody stands for all owners in ?owner=. No owner has this name.
const everybody = "*"

// listSessions answers GET /v1/sessions, newest first.
func (s *Server) listSessions(ctx *fasthttp.RequestCtx, r *request) error {
	owner, err := ownerOf(ctx, r)
	if err != nil {
		return err
	}
	limit, err := pageSize(ctx)
	if err != nil {
		return err
	}
	detail, err := flagOf(ctx, "detail")
	if err != nil {
		return err
	}
	after := string(ctx.QueryArgs().Peek("after"))
	if detail || owner == everybody {
		return s.overview(ctx, owner, after, limit)
	}
	listed, err := s.options.Sessions.List(s.life, owner, after, limit+1)
	if err != nil {
		return err
	}
	type item struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		Updated int64  `json:"updated"`
	}
	items := make([]item, len(listed))
	for i, l := range listed {
		items[i] = item{l.Name, "session", l.Created.Unix(), l.Updated.Unix()}
	}
	return writePage(ctx, items, limit, func(i item) string { return i.ID })
}

// overview lists sessions with all that is known of them.
func (s *Server) overview(ctx *fasthttp.RequestCtx, owner, after string, limit int) error {
	key := actors.Key{Owner: owner, Name: after}
	if owner == everybody {
		owner = ""
		if key.Owner = string(ctx.QueryArgs().Peek("after_owner")); after != "" && key.Owner == "" {
			return badRequest("after_owner", "with owner=* a page begins after a session and its owner, after_owner")
		}
	}
	glances, err := s.options.Sessions.Overview(s.life, owner, key, limit+1)
	if err != nil {
		return err
	}
	type item struct {
		sessionJSON
		Owner string `json:"owner"`
	}
	items := make([]item, len(glances))
	for i := range glances {
		items[i] = item{sessionBody(&glances[i].Description), glances[i].Owner}
		if !glances[i].Live {
			items[i].State = "passivated"
		}
	}
	return writePage(ctx, items, limit, func(i item) string { return i.ID })
}

func pageSize(ctx *fasthttp.RequestCtx) (int, error) {
	args := ctx.QueryArgs()
	if !args.Has("limit") {
		return defaultPage, nil
	}
	limit, err := strconv.Atoi(string(args.Peek("limit")))
	if err != nil || limit < 1 || limit > maxPage {
		return 0, badRequest("limit", "limit is a number from 1 to "+strconv.Itoa(maxPage))
	}
	return limit, nil
}

// flagOf reads a parameter that is true or false; without it, it is false.
func flagOf(ctx *fasthttp.RequestCtx, name string) (bool, error) {
	args := ctx.QueryArgs()
	if !args.Has(name) {
		return false, nil
	}
	switch string(args.Peek(name)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, badRequest(name, name+" is true or false")
}

// writePage answers with a page of at most limit items. One item more than that
// tells that there are more.
func writePage[T any](ctx *fasthttp.RequestCtx, items []T, limit int, id func(T) string) error {
	page := struct {
		Object string  `json:"object"`
		Data   []T     `json:"data"`
		First  *string `json:"first_id"`
		Last   *string `json:"last_id"`
		More   bool    `json:"has_more"`
	}{Object: "list", Data: items[:min(limit, len(items))], More: len(items) > limit}
	if n := len(page.Data); n > 0 {
		first, last := id(page.Data[0]), id(page.Data[n-1])
		page.First, page.Last = &first, &last
	}
	return writeJSON(ctx, page)
}
