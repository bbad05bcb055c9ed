package bench

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// The signature is that of the specification's own example.
func TestADeliveryIsSignedAsTheStandardSays(t *testing.T) {
	key, err := webhookKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	h := make(http.Header)
	deliver(h, key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got, want := h.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
}

func TestEveryDeliveryHasItsOwnIdAndSignature(t *testing.T) {
	key := []byte("0123456789abcdef")
	var (
		mu  sync.Mutex
		ids = make(map[string]bool)
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id := r.Header.Get("webhook-id")
		mac := hmac.New(sha256.New, key)
		_, _ = io.WriteString(mac, id+"."+r.Header.Get("webhook-timestamp")+"."+string(body))
		if r.URL.Path != "/v1/webhook/ci" || r.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		mu.Lock()
		ids[id] = true
		mu.Unlock()
		_, _ = io.WriteString(w, `{"accepted":true}`)
	}))
	defer server.Close()
	target := Target{Name: "x", URL: server.URL, WebhookSecret: secretPrefix + base64.StdEncoding.EncodeToString(key)}
	r := mustRun(t, target, Plan{Door: Webhook, Channel: "ci", Clients: 3, Answers: 30, Duration: long})
	if r.Counts.Whole != 30 || len(ids) != 30 {
		t.Errorf("counts are %+v, errors %v, %d ids", r.Counts, r.Errors, len(ids))
	}
}

func TestAWebhookSecretThatIsNoneIsRefused(t *testing.T) {
	_, err := Run(context.Background(), Target{Name: "x", URL: "http://127.0.0.1:1", WebhookSecret: "whsec_?"},
		Plan{Door: Webhook, Channel: "ci", Clients: 1, Duration: long}, Options{})
	if err == nil || !strings.Contains(err.Error(), "webhook secret") {
		t.Errorf("the error is %v", err)
	}
}
