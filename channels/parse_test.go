package channels

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// payload is a platform's example, of testdata.
func payload(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestParse(t *testing.T) {
	var (
		generic  = channel(t, Settings{Kind: Generic})
		gitHub   = channel(t, Settings{Kind: GitHub, Secret: "x", Token: "t"})
		slack    = channel(t, Settings{Kind: Slack, Secret: "x", Token: "t"})
		telegram = channel(t, Settings{Kind: Telegram, Secret: "x", Token: "t"})
		discord  = channel(t, Settings{Kind: Discord, PublicKey: strings.Repeat("ab", 32)})
		own      = channel(t, Settings{Kind: Custom, Secret: "x", Text: "/a/0/b~1c", Prompt: "Say {{text}} for {{/who|/owner}} ({{header:X-Kind}}): {{/n}} {{/o}}", SessionKey: "k-{{/n}}", DeliveryID: "/n"})
	)
	event := func(name string) []string { return []string{"X-GitHub-Event", name, "X-GitHub-Delivery", "guid-1"} }
	for name, c := range map[string]struct {
		channel *Channel
		request *Request
		want    Message
	}{
		"a message":            {generic, request(`{"message":"hi","session_id":"s"}`, "X-Delivery-Id", "d1"), Message{ID: "d1", Conversation: "s", Text: "hi"}},
		"a text":               {generic, request(`{"text":"hi"}`), Message{Text: "hi"}},
		"content":              {generic, request(`{"content":"hi","message":""}`), Message{Text: "hi"}},
		"the whole":            {generic, request(`{"a": 1.50, "b":["<"]}`), Message{Text: `{"a":1.50,"b":["<"]}`}},
		"a list":               {generic, request(`[1]`), Message{Text: `[1]`}},
		"an empty text":        {generic, request(`""`), Message{Ignored: "there is no text in it"}},
		"a form":               {generic, request(`message=hi+there&x=1`, "Content-Type", "application/x-www-form-urlencoded"), Message{Text: "hi there"}},
		"JSON in a form":       {generic, request(`payload=%7B%22message%22%3A%22hi%22%7D`, "Content-Type", "application/x-www-form-urlencoded"), Message{Text: "hi"}},
		"JSON that says form":  {generic, request(`{"message":"a=b"}`, "Content-Type", "application/x-www-form-urlencoded"), Message{Text: "a=b"}},
		"templates":            {own, request(`{"a":[{"b/c":"hello"}],"owner":"ada","n":7,"o":{"x":null}}`, "X-Kind", "k"), Message{ID: "7", Conversation: "k-7", Text: `Say hello for ada (k): 7 {"x":null}`}},
		"templates of nothing": {own, request(`{"n":7}`), Message{ID: "7", Conversation: "k-7", Ignored: "there is no text in it"}},

		"a GitHub issue": {gitHub, request(payload(t, "github-issues-opened"), event("issues")...),
			Message{ID: "guid-1", Conversation: "Codertocat/Hello-World#1", Text: "Spelling error in the README file\n\nIt looks like you accidentally spelled 'commit' with two 't's.", Target: json.RawMessage(`{"repository":"Codertocat/Hello-World","number":"1"}`)}},
		"a GitHub comment": {gitHub, request(payload(t, "github-issue_comment-created"), event("issue_comment")...),
			Message{ID: "guid-1", Conversation: "Codertocat/Hello-World#1", Text: "You are totally right! I'll get this fixed right away.", Target: json.RawMessage(`{"repository":"Codertocat/Hello-World","number":"1"}`)}},
		"a GitHub pull request": {gitHub, request(payload(t, "github-pull_request-opened"), event("pull_request")...),
			Message{ID: "guid-1", Conversation: "Codertocat/Hello-World#2", Text: "Update the README with new information.\n\nThis is a pretty simple change that we need to pull into master.", Target: json.RawMessage(`{"repository":"Codertocat/Hello-World","number":"2"}`)}},
		"a GitHub edit": {gitHub, request(strings.Replace(payload(t, "github-issue_comment-created"), `"created"`, `"edited"`, 1), event("issue_comment")...),
			Message{ID: "guid-1", Conversation: "Codertocat/Hello-World#1", Ignored: "the event issue_comment.edited is not one of the channel's", Target: json.RawMessage(`{"repository":"Codertocat/Hello-World","number":"1"}`)}},
		"a GitHub bot": {gitHub, request(strings.ReplaceAll(payload(t, "github-issue_comment-created"), `"type": "User"`, `"type": "Bot"`), event("issue_comment")...),
			Message{ID: "guid-1", Conversation: "Codertocat/Hello-World#1", Ignored: "a bot has sent it", Target: json.RawMessage(`{"repository":"Codertocat/Hello-World","number":"1"}`)}},
		"a GitHub comment of ours": {gitHub, request(strings.Replace(payload(t, "github-issue_comment-created"), "right away.", `right away.\n\n<!-- agentzero -->`, 1), event("issue_comment")...),
			Message{ID: "guid-1", Conversation: "Codertocat/Hello-World#1", Ignored: "it is the gateway's own", Target: json.RawMessage(`{"repository":"Codertocat/Hello-World","number":"1"}`)}},
		"GitHub's ping": {gitHub, request(`{"zen":"Keep it logically awesome.","hook_id":1}`, event("ping")...),
			Message{ID: "guid-1", Conversation: "#", Ignored: "GitHub's ping"}},

		"Slack's handshake": {slack, request(payload(t, "slack-url_verification")), Message{Handshake: true, Reply: []byte(`{"challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}`)}},
		"a Slack mention": {slack, request(payload(t, "slack-app_mention")),
			Message{ID: "Ev0PV52K25", Conversation: "C0LAN2Q65:1515449522.000016", Text: "is it everything a river should be & more?", Target: json.RawMessage(`{"channel":"C0LAN2Q65","thread_ts":"1515449522.000016"}`)}},
		"a direct Slack message": {slack, request(payload(t, "slack-message-im")),
			Message{ID: "Ev9UQ52YNA", Conversation: "D0PNCRP9N", Text: "Hello hello can you hear me?", Target: json.RawMessage(`{"channel":"D0PNCRP9N"}`)}},
		"a Slack bot": {slack, request(strings.Replace(payload(t, "slack-message-im"), `"user":`, `"bot_id": "B1", "user":`, 1)),
			Message{ID: "Ev9UQ52YNA", Conversation: "D0PNCRP9N", Ignored: "a bot has sent it", Target: json.RawMessage(`{"channel":"D0PNCRP9N"}`)}},
		"a Slack edit": {slack, request(strings.Replace(payload(t, "slack-message-im"), `"user":`, `"subtype": "message_changed", "user":`, 1)),
			Message{ID: "Ev9UQ52YNA", Conversation: "D0PNCRP9N", Ignored: "it is a message_changed, not a message", Target: json.RawMessage(`{"channel":"D0PNCRP9N"}`)}},
		"a Slack message in a channel": {slack, request(strings.Replace(payload(t, "slack-message-im"), `"channel_type": "im"`, `"channel_type": "channel"`, 1)),
			Message{ID: "Ev9UQ52YNA", Conversation: "D0PNCRP9N:1355517523.000005", Ignored: "the event message.channel is not one of the channel's", Target: json.RawMessage(`{"channel":"D0PNCRP9N","thread_ts":"1355517523.000005"}`)}},

		"a Telegram message": {telegram, request(payload(t, "telegram-message")),
			Message{ID: "10000", Conversation: "1111111", Text: "/start", Target: json.RawMessage(`{"chat_id":1111111}`)}},
		"a Telegram message in a topic": {telegram, request(payload(t, "telegram-topic")),
			Message{ID: "10001", Conversation: "-1001234567890:42", Text: "What is new?", Target: json.RawMessage(`{"chat_id":-1001234567890,"message_thread_id":42,"message_id":77}`)}},
		"a Telegram edit": {telegram, request(strings.Replace(payload(t, "telegram-message"), `"message"`, `"edited_message"`, 1)),
			Message{ID: "10000", Ignored: "it is no new message"}},
		"a Telegram bot": {telegram, request(strings.Replace(payload(t, "telegram-message"), `"from":{`, `"from":{"is_bot":true,`, 1)),
			Message{ID: "10000", Conversation: "1111111", Ignored: "a bot has sent it", Target: json.RawMessage(`{"chat_id":1111111}`)}},

		"Discord's ping": {discord, request(`{"type":1}`), Message{Handshake: true, Reply: []byte(`{"type":1}`)}},
		"a Discord command": {discord, request(payload(t, "discord-command")),
			Message{ID: "786008729715212338", Conversation: "645027906669510667", Text: "The Gitrog Monster", Reply: []byte(`{"type":5}`), Target: json.RawMessage(`{"application_id":"775799577604522054","token":"A_UNIQUE_TOKEN"}`)}},
		"a Discord button": {discord, request(strings.Replace(payload(t, "discord-command"), `"type": 2`, `"type": 3`, 1)),
			Message{ID: "786008729715212338", Conversation: "645027906669510667", Ignored: "interactions of type 3 are not answered", Reply: []byte(`{"type":6}`), Target: json.RawMessage(`{"application_id":"775799577604522054","token":"A_UNIQUE_TOKEN"}`)}},
	} {
		m, err := c.channel.Parse(c.request)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, _ := json.Marshal(m)
		want, _ := json.Marshal(c.want)
		if string(got) != string(want) {
			t.Errorf("%s: got\n%s, want\n%s", name, got, want)
		}
	}
}

func TestBodiesThatCannotBeRead(t *testing.T) {
	generic := channel(t, Settings{Kind: Generic})
	url := channel(t, Settings{Kind: Generic, ReplyURL: "{{/reply}}", ReplySecret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	gitHub := channel(t, Settings{Kind: GitHub, Secret: "x", Token: "t"})
	for name, c := range map[string]struct {
		channel *Channel
		request *Request
	}{
		"nothing":                   {generic, request("")},
		"no JSON":                   {generic, request("hello")},
		"two values":                {generic, request("{} {}")},
		"half":                      {generic, request(`{"a":`)},
		"an empty form":             {generic, request("", "Content-Type", "application/x-www-form-urlencoded")},
		"a broken form":             {generic, request("%zz", "Content-Type", "application/x-www-form-urlencoded")},
		"a long id":                 {generic, request(`{"message":"x"}`, "X-Delivery-Id", strings.Repeat("x", 256))},
		"an id not of ASCII":        {generic, request(`{"message":"x","delivery_id":"ä"}`)},
		"no address":                {url, request(`{"message":"x"}`)},
		"an address that is none":   {url, request(`{"message":"x","reply":"file:///etc/passwd"}`)},
		"a repository that is none": {gitHub, request(`{"action":"created","issue":{"number":1},"comment":{"body":"x"},"repository":{"full_name":"../user"}}`, "X-GitHub-Event", "issue_comment")},
		"no Telegram update":        {channel(t, Settings{Kind: Telegram, Secret: "x"}), request(`{"message":{"text":"x"}}`)},
		"no Discord":                {channel(t, Settings{Kind: Discord, PublicKey: strings.Repeat("ab", 32)}), request(`{}`)},
	} {
		_, err := c.channel.Parse(c.request)
		var e *BodyError
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWhatIsTooLongIsIgnored(t *testing.T) {
	m, err := channel(t, Settings{Kind: Generic}).Parse(request(`{"message":"` + strings.Repeat("x", MaxText+1) + `"}`))
	if err != nil || !strings.Contains(m.Ignored, "longer than") || m.Text != "" {
		t.Errorf("got %v, %v", m.Ignored, err)
	}
	m, err = channel(t, Settings{Kind: Generic, Prompt: strings.Repeat("{{text}}", 90)}).Parse(request(`{"message":"` + strings.Repeat("x", MaxText/2) + `"}`))
	if err != nil || !strings.Contains(m.Ignored, "prompt is longer") {
		t.Errorf("got %v, %v", m.Ignored, err)
	}
}

// Whatever is sent, a request is a message within its limits or an error that
// says why not.
func FuzzParse(f *testing.F) {
	all := []*Channel{
		channel(f, Settings{Kind: Generic}),
		channel(f, Settings{Kind: StandardWebhook, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ReplyURL: "{{/reply}}", ReplySecret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}),
		channel(f, Settings{Kind: GitHub, Secret: "x", Token: "t"}),
		channel(f, Settings{Kind: Slack, Secret: "x", Token: "t"}),
		channel(f, Settings{Kind: Telegram, Secret: "x", Token: "t"}),
		channel(f, Settings{Kind: Discord, PublicKey: strings.Repeat("ab", 32)}),
		channel(f, Settings{Kind: Custom, Secret: "x", Text: "{{/a/0|/b}}", TimestampHeader: "X-Time"}),
	}
	for _, name := range []string{"github-issues-opened", "slack-app_mention", "slack-url_verification", "telegram-message", "telegram-topic", "discord-command"} {
		f.Add(payload(f, name), "application/json", "issues", "1", "v1,AA==")
	}
	f.Add("payload=%7B%7D&a=b", "application/x-www-form-urlencoded", "ping", "x", "sha256=00")
	f.Fuzz(func(t *testing.T, body, kind, event, time, signature string) {
		r := request(body, "Content-Type", kind, "X-GitHub-Event", event, "X-Slack-Request-Timestamp", time, "Webhook-Timestamp", time,
			"X-Signature-Timestamp", time, "X-Time", time, "Webhook-Id", event, "Webhook-Signature", signature, "X-Slack-Signature", signature,
			"X-Hub-Signature-256", signature, "X-Signature-Ed25519", signature, "X-Signature-256", signature)
		for _, c := range all {
			if err := c.Verify(r, at(1)); err == nil {
				t.Errorf("%s believes %q", c.Kind(), signature)
			}
			m, err := c.Parse(r)
			var e *BodyError
			switch {
			case err != nil && !errors.As(err, &e):
				t.Errorf("%s: %v", c.Kind(), err)
			case err != nil || m.Handshake:
			case len(m.Text) > MaxText, len(m.ID) > MaxID, m.Ignored == "" && m.Text == "", m.Target != nil && !json.Valid(m.Target), m.Reply != nil && !json.Valid(m.Reply):
				t.Errorf("%s: %+v", c.Kind(), m)
			}
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"/a", "{{/a|/b}} x", "{{header:X}}", "{{", "a}}b", "{{body}}{{text}}"} {
		f.Add(text, `{"a":1}`)
	}
	f.Fuzz(func(t *testing.T, text, body string) {
		tpl, err := ParseTemplate(text)
		if err != nil {
			return
		}
		if d, err := readDocument(request(body)); err == nil {
			tpl.expand(d)
		}
	})
}
