package channels

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Discord's headers; see
// https://docs.discord.com/developers/interactions/overview#setting-up-an-endpoint-validating-security-request-headers.
const (
	headerDiscordSignature = "X-Signature-Ed25519"
	headerDiscordTimestamp = "X-Signature-Timestamp"
)

type discord struct {
	key       ed25519.PublicKey
	tolerance time.Duration
}

func newDiscord(s *Settings) (platform, error) {
	key, err := hex.DecodeString(s.PublicKey)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, &SettingError{"public_key", "want the application's public key: 64 hexadecimal digits"}
	}
	return &discord{key, s.Tolerance}, nil
}

func (p *discord) verify(r *Request, now time.Time) error {
	timestamp := r.Header.Get(headerDiscordTimestamp)
	signature, err := hex.DecodeString(r.Header.Get(headerDiscordSignature))
	if err != nil || len(signature) != ed25519.SignatureSize || timestamp == "" {
		return errNoSignature
	}
	if err := checkTime(timestamp, now, p.tolerance); err != nil {
		return err
	}
	if !ed25519.Verify(p.key, append([]byte(timestamp), r.Body...), signature) {
		return errBadSignature
	}
	return nil
}

func (*discord) defaults() (text, session, id string) {
	return "", "{{/channel_id|/channel/id}}", "/id"
}

// Types of interactions and of what answers them; see
// https://docs.discord.com/developers/interactions/receiving-and-responding.
const (
	discordPing         = "1"
	discordCommand      = "2"
	discordAutocomplete = "4"

	discordPong     = `{"type":1}`
	discordDeferred = `{"type":5}`
	discordNothing  = `{"type":6}`                                                                             // nothing to be seen
	discordNoChoice = `{"type":8,"data":{"choices":[]}}`                                                       // of an autocompletion
	discordNoText   = `{"type":4,"data":{"flags":64,"content":"There is no text in this command to answer."}}` // seen by its sender alone
)

func (p *discord) parse(d *document, m *Message) error {
	switch kind := d.at("type"); kind {
	case discordPing:
		m.Handshake, m.Reply = true, []byte(discordPong)
	case discordCommand:
		if d.text == "" {
			d.text = strings.TrimSpace(discordText(d.find("data", "options"), 0))
		}
		m.Reply = []byte(discordDeferred)
		if d.text == "" {
			m.Reply = []byte(discordNoText)
		}
	case discordAutocomplete:
		m.Ignored, m.Reply = "it asks for completions", []byte(discordNoChoice)
	case "":
		return &BodyError{"it is no interaction of Discord: type is missing"}
	default:
		m.Ignored, m.Reply = "interactions of type "+kind+" are not answered", []byte(discordNothing)
	}
	return nil
}

// discordText joins the values of a command's options, and of those within.
func discordText(options any, depth int) string {
	list, _ := options.([]any)
	var texts []string
	for _, o := range list {
		option, _ := o.(map[string]any)
		if v, ok := option["value"]; ok {
			texts = append(texts, encode(v))
		} else if depth < 2 { // a group, a command in it
			texts = append(texts, discordText(option["options"], depth+1))
		}
	}
	return strings.Join(texts, " ")
}

// discordReplier fills in the deferred answer and follows it up. The
// interaction's token, which is all it needs, is good for 15 minutes.
type discordReplier struct {
	caller
	url string
}

func newDiscordReplier(s *Settings, client *http.Client) (replier, error) {
	url, err := apiURL(s, "https://discord.com/api/v10")
	return &discordReplier{caller{client, http.Header{"User-Agent": {"DiscordBot (agentzero, 1)"}}}, url}, err
}

type discordTarget struct {
	Application string `json:"application_id"`
	Token       string `json:"token"`
}

var discordToken = regexp.MustCompile(`^[A-Za-z0-9_.=-]{1,1000}$`)

func (*discordReplier) target(d *document) (json.RawMessage, error) {
	t := discordTarget{d.at("application_id"), d.at("token")}
	if !digits.MatchString(t.Application) || !discordToken.MatchString(t.Token) || strings.Contains(t.Token, "..") {
		return nil, errors.New("it has no token to answer with")
	}
	return json.Marshal(t)
}

// Discord takes 2,000 characters.
func (*discordReplier) split(text string) []string { return split(text, 2000, utf16Units) }

func (*discordReplier) pace() Pace { return Pace{} }

func (r *discordReplier) post(ctx context.Context, target json.RawMessage, text string, p Post) (string, error) {
	var t discordTarget
	if err := json.Unmarshal(target, &t); err != nil {
		return "", err
	}
	method, url := http.MethodPost, r.url+"/webhooks/"+t.Application+"/"+t.Token
	if p.First {
		method, url = http.MethodPatch, url+"/messages/@original"
	}
	// What a model says must not ring a whole server's bells.
	a, err := r.call(ctx, method, url, map[string]any{"content": text, "allowed_mentions": map[string]any{"parse": []string{}}})
	if err != nil {
		return "", err
	}
	var made struct {
		ID         string  `json:"id"`
		RetryAfter float64 `json:"retry_after"`
	}
	_ = json.Unmarshal(a.body, &made) // what is missing stays empty
	if a.status == http.StatusTooManyRequests && made.RetryAfter > 0 {
		return "", a.later(time.Duration(made.RetryAfter * float64(time.Second)))
	}
	return made.ID, a.failure()
}

func (*discordReplier) edit(context.Context, json.RawMessage, string, string) error { return errGone }
