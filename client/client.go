// Package client talks to a gateway as its command line does: it says things in a
// session, hears the answer while it grows, and takes it up again when the
// connection breaks.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Client speaks with one gateway. It is safe for use by many goroutines.
type Client struct {
	// Address finds the gateway's base URL; it is asked anew for each request, as
	// a gateway that was started again may be elsewhere.
	Address func() (string, error)
	// Token is sent as a bearer token; "" sends none.
	Token string
	// HTTP makes the requests; nil means http.DefaultClient. It must have no
	// timeout of its own: answers take as long as they take.
	HTTP *http.Client
}

// Error is a gateway's refusal.
type Error struct {
	Status  int
	Code    string // the stable code, such as auth_required
	Message string
}

func (e *Error) Error() string { return e.Message }

// maxBody bounds an answer that is no stream, in bytes.
const maxBody = 64 << 20

// Message is one of a session's.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Messages are all of a session's, the oldest first; none where there is no such
// session.
func (c *Client) Messages(ctx context.Context, session string) ([]Message, error) {
	var list struct{ Data []Message }
	err := c.call(ctx, http.MethodGet, "/v1/sessions/"+url.PathEscape(session)+"/messages", nil, &list)
	if e, ok := err.(*Error); ok && e.Status == http.StatusNotFound {
		return nil, nil
	}
	return list.Data, err
}

// Cancel ends a turn; what it has said stays.
func (c *Client) Cancel(ctx context.Context, session, turn string) error {
	return c.call(ctx, http.MethodPost, "/v1/sessions/"+url.PathEscape(session)+"/cancel", map[string]string{"turn_id": turn}, nil)
}

// Ping tells whether the gateway takes the token.
func (c *Client) Ping(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/ping", map[string]string{}, nil)
}

// call makes a request and reads the whole answer into v.
func (c *Client) call(ctx context.Context, method, path string, body, v any) error {
	resp, err := c.do(ctx, method, path, body, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil || v == nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// do makes a request. An answer that is no 2xx is an [*Error].
func (c *Client) do(ctx context.Context, method, path string, body any, header http.Header) (*http.Response, error) {
	address, err := c.Address()
	if err != nil {
		return nil, err
	}
	var data []byte
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, address+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

func refusal(resp *http.Response) *Error {
	var body struct {
		Error struct{ Message, Code string }
	}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(data, &body) != nil || body.Error.Message == "" {
		return &Error{Status: resp.StatusCode, Message: fmt.Sprintf("the gateway answers %s", resp.Status)}
	}
	return &Error{Status: resp.StatusCode, Code: body.Error.Code, Message: body.Error.Message}
}
