package actors

import (
	"context"
	"errors"
	"fmt"

	"agentzero/store"
)

// Glance is what can be told of a session without waking it.
type Glance struct {
	Owner string
	// Live tells that the session is in memory.
	Live bool
	Description
}

// Overview tells of the sessions of an owner, or with "" of all, the newest
// first, past the one named by after (whose owner is needed where owner is "").
// Those in memory tell it themselves; of those that rest the journal tells what
// it knows, and they rest on.
func (s *System) Overview(ctx context.Context, owner string, after Key, limit int) ([]Glance, error) {
	infos, err := s.options.Journal.List(ctx, owner, after.id(), limit)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, &Refusal{Code: RefusedNotFound, Message: "there is no session " + after.Name + " to list after"}
	case err != nil:
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	glances := make([]Glance, 0, len(infos))
	for _, info := range infos {
		g, err := s.glance(ctx, Key{Owner: info.ID.Owner, Name: info.ID.Name})
		if err != nil {
			return nil, err
		}
		if g != nil {
			glances = append(glances, *g)
		}
	}
	return glances, nil
}

// glance returns nil where the session was deleted meanwhile.
func (s *System) glance(ctx context.Context, key Key) (*Glance, error) {
	if e := s.registry.peek(key); e != nil {
		d, err := ask[Description](s, e.pid, &Describe{Glance: true})
		s.registry.unlease(e)
		var refusal *Refusal
		switch {
		case err == nil:
			return &Glance{Owner: key.Owner, Live: true, Description: *d}, nil
		case errors.As(err, &refusal) && refusal.Code == RefusedNotFound:
			return nil, nil
		}
	}
	r, err := loadHead(ctx, s.options.Journal, key.id())
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	if r == nil {
		return nil, nil
	}
	return &Glance{Owner: key.Owner, Description: Description{
		Name: key.Name, Created: r.created, Updated: r.updated, Metadata: r.metadata, Turns: r.turns, Messages: r.messages,
		PromptTokens: r.usage.Prompt, CompletionTokens: r.usage.Completion, Epoch: r.head.Log, Seq: r.head.Seq, Queue: []string{},
	}}, nil
}
