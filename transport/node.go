package transport

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

// NodeControl lets the programs of an operator look at the nodes of a fleet and
// drain them, with a token that is good for nothing else.
type NodeControl struct {
	// Token is what a caller must send. Required.
	Token string
	// ID is this node's own.
	ID string
	// Allowed are the nodes that may be seen and acted on; none means all.
	Allowed []string
}

type nodeJSON struct {
	ID          string  `json:"node_id"`
	Status      string  `json:"status"` // ok or draining
	Version     string  `json:"version"`
	Uptime      float64 `json:"uptime_seconds"`
	Connections int64   `json:"connections"`
	Sessions    int     `json:"sessions"`
	Running     int64   `json:"running_turns"`
	Queued      int64   `json:"queued_turns"`
}

// nodeControl answers POST /api/node-control: node.list, node.describe, node.drain
// and node.undrain. A drained node refuses new turns and says so in /health; what
// runs ends, and the process stays until it is stopped, or takes work again.
func (s *Server) nodeControl(ctx *fasthttp.RequestCtx, _ *request) error {
	n := s.options.Node
	if n == nil {
		return fail(CodeNotFound, "node control is off; gateway.node_control.enabled turns it on")
	}
	if err := n.authenticate(ctx); err != nil {
		return err
	}
	b, err := parseBody(ctx, false)
	if err != nil {
		return err
	}
	var method, id string
	for _, err := range []error{b.takeText("method", &method), b.take("node_id", &id, "a string")} {
		if err != nil {
			return err
		}
	}
	switch method {
	case "node.list":
		return s.listNodes(ctx, n)
	case "node.describe", "node.drain", "node.undrain":
		if err := n.checkID(id); err != nil {
			return err
		}
		if method != "node.describe" && !s.setDrained(method == "node.drain") {
			return fail(CodeDraining, "the node is shutting down, and takes no work again")
		}
		return writeJSON(ctx, struct {
			OK     bool     `json:"ok"`
			Method string   `json:"method"`
			Node   nodeJSON `json:"node"`
		}{true, method, s.node(n)})
	default:
		return badRequest("method", "the method is node.list, node.describe, node.drain or node.undrain")
	}
}

func (s *Server) listNodes(ctx *fasthttp.RequestCtx, n *NodeControl) error {
	nodes := []nodeJSON{}
	if n.allows(n.ID) {
		nodes = append(nodes, s.node(n))
	}
	return writeJSON(ctx, struct {
		OK     bool       `json:"ok"`
		Method string     `json:"method"`
		Nodes  []nodeJSON `json:"nodes"`
	}{true, "node.list", nodes})
}

func (s *Server) node(n *NodeControl) nodeJSON {
	counts := s.options.Sessions.Counts()
	node := nodeJSON{
		ID: n.ID, Status: "ok", Version: s.options.Version, Uptime: time.Since(s.began).Seconds(),
		Connections: s.connections.open.Load(), Sessions: s.options.Sessions.Live(), Running: counts.Running, Queued: counts.Queued,
	}
	if s.draining.Load() {
		node.Status = "draining"
	}
	return node
}

// authenticate checks the token, which may come as the one of any API or in a
// header of its own.
func (n *NodeControl) authenticate(ctx *fasthttp.RequestCtx) error {
	token, given := bearer(ctx)
	if header := ctx.Request.Header.Peek("X-Node-Control-Token"); len(header) > 0 {
		token, given = header, true
	}
	if !given {
		return fail(CodeAuthRequired, "node control needs its own token: send `Authorization: Bearer TOKEN` or X-Node-Control-Token")
	}
	want, got := sha256.Sum256([]byte(n.Token)), sha256.Sum256(token)
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return fail(CodeAuthFailed, "this is not the token of node control")
	}
	return nil
}

func (n *NodeControl) allows(id string) bool {
	return len(n.Allowed) == 0 || slices.Contains(n.Allowed, id)
}

func (n *NodeControl) checkID(id string) error {
	switch {
	case id == "":
		return badRequest("node_id", "node_id must be a string that is not empty")
	case !n.allows(id):
		return &Error{Code: CodeAuthFailed, Param: "node_id", Message: "this node is not among gateway.node_control.allowed_node_ids"}
	case id != n.ID:
		return &Error{Code: CodeNotFound, Param: "node_id", Message: "there is no such node; node.list names those there are"}
	}
	return nil
}
