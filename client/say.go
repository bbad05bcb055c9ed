package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Turn is something said in a session.
type Turn struct {
	Session string
	Content string
	// Model is the one to answer; "" is the gateway's choice.
	Model string
	// Accepted, where it is not nil, is called with the turn's id once it has one.
	Accepted func(id string)
	// Text is called with each piece of the answer, in order and once.
	Text func(string)
	// Lost, where it is not nil, is called when the connection has broken, before
	// it is made again.
	Lost func(error)
	// Patience is how long a gateway that cannot be reached is waited for. 0 means
	// one minute.
	Patience time.Duration
}

// Outcome is how a turn has ended.
type Outcome struct {
	// Completed tells that the answer is whole; otherwise Message says what it
	// lacks, and Cancelled that it was cut short on purpose.
	Completed, Cancelled bool
	Message              string
	Model                string
}

// errEnded is a stream that ended before its turn did.
var errEnded = errors.New("the stream ended early")

// Say says something in a session and hears the answer to its end. When the
// connection breaks it is made again, and the answer goes on where it was: by the
// id of the last event heard or, where none was, by the same request with the same
// idempotency key. A refusal is an [*Error].
func (c *Client) Say(ctx context.Context, t Turn) (Outcome, error) {
	if t.Patience <= 0 {
		t.Patience = time.Minute
	}
	h := &hearing{client: c, turn: t, key: rand.Text()}
	wait := retryFirst
	var down time.Time // since when it cannot be reached
	for {
		heard := h.last
		outcome, err := h.listen(ctx)
		if err == nil {
			return outcome, nil
		}
		if ctx.Err() != nil {
			return Outcome{}, ctx.Err()
		}
		var refused *Error
		if errors.As(err, &refused) && refused.Code != "draining" && refused.Status < http.StatusBadGateway {
			return Outcome{}, err
		}
		if h.last != heard { // it was there in between
			down, wait = time.Time{}, retryFirst
		}
		if down.IsZero() {
			down = time.Now()
			if t.Lost != nil {
				t.Lost(err)
			}
		}
		if time.Since(down) > t.Patience || h.id == "" && refused != nil {
			return Outcome{}, err
		}
		select {
		case <-ctx.Done():
			return Outcome{}, ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, retryLast)
	}
}

// The pauses between two tries.
const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 3 * time.Second
)

// hearing is a turn that is being heard, over any number of connections.
type hearing struct {
	client *Client
	turn   Turn
	key    string // of idempotency
	id     string // of the turn, once it is known
	last   string // the id of the last event
}

// listen makes a connection and hears until the turn ends, or the connection does.
func (h *hearing) listen(ctx context.Context) (Outcome, error) {
	resp, err := h.connect(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer resp.Body.Close()
	if id := resp.Header.Get("X-Turn-Id"); id != "" && h.id == "" {
		h.id = id
		if h.turn.Accepted != nil {
			h.turn.Accepted(id)
		}
	}
	for stream := newEvents(resp.Body); ; {
		e, err := stream.next()
		if err != nil {
			return Outcome{}, errors.Join(errEnded, err)
		}
		outcome, ended, err := h.hear(e)
		if ended || err != nil {
			return outcome, err
		}
		h.last = e.id
	}
}

func (h *hearing) connect(ctx context.Context) (*http.Response, error) {
	path := "/v1/sessions/" + url.PathEscape(h.turn.Session)
	if h.last != "" {
		return h.client.do(ctx, http.MethodGet, path+"/events", nil, http.Header{"Last-Event-Id": {h.last}})
	}
	body := struct {
		Content string `json:"content"`
		Model   string `json:"model,omitempty"`
		Stream  bool   `json:"stream"`
	}{h.turn.Content, h.turn.Model, true}
	return h.client.do(ctx, http.MethodPost, path+"/messages", body, http.Header{"Idempotency-Key": {h.key}})
}

// eventData is what an event says.
type eventData struct {
	TurnID string `json:"turn_id"`
	Delta  string `json:"delta"`
	Model  string `json:"model"`
	Reason string `json:"reason"`
	Error  *struct {
		Message string `json:"message"`
		Code    string `json:"code"`
	} `json:"error"`
	Message string `json:"message"`
}

// hear takes an event. Those of other turns are passed over.
func (h *hearing) hear(e event) (outcome Outcome, ended bool, err error) {
	var d eventData
	if err := json.Unmarshal([]byte(e.data), &d); err != nil {
		return Outcome{}, true, errors.New("the gateway sends events that cannot be read")
	}
	if e.name == "gap" {
		return Outcome{Message: "a part of the answer is no longer kept for listeners; the session has all of it"}, true, nil
	}
	if e.name == "error" {
		return Outcome{}, false, errEnded // the stream's, not the turn's
	}
	if d.TurnID != h.id {
		return Outcome{}, false, nil
	}
	message := d.Message
	if d.Error != nil {
		message = d.Error.Message
	}
	switch e.name {
	case "delta":
		if d.Delta != "" {
			h.turn.Text(d.Delta)
		}
	case "turn.completed", "turn.merged":
		return Outcome{Completed: true, Model: d.Model}, true, nil
	case "turn.interrupted":
		return Outcome{Cancelled: d.Reason == "cancelled", Message: message}, true, nil
	case "turn.failed":
		return Outcome{Message: message}, true, nil
	}
	return Outcome{}, false, nil
}
