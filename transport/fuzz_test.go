package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
)

// refusing is a gateway's conversations, none of which takes anything.
type refusing struct{ Sessions }

var errRefused = &actors.Refusal{Code: actors.RefusedBusy, Message: "never"}

func (refusing) Start(actors.Key, actors.StartTurn, *actors.Idempotency) (*actors.Started, error) {
	return nil, errRefused
}

// bare is a server that does not listen, and a request to it.
func bare(body []byte) (*Server, *fasthttp.RequestCtx, *request) {
	s := &Server{options: Options{Sessions: refusing{}}}
	s.options.setDefaults()
	ctx := new(fasthttp.RequestCtx)
	ctx.Request.SetBody(body)
	return s, ctx, &request{server: s, route: &route{pattern: "/"}, identity: openIdentity}
}

// mustRefuse fails where an error is not the client's own fault.
func mustRefuse(t *testing.T, err error) {
	t.Helper()
	if e := errorOf(err); e.status() < 400 || e.status() >= 500 {
		t.Errorf("%d: %v", e.status(), err)
	}
}

func FuzzChatRequest(f *testing.F) {
	for _, body := range []string{
		hello, helloStream, `{"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"model":"m","tools":[{}],"session_id":"s","on_busy":"queue"}`,
		`{"messages":[{"role":"tool"}],"stream_options":{"include_usage":true}}`, `[]`, `null`, ``, "{\"messages\":\"\xff\"}",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, ctx, r := bare(body)
		chat, err := s.parseChat(ctx, r)
		if err != nil {
			mustRefuse(t, err)
			return
		}
		if len(chat.turn.Input) == 0 {
			t.Error("no message")
		}
		for _, m := range chat.turn.Input {
			if _, err := json.Marshal(m); err != nil || m.Role == "" {
				t.Errorf("a message that cannot be kept: %v", err)
			}
		}
		if p := chat.turn.Params; p != nil && (!json.Valid(p) || p[0] != '{') {
			t.Errorf("params are %s", p)
		}
	})
}

func FuzzAPIChat(f *testing.F) {
	for _, body := range []string{
		`{"message":"x"}`, `{"message":"x","context":"y","session_id":"s"}`, `{"message":"x","context":[{"role":"user","content":"y"}]}`, `{"message":""}`, `{"context":[null]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, ctx, r := bare(body)
		if err := s.apiChat(ctx, r); !errors.Is(err, errRefused) {
			mustRefuse(t, err)
		}
	})
}

func FuzzSocketMessage(f *testing.F) {
	for _, text := range []string{
		"hello", `{"message":"x"}`, `{"type":"message","content":"x","model":"m","on_busy":"collect","idempotency_key":"k"}`, `{"type":"cancel","turn":"t"}`, `{"type":1}`, `{`, ` {} `, "",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseSocketMessage(text)
		switch {
		case err != nil:
			mustRefuse(t, err)
		case !m.cancel && m.content == "":
			t.Error("an empty message")
		}
	})
}

func FuzzPosition(f *testing.F) {
	for _, text := range []string{"0", "7", "3f9k2m0q-7", "-7", "a-b-7", "18446744073709551616", "9999999999999999999", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parsePosition("after", text)
		if err != nil {
			mustRefuse(t, err)
			return
		}
		id := appendEventID(nil, at.Epoch, at.After)
		if at.Epoch != "" {
			again, err := parsePosition("after", string(bytes.TrimSuffix(bytes.TrimPrefix(id, []byte("id: ")), []byte("\n"))))
			if err != nil || again != at {
				t.Errorf("%+v became %+v, %v", at, again, err)
			}
		}
	})
}

func FuzzForwardedFor(f *testing.F) {
	for _, text := range []string{"", "1.2.3.4", "1.2.3.4, 10.0.0.1", "[2001:db8::1]:80", "fe80::1%eth0", ",,,", "unknown"} {
		f.Add("10.0.0.1", text)
	}
	s := &Server{options: Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		addr, err := netip.ParseAddr(peer)
		if err != nil {
			return
		}
		got := s.beforeProxies(addr, []byte(forwarded))
		if !got.IsValid() || got.Is4In6() && got != addr || !s.trusts(addr) && got != addr {
			t.Errorf("behind %s, %q is %s", addr, forwarded, got)
		}
	})
}

func FuzzTurnHeaders(f *testing.F) {
	f.Add("1m30s", "grace=30", "queue", "s")
	f.Add("99999999999999999999", "continue", "", "..")
	f.Fuzz(func(t *testing.T, timeout, disconnect, busy, session string) {
		s, ctx, r := bare(nil)
		for name, value := range map[string]string{"X-Request-Timeout": timeout, "X-On-Disconnect": disconnect, "X-Busy-Policy": busy, "X-Session-Id": session} {
			ctx.Request.Header.Set(name, value)
		}
		turn, err := s.newTurnRequest(ctx, r, "default", "", "")
		if err != nil {
			mustRefuse(t, err)
			return
		}
		if grace := turn.turn.Disconnect.Grace; grace < 0 || grace > time.Hour {
			t.Errorf("%q is a grace of %v", disconnect, grace)
		}
		if left := time.Until(turn.turn.Deadline); left > 24*time.Hour {
			t.Errorf("%q is a timeout of %v", timeout, left)
		}
	})
}
