package channels

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// Why a request is not believed. None tells what would have been right.
var (
	errNoSignature  = &SignatureError{"the request is not signed as this channel wants it"}
	errBadSignature = &SignatureError{"the signature is not that of this body and the channel's secret"}
	errBadTimestamp = &SignatureError{"the timestamp is no number of seconds"}
	errTooOld       = &SignatureError{"the timestamp is too far from now: the request is old, or a clock is wrong"}
)

func sign(key []byte, parts ...string) []byte {
	mac := hmac.New(sha256.New, key)
	for _, p := range parts {
		mac.Write([]byte(p)) // never fails
	}
	return mac.Sum(nil)
}

// checkTime refuses a timestamp, in Unix seconds, outside the tolerance.
func checkTime(text string, now time.Time, tolerance time.Duration) error {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return errBadTimestamp
	}
	if away := now.Sub(time.Unix(seconds, 0)); away > tolerance || away < -tolerance {
		return errTooOld
	}
	return nil
}

// equalHex compares a signature in hexadecimal in constant time.
func equalHex(given string, want []byte) bool {
	got, err := hex.DecodeString(given)
	return err == nil && hmac.Equal(got, want)
}

func equalText(given, want string) bool {
	return subtle.ConstantTimeCompare([]byte(given), []byte(want)) == 1
}

// generic is the kind whose senders have a token.
type generic struct{}

func (generic) verify(*Request, time.Time) error { return errNoSignature }

func (generic) parse(*document, *Message) error { return nil }

const (
	genericText    = "{{/message|/text|/content|body}}"
	genericSession = "{{/session_id|/session_key|/conversation_id|/conversation}}"
	genericID      = "{{header:Idempotency-Key|header:X-Delivery-Id|/delivery_id}}"
)

func (generic) defaults() (text, session, id string) {
	return genericText, genericSession, genericID
}

// standard is Standard Webhooks.
type standard struct {
	generic
	key       []byte
	tolerance time.Duration
}

func newStandard(s *Settings) (platform, error) {
	key, err := standardKey(s.Secret)
	if err != nil {
		return nil, &SettingError{"secret", err.Error()}
	}
	return &standard{key: key, tolerance: s.Tolerance}, nil
}

// standardKey decodes a secret as Standard Webhooks writes it: base64, behind
// whsec_ or alone.
func standardKey(secret string) ([]byte, error) {
	if secret == "" {
		return nil, errMissing
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return nil, errNotStandard
	}
	return key, nil
}

// Headers of Standard Webhooks.
const (
	headerWebhookID        = "Webhook-Id"
	headerWebhookTimestamp = "Webhook-Timestamp"
	headerWebhookSignature = "Webhook-Signature"
)

// verify is the specification's: one signature of the list must be good.
func (p *standard) verify(r *Request, now time.Time) error {
	id, timestamp, signatures := r.Header.Get(headerWebhookID), r.Header.Get(headerWebhookTimestamp), r.Header.Get(headerWebhookSignature)
	if id == "" || timestamp == "" || signatures == "" {
		return errNoSignature
	}
	if err := checkTime(timestamp, now, p.tolerance); err != nil {
		return err
	}
	want := sign(p.key, id, ".", timestamp, ".", string(r.Body))
	for s := range strings.FieldsSeq(signatures) {
		version, encoded, _ := strings.Cut(s, ",")
		got, err := base64.StdEncoding.DecodeString(encoded)
		if version == "v1" && err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errBadSignature
}

func (*standard) defaults() (text, session, id string) {
	return "{{/message|/text|/content|/data/message|/data/text|/data/content|body}}",
		"{{/session_id|/session_key|/conversation_id|/conversation|/data/session_id|/data/session_key|/data/conversation_id}}", "{{header:Webhook-Id}}"
}

// custom is an HMAC-SHA256 in a header of the sender's choice.
type custom struct {
	generic
	key                              []byte
	header, prefix, encoding, signed string
	tolerance                        time.Duration
}

func newCustom(s *Settings) (platform, error) {
	if s.Secret == "" {
		return nil, &SettingError{"secret", errMissing.Error()}
	}
	p := &custom{
		key: []byte(s.Secret), header: s.SignatureHeader, prefix: s.SignaturePrefix, encoding: s.SignatureEncoding,
		signed: s.TimestampHeader, tolerance: s.Tolerance,
	}
	if p.header == "" {
		p.header = "X-Signature-256"
	}
	switch p.encoding {
	case "", "hex", "base64":
		return p, nil
	}
	return nil, &SettingError{"signature_encoding", `want "hex" or "base64"`}
}

func (p *custom) verify(r *Request, now time.Time) error {
	given, ok := strings.CutPrefix(r.Header.Get(p.header), p.prefix)
	if !ok || given == "" {
		return errNoSignature
	}
	parts := []string{string(r.Body)}
	if p.signed != "" {
		timestamp := r.Header.Get(p.signed)
		if err := checkTime(timestamp, now, p.tolerance); err != nil {
			return err
		}
		parts = []string{timestamp, ".", string(r.Body)}
	}
	want := sign(p.key, parts...)
	if p.encoding == "base64" {
		if got, err := base64.StdEncoding.DecodeString(given); err == nil && hmac.Equal(got, want) {
			return nil
		}
	} else if equalHex(given, want) {
		return nil
	}
	return errBadSignature
}
