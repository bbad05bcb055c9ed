package channels

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"time"
)

var (
	errMissing     = errors.New("is missing: senders sign with it")
	errNotStandard = errors.New("want a secret of Standard Webhooks: base64, or whsec_ and base64")
)

// ErrCannotSign tells that only the platform itself can sign.
var ErrCannotSign = errors.New("only Discord has the key that signs for this channel; use a token instead")

// Sign returns the headers with which a sender of this channel would send a body,
// to try the channel out. Of [Generic] there is nothing to sign.
func (c *Channel) Sign(body []byte, id string, now time.Time) (http.Header, error) {
	h := http.Header{"Content-Type": {"application/json"}}
	s := &c.settings
	seconds := strconv.FormatInt(now.Unix(), 10)
	switch p := c.platform.(type) {
	case generic:
		h.Set("X-Delivery-Id", id)
	case *standard:
		signStandard(h, p.key, id, seconds, body)
	case *custom:
		h.Set("X-Delivery-Id", id)
		parts := []string{string(body)}
		if p.signed != "" {
			h.Set(p.signed, seconds)
			parts = []string{seconds, ".", string(body)}
		}
		mac := sign(p.key, parts...)
		if p.encoding == "base64" {
			h.Set(p.header, p.prefix+base64.StdEncoding.EncodeToString(mac))
		} else {
			h.Set(p.header, p.prefix+hex.EncodeToString(mac))
		}
	case *gitHub:
		h.Set(headerGitHubDelivery, id)
		h.Set(headerGitHubEvent, "issue_comment")
		h.Set(headerGitHubSignature, "sha256="+hex.EncodeToString(sign([]byte(s.Secret), string(body))))
	case *slack:
		h.Set(headerSlackTimestamp, seconds)
		h.Set(headerSlackSignature, "v0="+hex.EncodeToString(sign([]byte(s.Secret), "v0:", seconds, ":", string(body))))
	case *telegram:
		h.Set(headerTelegramSecret, s.Secret)
	default:
		return nil, ErrCannotSign
	}
	return h, nil
}

func signStandard(h http.Header, key []byte, id, seconds string, body []byte) {
	h.Set(headerWebhookID, id)
	h.Set(headerWebhookTimestamp, seconds)
	h.Set(headerWebhookSignature, "v1,"+base64.StdEncoding.EncodeToString(sign(key, id, ".", seconds, ".", string(body))))
}
