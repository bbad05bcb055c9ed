package agent_test

import (
	"context"
	"errors"
	"testing"

	"agentzero/agent"
)

// listing is a provider whose list fails as told.
type listing struct {
	err   error
	asked int
}

func (l *listing) Run(context.Context, *agent.Request, func([]agent.Delta)) (agent.Result, error) {
	return agent.Result{}, nil
}

func (l *listing) Models(context.Context) ([]agent.Model, error) {
	l.asked++
	return nil, l.err
}

func TestReadinessIsThatOfTheDefaultProvider(t *testing.T) {
	for name, c := range map[string]struct {
		provider string
		err      error
		ready    bool
	}{
		"it lists its models":  {"a", nil, true},
		"it has no list":       {"a", &agent.Error{Kind: agent.KindNotFound, Status: 404, Message: "no such path"}, true},
		"it fails":             {"a", &agent.Error{Kind: agent.KindStatus, Status: 500, Message: "oops"}, false},
		"it cannot be reached": {"a", errors.New("connection refused"), false},
		"there is none":        {"", nil, false},
		"it is not there":      {"c", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := &listing{err: c.err}
			r := agent.NewRouter(agent.RouterOptions{Default: c.provider, Agents: map[string]agent.Agent{
				"a": l, "b": &listing{err: errors.New("of no matter")},
			}})
			for range 3 {
				if err := r.Ready(t.Context()); (err == nil) != c.ready {
					t.Errorf("got %v", err)
				}
			}
			if c.provider == "a" && l.asked != 1 {
				t.Errorf("asked %d times", l.asked)
			}
		})
	}
}
