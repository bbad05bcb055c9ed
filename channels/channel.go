// Package channels speaks with the platforms that send webhooks: how each signs
// what it sends, where the text, the conversation and the delivery's id stand in
// it, and how an answer goes back.
//
// A [Channel] is made once of its [Settings] and is safe for use by many
// goroutines; it keeps no state of deliveries. [Channel.Verify] and
// [Channel.Parse] look at a [Request] and nothing else. [Channel.Put] calls the
// platform, through a client that reaches no private address unless the channel
// allows it.
package channels

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Kind is a platform, or one of the forms that any sender can use.
type Kind string

// The kinds.
const (
	Generic         Kind = "generic"           // a bearer token
	StandardWebhook Kind = "standard-webhooks" // https://www.standardwebhooks.com
	GitHub          Kind = "github"
	Slack           Kind = "slack"
	Telegram        Kind = "telegram"
	Discord         Kind = "discord"
	Custom          Kind = "custom" // HMAC-SHA256 in a header of one's own
)

// Settings are what a channel is made of. Zero values mean the kind's defaults.
type Settings struct {
	Name string
	Kind Kind
	// Secret is what the sender signs with: GitHub's webhook secret, Slack's
	// signing secret, Telegram's secret_token, a whsec_ secret of Standard
	// Webhooks, or the key of Custom.
	Secret string
	// PublicKey is Discord's, in hexadecimal.
	PublicKey string
	// Token is what the platform's API is called with; APIURL where that is.
	Token, APIURL string
	// Text, Prompt, SessionKey and DeliveryID are templates; see [Template].
	// Prompt may name {{text}}.
	Text, Prompt, SessionKey, DeliveryID string
	// Events are those that are answered: GitHub's event and action
	// ("issues.opened"), Slack's type and where it may be its channel_type
	// ("message.im").
	Events []string
	// Tolerance is how far a signed timestamp may be from now; 0 is 5 minutes.
	Tolerance time.Duration
	// SignatureHeader, SignaturePrefix, SignatureEncoding ("hex" or "base64") and
	// TimestampHeader are Custom's. Where there is a timestamp, TIMESTAMP.BODY is
	// signed, else the body.
	SignatureHeader, SignaturePrefix, SignatureEncoding, TimestampHeader string
	// Reply is where answers go: "platform", "url" or "none"; "" is the platform
	// where it can be called, else ReplyURL where there is one, else nowhere.
	Reply string
	// ReplyURL is a template; ReplySecret signs what is sent there.
	ReplyURL, ReplySecret string
	// NoStream keeps an answer back until it is whole, where the platform could
	// show it growing.
	NoStream bool
	// AllowPrivate lets calls go to addresses that are not public.
	AllowPrivate bool
}

// SettingError tells what is wrong with a channel's settings.
type SettingError struct {
	// Key is the setting's name in the configuration, such as "secret".
	Key     string
	Message string
}

func (e *SettingError) Error() string { return e.Key + ": " + e.Message }

// Request is what a sender has sent.
type Request struct {
	Header http.Header
	Body   []byte
}

// Message is what a request says.
type Message struct {
	// ID is the sender's name for the delivery, or "".
	ID string
	// Conversation is the key of the conversation it belongs to; "" is the
	// channel's only one.
	Conversation string
	// Text is what the agent is asked.
	Text string
	// Ignored says why it is not answered, or is "".
	Ignored string
	// Target is where the answer goes, in the channel's own words; nil is nowhere.
	Target json.RawMessage
	// Reply is the body of the HTTP answer where the platform wants a certain
	// one, else nil.
	Reply []byte
	// Handshake tells that Reply is all there is to it: no delivery is kept.
	Handshake bool
}

// Limits of a message.
const (
	// MaxText bounds what the agent is asked, in bytes.
	MaxText = 1 << 20
	// MaxID bounds a delivery's id, in bytes.
	MaxID = 255

	maxTarget = 16 << 10
)

const defaultTolerance = 5 * time.Minute

// Channel is a configured way in and out.
type Channel struct {
	settings Settings
	platform platform
	replies  replier // nil where answers go nowhere
	text     *Template
	prompt   *Template
	session  *Template
	id       *Template
	client   *http.Client
}

// platform is the part of a kind that looks at requests.
type platform interface {
	// verify checks who sent a request.
	verify(r *Request, now time.Time) error
	// parse fills in what the templates do not say.
	parse(d *document, m *Message) error
	// defaults are the templates where the settings have none.
	defaults() (text, session, id string)
}

// New makes a channel. Its error is a [*SettingError].
func New(s Settings) (*Channel, error) {
	if s.Tolerance <= 0 {
		s.Tolerance = defaultTolerance
	}
	c := &Channel{settings: s, client: NewClient(s.AllowPrivate)}
	var err error
	if c.platform, err = newPlatform(&c.settings); err != nil {
		return nil, err
	}
	if err := c.compile(); err != nil {
		return nil, err
	}
	if c.replies, err = newReplier(&c.settings, c.client); err != nil {
		return nil, err
	}
	return c, nil
}

func newPlatform(s *Settings) (platform, error) {
	switch s.Kind {
	case Generic:
		return generic{}, nil
	case StandardWebhook:
		return newStandard(s)
	case GitHub:
		return newGitHub(s)
	case Slack:
		return newSlack(s)
	case Telegram:
		return newTelegram(s)
	case Discord:
		return newDiscord(s)
	case Custom:
		return newCustom(s)
	}
	return nil, &SettingError{"kind", fmt.Sprintf("there is no kind %q", s.Kind)}
}

// compile reads the templates.
func (c *Channel) compile() error {
	s := &c.settings
	text, session, id := c.platform.defaults()
	for _, t := range []struct {
		key, written, standard string
		into                   **Template
	}{
		{"text", s.Text, text, &c.text},
		{"prompt", s.Prompt, "{{text}}", &c.prompt},
		{"session_key", s.SessionKey, session, &c.session},
		{"delivery_id", s.DeliveryID, id, &c.id},
	} {
		if t.written == "" {
			t.written = t.standard
		}
		var err error
		if *t.into, err = ParseTemplate(t.written); err != nil {
			return &SettingError{t.key, err.Error()}
		}
	}
	return nil
}

// Name is the channel's in the configuration.
func (c *Channel) Name() string { return c.settings.Name }

// Kind is the channel's.
func (c *Channel) Kind() Kind { return c.settings.Kind }

// Signed reports whether senders prove themselves by a signature or a secret.
func (c *Channel) Signed() bool { return c.settings.Kind != Generic }

// Verify checks that the sender knows the channel's secret. Its error is a
// [*SignatureError].
func (c *Channel) Verify(r *Request, now time.Time) error { return c.platform.verify(r, now) }

// SignatureError tells why a request is not believed.
type SignatureError struct{ Reason string }

func (e *SignatureError) Error() string { return e.Reason }

// BodyError tells why a body cannot be read.
type BodyError struct{ Reason string }

func (e *BodyError) Error() string { return e.Reason }

// Parse reads a request that was verified. Its error is a [*BodyError].
func (c *Channel) Parse(r *Request) (*Message, error) {
	d, err := readDocument(r)
	if err != nil {
		return nil, err
	}
	m := &Message{ID: c.id.expand(d), Conversation: c.session.expand(d)}
	d.text = strings.TrimSpace(c.text.expand(d))
	if err := c.platform.parse(d, m); err != nil {
		return nil, err
	}
	if m.Handshake {
		return m, nil
	}
	if len(m.ID) > MaxID || strings.ContainsFunc(m.ID, func(c rune) bool { return c < ' ' || c > '~' }) {
		return nil, &BodyError{fmt.Sprintf("the delivery's id must be 1 to %d printable characters of ASCII", MaxID)}
	}
	if len(d.text) > MaxText {
		m.Ignored = fmt.Sprintf("the text is longer than %d bytes", MaxText)
	}
	m.Text = c.prompt.expand(d)
	switch {
	case m.Ignored != "":
		m.Text = ""
	case d.text == "":
		m.Ignored, m.Text = "there is no text in it", ""
	case len(m.Text) > MaxText:
		m.Ignored, m.Text = fmt.Sprintf("the prompt is longer than %d bytes", MaxText), ""
	}
	if c.replies == nil {
		m.Target = nil
	} else if err := c.aim(d, m); err != nil {
		return nil, err
	}
	return m, nil
}

// aim lets the way back say where the answer of a request goes.
func (c *Channel) aim(d *document, m *Message) error {
	target, err := c.replies.target(d)
	if err != nil {
		if m.Ignored != "" {
			return nil // it needs no answer
		}
		return &BodyError{err.Error()}
	}
	if len(target) > maxTarget {
		return &BodyError{"what an answer would need of it is too long"}
	}
	m.Target = target
	return nil
}

// platforms are the kinds that can be called.
var platforms = []Kind{GitHub, Slack, Telegram, Discord}

// newReplier chooses the way back.
func newReplier(s *Settings, client *http.Client) (replier, error) {
	able := slices.Contains(platforms, s.Kind)
	way := s.Reply
	if way == "" {
		switch {
		case able && (s.Token != "" || s.Kind == Discord):
			way = "platform"
		case s.ReplyURL != "":
			way = "url"
		default:
			way = "none"
		}
	}
	switch way {
	case "none":
		return nil, nil
	case "url":
		return newURLReplier(s, client)
	case "platform":
		if !able {
			return nil, &SettingError{"reply", fmt.Sprintf("the kind %q has no platform to answer on, want \"url\" or \"none\"", s.Kind)}
		}
		if s.Token == "" && s.Kind != Discord {
			return nil, &SettingError{"token", "is missing: answers on the platform need its API token; or set reply to \"none\""}
		}
	default:
		return nil, &SettingError{"reply", fmt.Sprintf("got %q, want \"platform\", \"url\" or \"none\"", way)}
	}
	switch s.Kind {
	case GitHub:
		return newGitHubReplier(s, client)
	case Slack:
		return newSlackReplier(s, client)
	case Telegram:
		return newTelegramReplier(s, client)
	default:
		return newDiscordReplier(s, client)
	}
}

// apiURL is the base of a platform's API, without a slash at its end.
func apiURL(s *Settings, standard string) (string, error) {
	if s.APIURL == "" {
		return standard, nil
	}
	if err := checkURL(s.APIURL); err != nil {
		return "", &SettingError{"api_url", err.Error()}
	}
	return strings.TrimRight(s.APIURL, "/"), nil
}

// checkURL accepts what can be called.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return fmt.Errorf("want an http or https URL without a user")
	}
	return nil
}
