package channels

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Slack's headers; see https://docs.slack.dev/authentication/verifying-requests-from-slack.
const (
	headerSlackSignature = "X-Slack-Signature"
	headerSlackTimestamp = "X-Slack-Request-Timestamp"
)

type slack struct {
	secret    []byte
	events    []string
	tolerance time.Duration
}

func newSlack(s *Settings) (platform, error) {
	if s.Secret == "" {
		return nil, &SettingError{"secret", errMissing.Error()}
	}
	p := &slack{secret: []byte(s.Secret), events: s.Events, tolerance: s.Tolerance}
	if len(p.events) == 0 {
		// A mention in a channel comes as both a mention and a message.
		p.events = []string{"app_mention", "message.im"}
	}
	return p, nil
}

func (p *slack) verify(r *Request, now time.Time) error {
	timestamp := r.Header.Get(headerSlackTimestamp)
	given, ok := strings.CutPrefix(r.Header.Get(headerSlackSignature), "v0=")
	if !ok || timestamp == "" {
		return errNoSignature
	}
	if err := checkTime(timestamp, now, p.tolerance); err != nil {
		return err
	}
	if !equalHex(given, sign(p.secret, "v0:", timestamp, ":", string(r.Body))) {
		return errBadSignature
	}
	return nil
}

func (*slack) defaults() (text, session, id string) {
	return "/event/text", "", "/event_id"
}

var slackMention = regexp.MustCompile(`^\s*<@[A-Z0-9]+(\|[^>]*)?>[:,]?\s*`)

var slackUnescape = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// parse reads the Events API; see https://docs.slack.dev/apis/events-api.
func (p *slack) parse(d *document, m *Message) error {
	if d.at("type") == "url_verification" {
		m.Handshake = true
		m.Reply, _ = json.Marshal(map[string]string{"challenge": d.at("challenge")}) // strings marshal
		return nil
	}
	kind, where := d.at("event", "type"), d.at("event", "channel_type")
	switch {
	case d.at("type") != "event_callback":
		m.Ignored = "it is no event of the Events API"
	case d.has("event", "bot_id") || d.has("event", "bot_profile"):
		m.Ignored = "a bot has sent it"
	case d.has("event", "subtype"):
		m.Ignored = "it is a " + d.at("event", "subtype") + ", not a message"
	case d.has("event", "edited"):
		m.Ignored = "it is an edit"
	case !slices.Contains(p.events, kind) && !slices.Contains(p.events, kind+"."+where):
		m.Ignored = "the event " + strings.TrimSuffix(kind+"."+where, ".") + " is not one of the channel's"
	case slackIsOwn(d):
		m.Ignored = "it is the gateway's own"
	}
	d.text = slackUnescape.Replace(slackMention.ReplaceAllString(d.text, ""))
	if m.Conversation == "" {
		m.Conversation = slackConversation(d)
	}
	return nil
}

// slackIsOwn reports whether the app's own user has sent an event.
func slackIsOwn(d *document) bool {
	authorizations, _ := d.find("authorizations").([]any)
	for i := range authorizations {
		a, _ := authorizations[i].(map[string]any)
		if a["is_bot"] == true && a["user_id"] != nil && a["user_id"] == d.find("event", "user") {
			return true
		}
	}
	return false
}

// slackConversation is a thread, which a message in a channel begins; a direct
// talk outside of threads is one conversation.
func slackConversation(d *document) string {
	channel, thread := d.at("event", "channel"), d.at("event", "thread_ts")
	if thread == "" && d.at("event", "channel_type") != "im" {
		thread = d.at("event", "ts")
	}
	if thread == "" {
		return channel
	}
	return channel + ":" + thread
}

// slackReplier posts messages and edits them.
type slackReplier struct {
	caller
	url string
}

func newSlackReplier(s *Settings, client *http.Client) (replier, error) {
	url, err := apiURL(s, "https://slack.com/api")
	return &slackReplier{caller{client, http.Header{"Authorization": {"Bearer " + s.Token}}}, url}, err
}

type slackTarget struct {
	Channel string `json:"channel"`
	Thread  string `json:"thread_ts,omitempty"`
}

func (*slackReplier) target(d *document) (json.RawMessage, error) {
	t := slackTarget{d.at("event", "channel"), d.at("event", "thread_ts")}
	if t.Thread == "" && d.at("event", "channel_type") != "im" {
		t.Thread = d.at("event", "ts")
	}
	if t.Channel == "" {
		return nil, errors.New("it names no channel")
	}
	return json.Marshal(t)
}

// Slack advises 4,000 characters, and takes no more in an edit.
func (*slackReplier) split(text string) []string { return split(text, 4000, slackUnits) }

// slackUnits counts a character as Slack's escaping writes it.
func slackUnits(r rune) int {
	switch r {
	case '&':
		return 5
	case '<', '>':
		return 4
	}
	return 1
}

// One message a second, and 50 edits a minute and workspace:
// https://docs.slack.dev/apis/web-api/rate-limits.
func (*slackReplier) pace() Pace { return Pace{Edit: 2 * time.Second} }

var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (r *slackReplier) post(ctx context.Context, target json.RawMessage, text string, _ Post) (string, error) {
	var t slackTarget
	if err := json.Unmarshal(target, &t); err != nil {
		return "", err
	}
	body := map[string]any{"channel": t.Channel, "text": slackEscape.Replace(text)}
	if t.Thread != "" {
		body["thread_ts"] = t.Thread
	}
	a, err := r.slackCall(ctx, "chat.postMessage", body)
	return a.TS, err
}

func (r *slackReplier) edit(ctx context.Context, target json.RawMessage, ref, text string) error {
	var t slackTarget
	if err := json.Unmarshal(target, &t); err != nil {
		return err
	}
	_, err := r.slackCall(ctx, "chat.update", map[string]any{"channel": t.Channel, "ts": ref, "text": slackEscape.Replace(text)})
	return err
}

type slackAnswer struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
	TS    string `json:"ts"`
}

func (r *slackReplier) slackCall(ctx context.Context, method string, body any) (slackAnswer, error) {
	a, err := r.call(ctx, http.MethodPost, r.url+"/"+method, body)
	if err != nil {
		return slackAnswer{}, err
	}
	if err := a.failure(); err != nil {
		return slackAnswer{}, err
	}
	var said slackAnswer
	if err := json.Unmarshal(a.body, &said); err != nil {
		return slackAnswer{}, &ReplyError{Message: method + ": the answer is not Slack's"}
	}
	if said.OK {
		return said, nil
	}
	switch said.Error {
	case "message_not_found":
		return said, errGone
	case "ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org":
		return said, &ReplyError{Message: method + ": " + said.Error, RetryAfter: a.retryAfter}
	}
	return said, &ReplyError{Message: method + ": " + said.Error, Permanent: true}
}
