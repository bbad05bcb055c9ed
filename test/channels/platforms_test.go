package channels

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

const (
	slackSecret    = "8f742231b10e8888abcd99yyyzzz85a5"
	gitHubSecret   = "It's a Secret to Everybody"
	telegramSecret = "telegram-secret_1"
	standardSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	discordSeed    = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
)

// configuration has a channel of each kind, whose platforms are at url.
func configuration(url string) string {
	return fmt.Sprintf(`
[channels.gh]
kind = "github"
secret = %[2]q
token = "gh-token"
api_url = "%[1]s/github"
allow_private = true
backoff = "10ms"
[channels.slack]
kind = "slack"
secret = %[3]q
token = "xoxb-token"
api_url = "%[1]s/slack"
allow_private = true
backoff = "10ms"
[channels.tg]
kind = "telegram"
secret = %[4]q
token = "123:tg"
api_url = "%[1]s/telegram"
allow_private = true
backoff = "10ms"
[channels.discord]
kind = "discord"
public_key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
api_url = "%[1]s/discord"
allow_private = true
[channels.std]
kind = "standard-webhooks"
secret = %[5]q
reply_url = "{{/data/reply_to}}"
reply_secret = %[5]q
allow_private = true
backoff = "10ms"
[channels.guarded]
kind = "generic"
reply_url = "{{/reply_to}}"
reply_secret = %[5]q
[channels.own]
kind = "custom"
secret = "own"
signature_header = "X-Own"
signature_prefix = "v1="
timestamp_header = "X-Own-Time"
`, url, gitHubSecret, slackSecret, telegramSecret, standardSecret)
}

// start runs a gateway with these channels, whose model repeats what it is told.
func start(t *testing.T) (*gateway.Gateway, *fake) {
	t.Helper()
	f := newFake(t)
	up := upstream.New(t)
	up.Set("echo", upstream.Script{Echo: true})
	return gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo", Config: configuration(f.URL)}), f
}

// payload is a platform's documented example.
func payload(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "channels", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func mac(key, text string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(text))
	return m.Sum(nil)
}

func now() string { return strconv.FormatInt(time.Now().Unix(), 10) }

func gitHubHeaders(event, id, body string) []string {
	return []string{"Content-Type", "application/json", "X-GitHub-Event", event, "X-GitHub-Delivery", id, "X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac(gitHubSecret, body))}
}

func slackHeaders(body, at string) []string {
	return []string{"Content-Type", "application/json", "X-Slack-Request-Timestamp", at, "X-Slack-Signature", "v0=" + hex.EncodeToString(mac(slackSecret, "v0:"+at+":"+body))}
}

func TestGitHub(t *testing.T) {
	g, f := start(t)
	url := g.URL + "/v1/webhook/gh"
	for i, c := range []struct{ event, name, comment string }{
		{"issues", "github-issues-opened", "Spelling error in the README file\\n\\nIt looks like you accidentally spelled 'commit' with two 't's."},
		{"issue_comment", "github-issue_comment-created", "You are totally right! I'll get this fixed right away."},
		{"pull_request", "github-pull_request-opened", "Update the README with new information.\\n\\nThis is a pretty simple change that we need to pull into master."},
	} {
		body, id := payload(t, c.name), fmt.Sprint("guid-", i)
		status, said := post(t, url, header(gitHubHeaders(c.event, id, body)...), body)
		if want := fmt.Sprintf(`{"accepted":true,"channel":"gh","detail":"queued","delivery_id":"%s"}`, id); status != 200 || said != want {
			t.Fatalf("%s: %d %s", c.name, status, said)
		}
		becomes(t, g, "gh", id, "replied")
		number := map[bool]string{true: "2", false: "1"}[c.event == "pull_request"]
		if !f.has("POST", "/github/repos/Codertocat/Hello-World/issues/"+number+"/comments", `{"body":"`+c.comment+`\n\n<!-- agentzero -->"}`) {
			t.Errorf("%s: no such comment among %v", c.name, f.to("/github"))
		}
	}
	for _, c := range f.to("/github") {
		if c.Header.Get("Authorization") != "Bearer gh-token" || c.Header.Get("Accept") != "application/vnd.github+json" || c.Header.Get("X-Github-Api-Version") == "" {
			t.Errorf("called with %v", c.Header)
		}
	}
	// GitHub sends it again, somebody forges one, and the gateway's own comment comes back.
	body := payload(t, "github-issues-opened")
	if status, said := post(t, url, header(gitHubHeaders("issues", "guid-0", body)...), body); status != 200 || !strings.Contains(said, "duplicate") {
		t.Errorf("again: %d %s", status, said)
	}
	if status, said := post(t, url, header(gitHubHeaders("issues", "guid-9", body)...), body+" "); status != 401 || !strings.Contains(said, "bad_signature") {
		t.Errorf("forged: %d %s", status, said)
	}
	body = strings.Replace(payload(t, "github-issue_comment-created"), "right away.", `right away.\n\n<!-- agentzero -->`, 1)
	if status, said := post(t, url, header(gitHubHeaders("issue_comment", "guid-8", body)...), body); status != 200 || !strings.Contains(said, "ignored: it is the gateway's own") {
		t.Errorf("its own: %d %s", status, said)
	}
	if n := len(f.to("/github")); n != 3 {
		t.Errorf("%d comments", n)
	}
	// The issue and its comment were one conversation.
	var messages struct {
		Data []struct{ Role, Content string }
	}
	get(t, g, "/v1/sessions/gh:Codertocat=2FHello-World=231/messages", &messages)
	if len(messages.Data) != 4 {
		t.Errorf("the session has %v", messages.Data)
	}
	// A form, as GitHub can send it, too.
	form := "payload=" + strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", "=", "%3D").Replace(payload(t, "github-issues-opened"))
	h := header(gitHubHeaders("issues", "guid-form", form)...)
	h.Set("Content-Type", "application/x-www-form-urlencoded")
	if status, said := post(t, url, h, form); status != 200 {
		t.Errorf("a form: %d %s", status, said)
	}
	becomes(t, g, "gh", "guid-form", "replied")
}

func TestSlack(t *testing.T) {
	g, f := start(t)
	url := g.URL + "/v1/webhook/slack"
	body := payload(t, "slack-url_verification")
	if status, said := post(t, url, header(slackHeaders(body, now())...), body); status != 200 || said != `{"challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}` {
		t.Fatalf("url_verification: %d %s", status, said)
	}
	body = payload(t, "slack-app_mention")
	f.fail("/slack/chat.postMessage", answer{status: 429, header: "Retry-After: 1", body: `{"ok":false,"error":"ratelimited"}`})
	began := time.Now()
	if status, said := post(t, url, header(slackHeaders(body, now())...), body); status != 200 || time.Since(began) > 3*time.Second {
		t.Fatalf("app_mention: %d %s after %v", status, said, time.Since(began))
	}
	again := append(slackHeaders(body, now()), "X-Slack-Retry-Num", "1", "X-Slack-Retry-Reason", "http_timeout")
	if status, said := post(t, url, header(again...), body); status != 200 || !strings.Contains(said, "duplicate") {
		t.Errorf("a retry: %d %s", status, said)
	}
	becomes(t, g, "slack", "Ev0PV52K25", "replied")
	if want := `{"channel":"C0LAN2Q65","text":"is it everything a river should be &amp; more?","thread_ts":"1515449522.000016"}`; !f.has("POST", "/slack/chat.postMessage", want) {
		t.Errorf("no such message among %v", f.to("/slack"))
	}
	calls := f.to("/slack")
	if len(calls) != 2 || calls[1].Header.Get("Authorization") != "Bearer xoxb-token" {
		t.Errorf("called %v", calls)
	}
	body = payload(t, "slack-message-im")
	old := strconv.FormatInt(time.Now().Add(-6*time.Minute).Unix(), 10)
	if status, said := post(t, url, header(slackHeaders(body, old)...), body); status != 401 || !strings.Contains(said, "too far from now") {
		t.Errorf("an old one: %d %s", status, said)
	}
	if status, said := post(t, url, header(slackHeaders(body, now())...), body); status != 200 {
		t.Errorf("a direct message: %d %s", status, said)
	}
	becomes(t, g, "slack", "Ev9UQ52YNA", "replied")
	if !f.has("POST", "/slack/chat.postMessage", `{"channel":"D0PNCRP9N","text":"Hello hello can you hear me?"}`) {
		t.Errorf("no such message among %v", f.to("/slack"))
	}
}

func TestTelegram(t *testing.T) {
	g, f := start(t)
	url := g.URL + "/v1/webhook/tg"
	body := payload(t, "telegram-message")
	good := []string{"Content-Type", "application/json", "X-Telegram-Bot-Api-Secret-Token", telegramSecret}
	if status, said := post(t, url, header("X-Telegram-Bot-Api-Secret-Token", "guess"), body); status != 401 {
		t.Errorf("a guess: %d %s", status, said)
	}
	f.fail("/telegram/bot123:tg/sendMessage", answer{status: 429, body: `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 1","parameters":{"retry_after":1}}`})
	if status, said := post(t, url, header(good...), body); status != 200 {
		t.Fatalf("a message: %d %s", status, said)
	}
	becomes(t, g, "tg", "10000", "replied")
	if !f.has("POST", "/telegram/bot123:tg/sendMessage", `{"chat_id":1111111,"text":"/start"}`) || !f.has("POST", "/telegram/bot123:tg/sendChatAction", `{"action":"typing","chat_id":1111111}`) {
		t.Errorf("called %v", f.to("/telegram"))
	}
	// A long answer is cut into messages of 4,096 UTF-16 units.
	long := strings.Repeat("\U0001F600", 3000)
	body = strings.Replace(strings.Replace(payload(t, "telegram-topic"), "What is new?", long, 1), "10001", "10002", 1)
	if status, said := post(t, url, header(good...), body); status != 200 {
		t.Fatalf("a long message: %d %s", status, said)
	}
	becomes(t, g, "tg", "10002", "replied")
	var texts []string
	for _, c := range f.to("/telegram/bot123:tg/sendMessage") {
		var m struct {
			Text   string `json:"text"`
			Thread int    `json:"message_thread_id"`
			Reply  *struct {
				Message int `json:"message_id"`
			} `json:"reply_parameters"`
		}
		if err := json.Unmarshal([]byte(c.Body), &m); err != nil {
			t.Fatal(err)
		}
		if m.Thread == 42 {
			if first := len(texts) == 0; first != (m.Reply != nil && m.Reply.Message == 77) {
				t.Errorf("message %d replies to %v", len(texts), m.Reply)
			}
			texts = append(texts, m.Text)
		}
	}
	if len(texts) != 2 || len([]rune(texts[0])) != 2048 || texts[0]+texts[1] != long {
		t.Errorf("%d messages", len(texts))
	}
	if strings.Contains(g.Log(), "123:tg") {
		t.Error("the token is in the log")
	}
}

func TestDiscord(t *testing.T) {
	g, f := start(t)
	seed, _ := hex.DecodeString(discordSeed)
	key := ed25519.NewKeyFromSeed(seed)
	send := func(body string) (int, string) {
		at := now()
		return post(t, g.URL+"/v1/webhook/discord", header("X-Signature-Timestamp", at, "X-Signature-Ed25519", hex.EncodeToString(ed25519.Sign(key, []byte(at+body)))), body)
	}
	if status, said := send(`{"type":1}`); status != 200 || said != `{"type":1}` {
		t.Errorf("PING: %d %s", status, said)
	}
	if status, said := post(t, g.URL+"/v1/webhook/discord", header("X-Signature-Timestamp", now(), "X-Signature-Ed25519", strings.Repeat("00", 64)), `{"type":1}`); status != 401 {
		t.Errorf("Discord's own test of a bad signature: %d %s", status, said)
	}
	long := strings.TrimSpace(strings.Repeat("word ", 500))
	body := strings.Replace(payload(t, "discord-command"), "The Gitrog Monster", long, 1)
	if status, said := send(body); status != 200 || said != `{"type":5}` {
		t.Errorf("a command: %d %s", status, said)
	}
	becomes(t, g, "discord", "786008729715212338", "replied")
	calls := f.to("/discord")
	if len(calls) != 2 || calls[0].Method != "PATCH" || calls[0].Path != "/discord/webhooks/775799577604522054/A_UNIQUE_TOKEN/messages/@original" ||
		calls[1].Method != "POST" || calls[1].Path != "/discord/webhooks/775799577604522054/A_UNIQUE_TOKEN" || !strings.Contains(calls[0].Body, `"allowed_mentions":{"parse":[]}`) {
		t.Errorf("called %v", calls)
	}
}

func standardHeaders(id, at, body string) []string {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(standardSecret, "whsec_"))
	return []string{"webhook-id", id, "webhook-timestamp", at, "webhook-signature", "v1," + base64.StdEncoding.EncodeToString(mac(string(key), id+"."+at+"."+body))}
}

func TestStandardWebhooksBothWays(t *testing.T) {
	g, f := start(t)
	body := fmt.Sprintf(`{"type":"question","data":{"text":"How are you?","session_id":"s1","reply_to":"%s/answers"}}`, f.URL)
	f.fail("/answers", answer{status: 500}, answer{status: 302, header: "Location: http://127.0.0.1:1/elsewhere"})
	status, said := post(t, g.URL+"/v1/webhook/std?wait=30s", header(standardHeaders("msg_1", now(), body)...), body)
	var told struct{ Answer, State, Session string }
	if err := json.Unmarshal([]byte(said), &told); err != nil || status != 200 || told.Answer != "How are you?" {
		t.Fatalf("got %d %s", status, said)
	}
	becomes(t, g, "std", "msg_1", "replied")
	calls := f.to("/answers")
	if len(calls) != 3 { // the redirect to another host was not followed
		t.Fatalf("called %v", calls)
	}
	last := calls[2]
	h := last.Header
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(standardSecret, "whsec_"))
	want := "v1," + base64.StdEncoding.EncodeToString(mac(string(key), h.Get("Webhook-Id")+"."+h.Get("Webhook-Timestamp")+"."+last.Body))
	if h.Get("Webhook-Signature") != want || h.Get("Webhook-Id") != "reply_msg_1" || calls[0].Header.Get("Webhook-Id") != "reply_msg_1" {
		t.Errorf("signed with %v", h)
	}
	var reply struct {
		Type string
		Data struct{ Channel, Delivery_ID, Session_ID, Text string }
	}
	if err := json.Unmarshal([]byte(last.Body), &reply); err != nil || reply.Type != "delivery.answered" || reply.Data.Text != "How are you?" || reply.Data.Session_ID != "std:s1" || reply.Data.Delivery_ID != "msg_1" {
		t.Errorf("got %s", last.Body)
	}
}

func TestWhatASenderChoosesIsNotCalledInside(t *testing.T) {
	g, f := start(t)
	for i, target := range []string{f.URL + "/secret", strings.Replace(f.URL, "127.0.0.1", "localhost", 1), "http://[::1]:1/", "http://169.254.169.254/latest/meta-data/", "http://[::ffff:127.0.0.1]:1/"} {
		id := fmt.Sprint("d", i)
		resp, body := g.Do(t, "POST", "/v1/webhook/guarded", fmt.Sprintf(`{"message":"x","reply_to":%q}`, target), "X-Delivery-Id: "+id)
		if resp.StatusCode != 200 {
			t.Fatalf("%s: %s", resp.Status, body)
		}
		becomes(t, g, "guarded", id, "dead")
		var d struct{ Reason string }
		get(t, g, "/v1/webhook/guarded/deliveries/"+id, &d)
		if !strings.Contains(d.Reason, "not a public one") {
			t.Errorf("%s: %s", target, d.Reason)
		}
	}
	if calls := f.to("/"); len(calls) > 0 {
		t.Errorf("called %v", calls)
	}
}

func TestCustom(t *testing.T) {
	g, _ := start(t)
	at, body := now(), `{"text":"x"}`
	signature := "v1=" + hex.EncodeToString(mac("own", at+"."+body))
	if status, said := post(t, g.URL+"/v1/webhook/own", header("X-Own", signature, "X-Own-Time", at, "X-Delivery-Id", "d1"), body); status != 200 {
		t.Errorf("got %d %s", status, said)
	}
	becomes(t, g, "own", "d1", "answered")
	if status, _ := post(t, g.URL+"/v1/webhook/own", header("X-Own", signature, "X-Own-Time", at+"0"), body); status != 401 {
		t.Errorf("another time: %d", status)
	}
}
