package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"agentzero/store"
)

var _ store.Watcher = (*Journal)(nil)

// deletions is the channel on which the gateways tell each other what they delete.
const deletions = "agentzero_deleted"

// deletion is what is told there.
type deletion struct {
	From  string `json:"from"` // the journal that has deleted it, which needs no telling
	Owner string `json:"owner"`
	Name  string `json:"name"`
}

// listenAgain is when a connection that broke is made anew.
const listenAgain = time.Second

// Watch implements [store.Watcher], on a connection of its own. What was missed
// while that was broken may have been anything.
func (j *Journal) Watch(ctx context.Context, changed func(store.Change)) {
	for ctx.Err() == nil {
		_ = j.listen(ctx, changed) // a server that is away says so to those who write
		select {
		case <-time.After(listenAgain):
		case <-ctx.Done():
		}
	}
}

func (j *Journal) listen(ctx context.Context, changed func(store.Change)) error {
	conn, err := pgx.ConnectConfig(ctx, j.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+deletions); err != nil {
		return err
	}
	changed(store.Change{})
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		var d deletion
		if json.Unmarshal([]byte(n.Payload), &d) != nil || d.Name == "" {
			changed(store.Change{})
		} else if d.From != j.instance {
			changed(store.Change{Session: store.ID{Owner: d.Owner, Name: d.Name}})
		}
	}
}

// told is the notification of a deletion. One that is too long names nothing.
func (j *Journal) told(id store.ID) string {
	const maxPayload = 7999 // NOTIFY takes less than 8000 bytes
	data, err := json.Marshal(deletion{j.instance, id.Owner, id.Name})
	if err != nil || len(data) > maxPayload {
		return ""
	}
	return string(data)
}
