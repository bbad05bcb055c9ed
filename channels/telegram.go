package channels

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"
)

const headerTelegramSecret = "X-Telegram-Bot-Api-Secret-Token"

// telegram takes updates; see https://core.telegram.org/bots/api#setwebhook.
type telegram struct{ secret string }

var telegramSecret = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

func newTelegram(s *Settings) (platform, error) {
	if s.Secret == "" {
		return nil, &SettingError{"secret", "is missing: it is the secret_token of setWebhook"}
	}
	if !telegramSecret.MatchString(s.Secret) {
		return nil, &SettingError{"secret", "Telegram's secret_token is 1 to 256 of the characters A-Z a-z 0-9 _ and -"}
	}
	return &telegram{s.Secret}, nil
}

func (p *telegram) verify(r *Request, _ time.Time) error {
	switch given := r.Header.Get(headerTelegramSecret); {
	case given == "":
		return errNoSignature
	case !equalText(given, p.secret):
		return errBadSignature
	}
	return nil
}

func (*telegram) defaults() (text, session, id string) {
	return "{{/message/text|/message/caption}}", "", "/update_id"
}

func (*telegram) parse(d *document, m *Message) error {
	switch {
	case !d.has("update_id"):
		return &BodyError{"it is no update of Telegram: update_id is missing"}
	case !d.has("message"):
		m.Ignored = "it is no new message"
	case d.is("message", "from", "is_bot"):
		m.Ignored = "a bot has sent it"
	}
	if m.Conversation == "" {
		m.Conversation = d.at("message", "chat", "id")
		if d.is("message", "is_topic_message") {
			m.Conversation += ":" + d.at("message", "message_thread_id")
		}
	}
	return nil
}

// telegramReplier sends messages and edits them.
type telegramReplier struct {
	caller
	url string // with the token, and so never told
}

func newTelegramReplier(s *Settings, client *http.Client) (replier, error) {
	url, err := apiURL(s, "https://api.telegram.org")
	return &telegramReplier{caller{client, nil}, url + "/bot" + s.Token + "/"}, err
}

type telegramTarget struct {
	Chat    json.Number `json:"chat_id"`
	Thread  json.Number `json:"message_thread_id,omitempty"`
	Message json.Number `json:"message_id,omitempty"`
}

func (*telegramReplier) target(d *document) (json.RawMessage, error) {
	t := telegramTarget{Chat: d.number("message", "chat", "id")}
	if t.Chat == "" {
		return nil, errors.New("it names no chat")
	}
	if d.is("message", "is_topic_message") {
		t.Thread = d.number("message", "message_thread_id")
	}
	if d.at("message", "chat", "type") != "private" {
		t.Message = d.number("message", "message_id")
	}
	return json.Marshal(t)
}

// number is the integer at a path, or "".
func (d *document) number(path ...string) json.Number {
	n, _ := d.find(path...).(json.Number)
	if _, err := n.Int64(); err != nil {
		return ""
	}
	return n
}

// Telegram counts 4,096 UTF-16 code units.
func (*telegramReplier) split(text string) []string { return split(text, 4096, utf16Units) }

// About a message a second in one chat and 20 a minute in a group:
// https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this.
// "typing" is shown for 5 seconds.
func (*telegramReplier) pace() Pace {
	return Pace{Edit: 3 * time.Second, Working: 4500 * time.Millisecond}
}

func (r *telegramReplier) post(ctx context.Context, target json.RawMessage, text string, p Post) (string, error) {
	body, err := r.body(target)
	if err != nil {
		return "", err
	}
	body["text"] = text
	if id, ok := body["message_id"]; ok && p.First {
		body["reply_parameters"] = map[string]any{"message_id": id, "allow_sending_without_reply": true}
	}
	delete(body, "message_id")
	result, err := r.telegramCall(ctx, "sendMessage", body)
	if err != nil {
		return "", err
	}
	var sent struct {
		ID json.Number `json:"message_id"`
	}
	if err := json.Unmarshal(result, &sent); err != nil {
		return "", &ReplyError{Message: "sendMessage: the answer is not Telegram's"}
	}
	return sent.ID.String(), nil
}

func (r *telegramReplier) edit(ctx context.Context, target json.RawMessage, ref, text string) error {
	body, err := r.body(target)
	if err != nil {
		return err
	}
	delete(body, "message_thread_id")
	body["message_id"], body["text"] = json.Number(ref), text
	_, err = r.telegramCall(ctx, "editMessageText", body)
	return err
}

func (r *telegramReplier) working(ctx context.Context, target json.RawMessage) error {
	body, err := r.body(target)
	if err != nil {
		return err
	}
	delete(body, "message_id")
	body["action"] = "typing"
	_, err = r.telegramCall(ctx, "sendChatAction", body)
	return err
}

func (*telegramReplier) body(target json.RawMessage) (map[string]any, error) {
	var t telegramTarget
	if err := json.Unmarshal(target, &t); err != nil {
		return nil, err
	}
	body := map[string]any{"chat_id": t.Chat}
	if t.Thread != "" {
		body["message_thread_id"] = t.Thread
	}
	if t.Message != "" {
		body["message_id"] = t.Message
	}
	return body, nil
}

func (r *telegramReplier) telegramCall(ctx context.Context, method string, body any) (json.RawMessage, error) {
	a, err := r.call(ctx, http.MethodPost, r.url+method, body)
	if err != nil {
		return nil, err
	}
	var said struct {
		OK          bool            `json:"ok"`
		Description string          `json:"description"`
		Result      json.RawMessage `json:"result"`
		Parameters  struct {
			RetryAfter int `json:"retry_after"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(a.body, &said); err != nil || !said.OK && said.Description == "" {
		if err := a.failure(); err != nil {
			return nil, err
		}
		return nil, &ReplyError{Message: method + ": the answer is not Telegram's"}
	}
	switch {
	case said.OK, strings.Contains(said.Description, "message is not modified"):
		return said.Result, nil
	case strings.Contains(said.Description, "message to edit not found"), strings.Contains(said.Description, "message can't be edited"):
		return nil, errGone
	}
	e := &ReplyError{Message: method + ": " + said.Description, Permanent: permanent(a.status)}
	if said.Parameters.RetryAfter > 0 {
		e.RetryAfter, e.Permanent = time.Duration(said.Parameters.RetryAfter)*time.Second, false
	}
	return nil, e
}
