package agent

import (
	"context"
	"errors"
	"testing"
)

type listing struct {
	Agent
	models []Model
	err    error
}

func (l *listing) Models(context.Context) ([]Model, error) { return l.models, l.err }

func TestHealthTellsOfEachProvider(t *testing.T) {
	broken := errors.New("refused")
	r := NewRouter(RouterOptions{Default: "b", Agents: map[string]Agent{
		"a": &listing{err: broken}, "b": &listing{models: []Model{{ID: "m"}}},
	}})
	list := r.Health(t.Context())
	if len(list) != 2 || list[0].Name != "a" || !errors.Is(list[0].Err, broken) || list[0].Default {
		t.Fatalf("%+v", list)
	}
	if b := list[1]; b.Name != "b" || !b.Default || b.Err != nil || len(b.Models) != 1 || b.Models[0].ID != "m" {
		t.Errorf("%+v", b)
	}
}
