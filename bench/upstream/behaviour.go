package upstream

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Behaviour says what answers are like. The zero value answers at once, with no
// token at all; see [Default].
type Behaviour struct {
	Tokens   int           // deltas in an answer
	Interval time.Duration // between two deltas
	First    time.Duration // from the request to the first delta
	Jitter   time.Duration // each wait is longer or shorter by up to this
	Bytes    int           // least length of a delta's text; a stamp and a blank are 21
	Errors   float64       // share of requests that are refused, 0 to 1
	Status   int           // of a refusal; 0 means 500
	Cuts     float64       // share of answers that break off somewhere in the middle, 0 to 1
}

// Default is a model that speaks 50 tokens a second for 10 s.
var Default = Behaviour{Tokens: 500, Interval: 20 * time.Millisecond}

const (
	maxTokens = 10_000_000
	maxBytes  = 64 << 10
	maxWait   = time.Hour
)

// Validate names the first value that is out of its range.
func (b *Behaviour) Validate() error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"interval", b.Interval}, {"first", b.First}, {"jitter", b.Jitter}} {
		if d.value < 0 || d.value > maxWait {
			return fmt.Errorf("%s is %v, but must be between 0 and %v", d.name, d.value, maxWait)
		}
	}
	switch {
	case b.Tokens < 0 || b.Tokens > maxTokens:
		return fmt.Errorf("tokens is %d, but must be between 0 and %d", b.Tokens, maxTokens)
	case b.Bytes < 0 || b.Bytes > maxBytes:
		return fmt.Errorf("bytes is %d, but must be between 0 and %d", b.Bytes, maxBytes)
	case !(b.Errors >= 0 && b.Errors <= 1):
		return fmt.Errorf("errors is %v, but is a share between 0 and 1", b.Errors)
	case !(b.Cuts >= 0 && b.Cuts <= 1):
		return fmt.Errorf("cuts is %v, but is a share between 0 and 1", b.Cuts)
	case b.Status != 0 && (b.Status < 400 || b.Status > 599):
		return fmt.Errorf("status is %d, but a refusal's is between 400 and 599", b.Status)
	}
	return nil
}

// ModelPrefix begins the names of models that carry a behaviour.
const ModelPrefix = "mock:"

// Model is the name of the model that behaves like b.
func (b *Behaviour) Model() string {
	return fmt.Sprintf("%stokens=%d,interval=%v,first=%v,jitter=%v,bytes=%d,errors=%v,status=%d,cuts=%v",
		ModelPrefix, b.Tokens, b.Interval, b.First, b.Jitter, b.Bytes, b.Errors, b.Status, b.Cuts)
}

// forModel returns what a request for the model gets.
func (b Behaviour) forModel(model string) (Behaviour, error) {
	list, ok := strings.CutPrefix(model, ModelPrefix)
	if !ok {
		return b, nil
	}
	for setting := range strings.SplitSeq(list, ",") {
		if err := b.set(setting); err != nil {
			return b, fmt.Errorf("model %q: %w", model, err)
		}
	}
	if err := b.Validate(); err != nil {
		return b, fmt.Errorf("model %q: %w", model, err)
	}
	return b, nil
}

func (b *Behaviour) set(setting string) (err error) {
	name, value, ok := strings.Cut(setting, "=")
	if !ok {
		return fmt.Errorf("%q is no name=value", setting)
	}
	switch name {
	case "tokens":
		b.Tokens, err = strconv.Atoi(value)
	case "interval":
		b.Interval, err = time.ParseDuration(value)
	case "first":
		b.First, err = time.ParseDuration(value)
	case "jitter":
		b.Jitter, err = time.ParseDuration(value)
	case "bytes":
		b.Bytes, err = strconv.Atoi(value)
	case "errors":
		b.Errors, err = strconv.ParseFloat(value, 64)
	case "status":
		b.Status, err = strconv.Atoi(value)
	case "cuts":
		b.Cuts, err = strconv.ParseFloat(value, 64)
	default:
		return fmt.Errorf("there is no setting %q", name)
	}
	if err != nil {
		return fmt.Errorf("%s: %q is not understood", name, value)
	}
	return nil
}

var errNoRequest = errors.New("upstream: the body is no chat completion request")
