package channels

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// replier is a channel's way back.
type replier interface {
	// target says where the answer of a request goes.
	target(d *document) (json.RawMessage, error)
	// split cuts an answer into messages that the platform takes. Of a text that
	// grows, all but the last stay as they are.
	split(text string) []string
	// post sends one message and returns the platform's name for it.
	post(ctx context.Context, target json.RawMessage, text string, p Post) (string, error)
	// edit replaces a message; errGone means that it is not there any more.
	edit(ctx context.Context, target json.RawMessage, ref, text string) error
	pace() Pace
}

// worker is a replier that can show that an answer is being made.
type worker interface {
	working(ctx context.Context, target json.RawMessage) error
}

// Pace is how often a platform may be called for one answer that grows.
type Pace struct {
	// Edit is the time between two edits; 0 means that the answer is shown when
	// it is whole.
	Edit time.Duration
	// Working is the time between two signs that an answer is being made; 0
	// means that the platform has none.
	Working time.Duration
}

// Post tells of a message what else matters.
type Post struct {
	// First is that of the first of an answer's messages; Put sets it.
	First bool
	// Rewrite tells that what stands in the messages sent is no beginning of the
	// text, but what an earlier attempt has said.
	Rewrite bool
	// Delivery and Session name what is answered.
	Delivery, Session string
}

// ReplyError is an answer that could not be sent.
type ReplyError struct {
	Message string
	// RetryAfter is when the platform wants to be called again; 0 is not told.
	RetryAfter time.Duration
	// Permanent tells that another try would fail too.
	Permanent bool
}

func (e *ReplyError) Error() string { return e.Message }

var errGone = errors.New("the message is gone")

// Replies reports whether answers go anywhere.
func (c *Channel) Replies() bool { return c.replies != nil }

// Pace is the channel's, all zero where answers are sent whole.
func (c *Channel) Pace() Pace {
	if c.replies == nil || c.settings.NoStream {
		return Pace{}
	}
	return c.replies.pace()
}

// Working shows that an answer is being made, for a while.
func (c *Channel) Working(ctx context.Context, target json.RawMessage) error {
	w, ok := c.replies.(worker)
	if !ok {
		return nil
	}
	return w.working(ctx, target)
}

// Put makes the platform show an answer. sent names the messages in which it
// stands already, as an earlier Put of a beginning of the text returned them; what
// is new is put into the last of them and into further ones. It returns the names
// of all, also when it fails. Its error is a [*ReplyError] or the context's.
func (c *Channel) Put(ctx context.Context, target json.RawMessage, text string, sent []string, p Post) ([]string, error) {
	parts := c.replies.split(text)
	if c.replies.pace().Edit > 0 {
		first := len(sent) - 1
		if p.Rewrite {
			first = 0
		}
		for i := max(first, 0); i < min(len(sent), len(parts)); i++ {
			switch err := c.replies.edit(ctx, target, sent[i], parts[i]); {
			case errors.Is(err, errGone):
				sent = sent[:i]
			case err != nil:
				return sent, replyError(ctx, err)
			}
		}
	}
	for i := len(sent); i < len(parts); i++ {
		p.First = i == 0
		ref, err := c.replies.post(ctx, target, parts[i], p)
		if err != nil {
			return sent, replyError(ctx, err)
		}
		if ref == "" {
			ref = "-"
		}
		sent = append(sent[:len(sent):len(sent)], ref)
	}
	return sent, nil
}

func replyError(ctx context.Context, err error) error {
	var e *ReplyError
	if errors.As(err, &e) || ctx.Err() != nil {
		return err
	}
	return &ReplyError{Message: err.Error()}
}

// caller calls an API.
type caller struct {
	client *http.Client
	header http.Header
}

// apiAnswer is what an API said.
type apiAnswer struct {
	status     int
	header     http.Header
	body       []byte
	retryAfter time.Duration
}

// callTimeout bounds one call, maxAnswer what is read of its answer.
const (
	callTimeout = 20 * time.Second
	maxAnswer   = 256 << 10
)

func (c *caller) call(ctx context.Context, method, url string, body any) (*apiAnswer, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return nil, &ReplyError{Message: err.Error(), Permanent: true}
	}
	return c.send(ctx, method, url, bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil)
}

// send makes one request. Its error never tells the URL, which may hold a token.
func (c *caller) send(ctx context.Context, method, address string, body []byte, more http.Header) (*apiAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, &ReplyError{Message: "the address cannot be called", Permanent: true}
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	for _, h := range []http.Header{c.header, more} {
		for name, values := range h {
			req.Header[name] = values
		}
	}
	resp, err := c.client.Do(req)
	if err != nil {
		var refused *AddressError
		if errors.As(err, &refused) {
			return nil, &ReplyError{Message: refused.Error(), Permanent: true}
		}
		var told *url.Error
		if errors.As(err, &told) {
			err = told.Err
		}
		return nil, &ReplyError{Message: "the call failed: " + err.Error()}
	}
	defer resp.Body.Close()
	a := &apiAnswer{status: resp.StatusCode, header: resp.Header, retryAfter: retryAfter(resp.Header.Get("Retry-After"))}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return nil, &ReplyError{Message: "the call failed: its answer broke off"}
	}
	return a, nil
}

// failure tells why the status is no success, or returns nil.
func (a *apiAnswer) failure() error {
	if a.status >= 200 && a.status < 300 {
		return nil
	}
	return &ReplyError{Message: fmt.Sprintf("it was answered with status %d", a.status), RetryAfter: a.retryAfter, Permanent: permanent(a.status)}
}

// later is a failure that passes, at a time that the platform has told.
func (a *apiAnswer) later(after time.Duration) error {
	return &ReplyError{Message: fmt.Sprintf("it was answered with status %d", a.status), RetryAfter: max(after, a.retryAfter)}
}

// permanent reports whether a status will be the same the next time.
func permanent(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusLocked:
		return false
	}
	return status >= 300 && status < 500
}

// maxRetryAfter is the longest wait that is honoured.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(text string) time.Duration {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds > 0) {
			return 0
		}
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(time.Until(at), 0), maxRetryAfter)
	}
	return 0
}

// resetTime is the time until a moment in Unix seconds.
func resetTime(text string) time.Duration {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return min(max(time.Until(time.Unix(seconds, 0)), 0), maxRetryAfter)
}

// urlReplier posts answers to an address, signed by Standard Webhooks.
type urlReplier struct {
	caller
	channel string
	url     *Template
	key     []byte
}

func newURLReplier(s *Settings, client *http.Client) (replier, error) {
	if s.ReplyURL == "" {
		return nil, &SettingError{"reply_url", "is missing: answers are to go there"}
	}
	t, err := ParseTemplate(s.ReplyURL)
	if err != nil {
		return nil, &SettingError{"reply_url", err.Error()}
	}
	if len(t.parts) == 1 && t.parts[0].sources == nil {
		if err := checkURL(s.ReplyURL); err != nil {
			return nil, &SettingError{"reply_url", err.Error()}
		}
	}
	key, err := standardKey(s.ReplySecret)
	if errors.Is(err, errMissing) {
		err = errors.New("is missing: what goes to reply_url is signed with it")
	}
	if err != nil {
		return nil, &SettingError{"reply_secret", err.Error()}
	}
	return &urlReplier{caller{client, http.Header{"User-Agent": {"agentzero"}}}, s.Name, t, key}, nil
}

type urlTarget struct {
	URL string `json:"url"`
}

func (r *urlReplier) target(d *document) (json.RawMessage, error) {
	t := urlTarget{r.url.expand(d)}
	if err := checkURL(t.URL); err != nil {
		return nil, errors.New("it names no address for the answer: " + err.Error())
	}
	return json.Marshal(t)
}

func (*urlReplier) split(text string) []string { return []string{text} }

func (*urlReplier) pace() Pace { return Pace{} }

func (r *urlReplier) post(ctx context.Context, target json.RawMessage, text string, p Post) (string, error) {
	var t urlTarget
	if err := json.Unmarshal(target, &t); err != nil {
		return "", err
	}
	now := time.Now()
	body, err := json.Marshal(map[string]any{
		"type":      "delivery.answered",
		"timestamp": now.UTC().Format(time.RFC3339Nano),
		"data":      map[string]any{"channel": r.channel, "delivery_id": p.Delivery, "session_id": p.Session, "text": text},
	})
	if err != nil {
		return "", err
	}
	id := "reply_" + p.Delivery // the same at each try
	h := http.Header{}
	signStandard(h, r.key, id, strconv.FormatInt(now.Unix(), 10), body)
	a, err := r.send(ctx, http.MethodPost, t.URL, body, h)
	if err != nil {
		return "", err
	}
	return id, a.failure()
}

func (*urlReplier) edit(context.Context, json.RawMessage, string, string) error { return errGone }
