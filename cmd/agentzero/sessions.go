package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"agentzero/actors"
	"agentzero/agent"
	"agentzero/auth"
	"agentzero/store"
)

func newSessionsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List, show, export, delete and prune sessions",
		Long: `Look at the sessions in the store and remove them, whether a gateway runs or not.
A session belongs to an owner; --owner names another than "default".`,
	}
	cmd.AddCommand(newSessionsListCommand(a), newSessionsShowCommand(a), newSessionsExportCommand(a),
		newSessionsDeleteCommand(a), newSessionsPruneCommand(a))
	return cmd
}

// sessionJSON is a session as these commands print it.
type sessionJSON struct {
	ID      string    `json:"id"`
	Owner   string    `json:"owner"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Bytes   int64     `json:"bytes"`
	// Messages counts those of the conversation.
	Messages int `json:"messages"`
}

// sessionOf adds to a session's row what its head says.
func sessionOf(ctx context.Context, j store.Journal, i store.Info) (sessionJSON, error) {
	_, messages, err := actors.ReadSums(ctx, j, actors.Key{Owner: i.ID.Owner, Name: i.ID.Name})
	return sessionJSON{i.ID.Name, i.ID.Owner, i.Created.UTC(), i.Updated.UTC(), i.Bytes, messages}, err
}

// withKept opens the journal, lets f use it, and closes it.
func (a *app) withKept(write bool, f func(store.Journal) error) error {
	j, _, err := a.openKept(write)
	if err != nil {
		return err
	}
	return errors.Join(f(j), j.Close())
}

func newSessionsListCommand(a *app) *cobra.Command {
	var owner string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List sessions, those used last first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withKept(false, func(j store.Journal) error {
				table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
				if !asJSON {
					fmt.Fprintln(table, "ID\tOWNER\tMESSAGES\tCREATED\tUPDATED\tBYTES")
				}
				infos, err := lastUsed(cmd.Context(), j, owner, limit)
				if err != nil {
					return err
				}
				for _, i := range infos {
					s, err := sessionOf(cmd.Context(), j, i)
					switch {
					case errors.Is(err, store.ErrNotFound): // deleted meanwhile
						continue
					case err == nil && asJSON:
						err = writeLine(a.stdout, s)
					case err == nil:
						_, err = fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%d\n", s.ID, s.Owner, s.Messages, s.Created.Format(time.RFC3339), s.Updated.Format(time.RFC3339), s.Bytes)
					}
					if err != nil {
						return errors.Join(err, table.Flush())
					}
				}
				return table.Flush()
			})
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "list the sessions of this `owner` only")
	cmd.Flags().IntVar(&limit, "limit", 0, "list at most this `number`; 0 lists all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON Lines")
	return cmd
}

// lastUsed reads the sessions of an owner, or of all with "", those used last
// first: limit of them, or all with 0.
func lastUsed(ctx context.Context, j store.Journal, owner string, limit int) (infos []store.Info, err error) {
	newest := func(a, b store.Info) int { return b.Updated.Compare(a.Updated) }
	err = eachSession(ctx, j, owner, 0, func(i store.Info) error {
		infos = append(infos, i)
		if limit > 0 && len(infos) >= 2*limit { // keep no more than are wanted, and as many again
			slices.SortStableFunc(infos, newest)
			infos = infos[:limit]
		}
		return nil
	})
	slices.SortStableFunc(infos, newest)
	if limit > 0 && len(infos) > limit {
		infos = infos[:limit]
	}
	return infos, err
}

// completions is how many sessions a shell is offered.
const completions = 200

// completeSessions offers a shell the ids of sessions, those used last first.
func (a *app) completeSessions(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	owner := auth.DefaultOwner
	if flag := cmd.Flags().Lookup("owner"); flag != nil && flag.Value.String() != "" {
		owner = flag.Value.String()
	}
	if cmd.Name() == "show" && len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	err := a.withKept(false, func(j store.Journal) error {
		infos, err := lastUsed(cmd.Context(), j, owner, 0)
		for _, i := range infos {
			if len(names) < completions && strings.HasPrefix(i.ID.Name, typed) && !slices.Contains(args, i.ID.Name) {
				names = append(names, i.ID.Name)
			}
		}
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// eachSession calls f with the sessions of an owner, or of all with "".
func eachSession(ctx context.Context, j store.Journal, owner string, limit int, f func(store.Info) error) error {
	after := store.ID{}
	for n := 0; ; {
		page, err := j.List(ctx, owner, after, 500)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, i := range page {
			if limit > 0 && n >= limit {
				return nil
			}
			n++
			if err := f(i); err != nil {
				return err
			}
		}
		after = page[len(page)-1].ID
	}
}

func newSessionsShowCommand(a *app) *cobra.Command {
	var owner string
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "show ID",
		Short:             "Print what was said in a session",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeSessions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withKept(false, func(j store.Journal) error {
				key := actors.Key{Owner: owner, Name: args[0]}
				c, err := readConversation(cmd.Context(), j, key)
				if err != nil {
					return err
				}
				if asJSON {
					return writeMessages(a.stdout, key, c)
				}
				for _, item := range c.Items {
					mark := ""
					if item.Interrupted {
						mark = " (interrupted)"
					}
					if _, err := fmt.Fprintf(a.stdout, "%s  %s%s\n%s\n\n", item.At.UTC().Format(time.RFC3339), item.Message.Role, mark, messageText(item.Message)); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	ownerFlag(cmd, &owner)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON Lines, as export does")
	return cmd
}

func readConversation(ctx context.Context, j store.Journal, key actors.Key) (*actors.Conversation, error) {
	c, err := actors.ReadConversation(ctx, j, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%s has no session %s; \"agentzero sessions list\" shows those there are", key.Owner, key.Name)
	}
	return c, err
}

// messageText is a message for people: its text, or where it is more, its JSON.
func messageText(m agent.Message) string {
	if m.Text == "" && m.Raw != nil {
		return string(m.Raw)
	}
	return m.Text
}

func newSessionsExportCommand(a *app) *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use:   "export [ID...]",
		Short: "Print sessions as JSON Lines, a message a line",
		Long: `Print what was said in the sessions named, or in all, as JSON Lines: an object
for each message, with its session, owner, turn, time and the message itself.`,
		ValidArgsFunction: a.completeSessions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withKept(false, func(j store.Journal) error {
				export := func(key actors.Key) error {
					c, err := readConversation(cmd.Context(), j, key)
					if err != nil {
						return err
					}
					return writeMessages(a.stdout, key, c)
				}
				for _, id := range args {
					if err := export(actors.Key{Owner: firstOf(owner, auth.DefaultOwner), Name: id}); err != nil {
						return err
					}
				}
				if len(args) > 0 {
					return nil
				}
				return eachSession(cmd.Context(), j, owner, 0, func(i store.Info) error {
					return export(actors.Key{Owner: i.ID.Owner, Name: i.ID.Name})
				})
			})
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "export the sessions of this `owner`; without it all, or of the sessions named those of \"default\"")
	return cmd
}

func writeMessages(w io.Writer, key actors.Key, c *actors.Conversation) error {
	for _, item := range c.Items {
		if err := writeLine(w, struct {
			Session     string        `json:"session_id"`
			Owner       string        `json:"owner"`
			Turn        string        `json:"turn_id"`
			Created     time.Time     `json:"created"`
			Interrupted bool          `json:"interrupted"`
			Message     agent.Message `json:"message"`
		}{key.Name, key.Owner, item.Turn, item.At.UTC(), item.Interrupted, item.Message}); err != nil {
			return err
		}
	}
	return nil
}

// writeLine prints v as one line of JSON.
func writeLine(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func ownerFlag(cmd *cobra.Command, owner *string) {
	cmd.Flags().StringVar(owner, "owner", auth.DefaultOwner, "whose session it is")
}

func newSessionsDeleteCommand(a *app) *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use:   "delete ID...",
		Short: "Delete sessions and all that was said in them",
		Long: `Delete sessions and all that was said in them. A running gateway notices it within
two seconds and ends their turns and event streams; DELETE /v1/sessions/ID ends them
at once.`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeSessions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withKept(true, func(j store.Journal) error {
				for _, name := range args {
					id := store.ID{Owner: owner, Name: name}
					if _, err := j.Load(cmd.Context(), id); errors.Is(err, store.ErrNotFound) {
						return fmt.Errorf("%s has no session %s; \"agentzero sessions list\" shows those there are", owner, name)
					} else if err != nil {
						return err
					}
					if err := j.Delete(cmd.Context(), id); err != nil {
						return err
					}
					if _, err := fmt.Fprintf(a.stdout, "Deleted %s.\n", name); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	ownerFlag(cmd, &owner)
	return cmd
}

func newSessionsPruneCommand(a *app) *cobra.Command {
	var olderThan time.Duration
	var keep int
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Delete the sessions that need not be kept",
		Long: `Delete the sessions that store.max_age, store.max_sessions and store.max_bytes do
not allow, as a running gateway does every minute; or by the flags instead.`,
		Example: `  agentzero sessions prune --older-than 720h
  agentzero sessions prune --keep 1000 --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("older-than") && olderThan <= 0 || cmd.Flags().Changed("keep") && keep <= 0 {
				return &usageError{"--older-than and --keep must be more than 0; \"agentzero sessions delete\" deletes any session"}
			}
			j, c, err := a.openKept(!dryRun)
			if err != nil {
				return err
			}
			r := store.Retention{MaxAge: olderThan, MaxSessions: keep}
			if r == (store.Retention{}) {
				r = store.Retention{MaxAge: c.Store.MaxAge, MaxSessions: c.Store.MaxSessions, MaxBytes: c.Store.MaxBytes}
			}
			n, err := prune(cmd.Context(), j, r, dryRun)
			if err := errors.Join(err, j.Close()); err != nil {
				return err
			}
			what := "Deleted"
			if dryRun {
				what = "Would delete"
			}
			_, err = fmt.Fprintf(a.stdout, "%s sessions: %d.\n", what, n)
			return err
		},
	}
	cmd.Flags().DurationVar(&olderThan, "older-than", 0, "delete what was last written longer ago than this `time`")
	cmd.Flags().IntVar(&keep, "keep", 0, "keep this `number` of sessions, those written last")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count only")
	return cmd
}

func prune(ctx context.Context, j store.Journal, r store.Retention, dryRun bool) (n int, err error) {
	now := time.Now()
	if dryRun {
		ids, err := j.Surplus(ctx, r, now, 1<<30)
		return len(ids), err
	}
	for {
		ids, err := j.Surplus(ctx, r, now, 500)
		if err != nil || len(ids) == 0 {
			return n, err
		}
		for _, id := range ids {
			if err := j.Delete(ctx, id); err != nil {
				return n, err
			}
			n++
		}
	}
}
