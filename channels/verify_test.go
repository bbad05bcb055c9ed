package channels

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"
)

// The examples that the documentation of each has, with what is wrong with others.
func TestSignaturesOfTheDocumentation(t *testing.T) {
	gitHub := channel(t, Settings{Kind: GitHub, Secret: "It's a Secret to Everybody"})
	const gitHubGood = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

	slack := channel(t, Settings{Kind: Slack, Secret: "8f742231b10e8888abcd99yyyzzz85a5"})
	const slackBody = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	const slackGood = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"

	standard := channel(t, Settings{Kind: StandardWebhook, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	const standardBody, standardGood = `{"test": 2432232314}`, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	standardHeaders := func(signature string) []string {
		return []string{"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330", "webhook-signature", signature}
	}

	telegram := channel(t, Settings{Kind: Telegram, Secret: "s3cret_token"})

	for name, c := range map[string]struct {
		channel *Channel
		request *Request
		now     int64
		want    error
	}{
		"GitHub":                          {gitHub, request("Hello, World!", "X-Hub-Signature-256", gitHubGood), 0, nil},
		"GitHub, another body":            {gitHub, request("Hello, World?", "X-Hub-Signature-256", gitHubGood), 0, errBadSignature},
		"GitHub, SHA-1":                   {gitHub, request("Hello, World!", "X-Hub-Signature", "sha1=x"), 0, errNoSignature},
		"GitHub, cut short":               {gitHub, request("Hello, World!", "X-Hub-Signature-256", gitHubGood[:20]), 0, errBadSignature},
		"Slack":                           {slack, request(slackBody, "X-Slack-Request-Timestamp", "1531420618", "X-Slack-Signature", slackGood), 1531420618 + 200, nil},
		"Slack, too old":                  {slack, request(slackBody, "X-Slack-Request-Timestamp", "1531420618", "X-Slack-Signature", slackGood), 1531420618 + 301, errTooOld},
		"Slack, from the future":          {slack, request(slackBody, "X-Slack-Request-Timestamp", "1531420618", "X-Slack-Signature", slackGood), 1531420618 - 301, errTooOld},
		"Slack, no time":                  {slack, request(slackBody, "X-Slack-Signature", slackGood), 1531420618, errNoSignature},
		"Slack, a time that is none":      {slack, request(slackBody, "X-Slack-Request-Timestamp", "now", "X-Slack-Signature", slackGood), 1531420618, errBadTimestamp},
		"Slack, another time":             {slack, request(slackBody, "X-Slack-Request-Timestamp", "1531420619", "X-Slack-Signature", slackGood), 1531420618, errBadSignature},
		"Standard Webhooks":               {standard, request(standardBody, standardHeaders(standardGood)...), 1614265330, nil},
		"Standard Webhooks, one of many":  {standard, request(standardBody, standardHeaders("v1,AAAA v2,zzz "+standardGood)...), 1614265330, nil},
		"Standard Webhooks, none of many": {standard, request(standardBody, standardHeaders("v1,AAAA v1a,zzz")...), 1614265330, errBadSignature},
		"Standard Webhooks, another form": {standard, request(standardBody, standardHeaders("v1a,"+standardGood[3:])...), 1614265330, errBadSignature},
		"Standard Webhooks, too old":      {standard, request(standardBody, standardHeaders(standardGood)...), 1614265330 + 301, errTooOld},
		"Standard Webhooks, unsigned":     {standard, request(standardBody), 0, errNoSignature},
		"Telegram":                        {telegram, request("{}", "X-Telegram-Bot-Api-Secret-Token", "s3cret_token"), 0, nil},
		"Telegram, another token":         {telegram, request("{}", "X-Telegram-Bot-Api-Secret-Token", "s3cret_tokem"), 0, errBadSignature},
		"Telegram, no token":              {telegram, request("{}"), 0, errNoSignature},
	} {
		if err := c.channel.Verify(c.request, at(c.now)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// Test 2 of RFC 8032, 7.1, is the key; the message is the platform's form.
func TestDiscordsSignature(t *testing.T) {
	seed, _ := hex.DecodeString("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
	key := ed25519.NewKeyFromSeed(seed)
	c := channel(t, Settings{Kind: Discord, PublicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"})
	const body, now = `{"type":1}`, "1700000000"
	good := hex.EncodeToString(ed25519.Sign(key, []byte(now+body)))
	for name, test := range map[string]struct {
		body, time, signature string
		want                  error
	}{
		"good":          {body, now, good, nil},
		"another body":  {`{"type":2}`, now, good, errBadSignature},
		"another time":  {body, "1700000001", good, errBadSignature},
		"not in hex":    {body, now, "zz" + good[2:], errNoSignature},
		"too short":     {body, now, good[2:], errNoSignature},
		"an old replay": {body, "1600000000", good, errTooOld},
	} {
		r := request(test.body, "X-Signature-Ed25519", test.signature, "X-Signature-Timestamp", test.time)
		if err := c.Verify(r, at(1700000000)); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

// What Sign makes is what Verify takes, and nothing else is.
func TestWhatIsSignedVerifies(t *testing.T) {
	for name, s := range map[string]Settings{
		"standard":              {Kind: StandardWebhook, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
		"github":                {Kind: GitHub, Secret: "x"},
		"slack":                 {Kind: Slack, Secret: "x"},
		"telegram":              {Kind: Telegram, Secret: "x"},
		"custom":                {Kind: Custom, Secret: "x"},
		"custom in base64":      {Kind: Custom, Secret: "x", SignatureEncoding: "base64", SignatureHeader: "X-Sig", SignaturePrefix: "v1="},
		"custom with timestamp": {Kind: Custom, Secret: "x", TimestampHeader: "X-Time"},
	} {
		c := channel(t, s)
		body := []byte(`{"message":"x"}`)
		h, err := c.Sign(body, "id-1", at(1000))
		if err != nil {
			t.Fatal(name, err)
		}
		if err := c.Verify(&Request{Header: h, Body: body}, at(1100)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s.Kind != Telegram {
			if err := c.Verify(&Request{Header: h, Body: body[1:]}, at(1100)); err == nil {
				t.Errorf("%s: another body verifies", name)
			}
		}
		s.Secret = strings.Replace(s.Secret, "x", "y", 1)
		s.Secret = strings.Replace(s.Secret, "whsec_M", "whsec_N", 1)
		if err := channel(t, s).Verify(&Request{Header: h, Body: body}, at(1100)); err == nil {
			t.Errorf("%s: another secret verifies", name)
		}
		timed := s.Kind == StandardWebhook || s.Kind == Slack || s.TimestampHeader != ""
		if err := c.Verify(&Request{Header: h, Body: body}, at(1000).Add(time.Hour)); timed != errors.Is(err, errTooOld) {
			t.Errorf("%s: after an hour: %v", name, err)
		}
	}
	if _, err := channel(t, Settings{Kind: Discord, PublicKey: strings.Repeat("ab", 32)}).Sign(nil, "", at(0)); !errors.Is(err, ErrCannotSign) {
		t.Errorf("Discord: %v", err)
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	for key, s := range map[string]Settings{
		"kind":               {Kind: "smoke"},
		"secret":             {Kind: GitHub},
		"secret ":            {Kind: Slack},
		"secret  ":           {Kind: StandardWebhook, Secret: "whsec_???"},
		"secret   ":          {Kind: Telegram, Secret: "with space"},
		"secret    ":         {Kind: Custom},
		"public_key":         {Kind: Discord, PublicKey: "abc"},
		"token":              {Kind: Slack, Secret: "x", Reply: "platform"},
		"reply":              {Kind: Generic, Reply: "platform"},
		"reply ":             {Kind: Generic, Reply: "pigeon"},
		"reply_url":          {Kind: Generic, Reply: "url"},
		"reply_url ":         {Kind: Generic, ReplyURL: "ftp://x"},
		"reply_secret":       {Kind: Generic, ReplyURL: "https://example.com"},
		"api_url":            {Kind: GitHub, Secret: "x", Token: "t", APIURL: "api.github.com"},
		"text":               {Kind: Generic, Text: "{{/a"},
		"prompt":             {Kind: Generic, Prompt: "{{nothing}}"},
		"session_key":        {Kind: Generic, SessionKey: "{{}}"},
		"delivery_id":        {Kind: Generic, DeliveryID: "{{header:}}"},
		"signature_encoding": {Kind: Custom, Secret: "x", SignatureEncoding: "octal"},
	} {
		_, err := New(s)
		var e *SettingError
		if !errors.As(err, &e) || e.Key != strings.TrimSpace(key) || e.Message == "" {
			t.Errorf("%s: got %v", key, err)
		}
	}
}
