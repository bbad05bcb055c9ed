package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
)

// toldCalls is a CallObserver.
type toldCalls []string

func (c *toldCalls) ProviderCall(provider, kind string, took time.Duration, prompt, completion int64) {
	*c = append(*c, fmt.Sprintf("%s %q %v %d %d", provider, kind, took >= 0, prompt, completion))
}

// endsWith is a Provider whose calls end in one way.
type endsWith struct {
	fakeLister
	result Result
	err    error
}

func (e *endsWith) Run(context.Context, *Request, func([]Delta)) (Result, error) {
	return e.result, e.err
}

func TestObserve(t *testing.T) {
	usage := func(s string) Result { return Result{Usage: json.RawMessage(s)} }
	tests := []struct {
		name   string
		result Result
		err    error
		want   string
	}{
		{"an answer", usage(`{"prompt_tokens":3,"completion_tokens":4}`), nil, `p "" true 3 4`},
		{"an answer without usage", Result{}, nil, `p "" true 0 0`},
		{"odd usage", usage(`{"prompt_tokens":-3,"completion_tokens":"x"}`), nil, `p "" true 0 0`},
		{"a broken answer", usage(`{"prompt_tokens":3}`), fmt.Errorf("call: %w", &Error{Kind: KindCut}), `p "cut" true 3 0`},
		{"a caller who left", Result{}, context.Canceled, `p "cancelled" true 0 0`},
		{"a caller who could not wait", Result{}, fmt.Errorf("call: %w", context.DeadlineExceeded), `p "timeout" true 0 0`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var told toldCalls
			p := Observe("p", &endsWith{result: tt.result, err: tt.err}, &told)
			result, err := p.Run(t.Context(), &Request{}, nil)
			if !errors.Is(err, tt.err) || string(result.Usage) != string(tt.result.Usage) {
				t.Errorf("it changed the answer: %+v, %v", result, err)
			}
			if len(told) != 1 || told[0] != tt.want {
				t.Errorf("told %q, want %q", told, tt.want)
			}
		})
	}
}
