package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"agentzero/actors"
	"agentzero/channels"
	"agentzero/config"
	"agentzero/daemon"
	"agentzero/store"
)

func newChannelsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "channels",
		Short: "Look at webhook channels and their deliveries",
		Long: `Look at the webhook channels of the configuration and at what was delivered to
them, try a channel out, and begin deliveries anew.`,
	}
	cmd.AddCommand(newChannelsListCommand(a), newChannelsDeliveriesCommand(a), newChannelsReplayCommand(a), newChannelsSendCommand(a))
	return cmd
}

func newChannelsListCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the channels and how many deliveries they keep",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadConfig()
			if err != nil {
				return err
			}
			counts := func(string) (map[string]int, error) { return map[string]int{}, nil }
			if j, _, err := a.openKept(false); err == nil { // there may be no store yet
				defer j.Close()
				if inbox, ok := j.(store.Inbox); ok {
					counts = func(name string) (map[string]int, error) { return inbox.CountDeliveries(cmd.Context(), name) }
				}
			}
			table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			if !asJSON {
				fmt.Fprintln(table, "NAME\tKIND\tPATH\tDELIVERIES")
			}
			for _, name := range channelNames(c) {
				kept, err := counts(name)
				if err != nil {
					return err
				}
				if asJSON {
					err = writeLine(a.stdout, struct {
						Name       string         `json:"name"`
						Kind       string         `json:"kind"`
						Path       string         `json:"path"`
						Deliveries map[string]int `json:"deliveries"`
					}{name, c.Channels[name].Kind, "/v1/webhook/" + name, kept})
				} else {
					_, err = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, c.Channels[name].Kind, "/v1/webhook/"+name, countsText(kept))
				}
				if err != nil {
					return err
				}
			}
			return table.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON Lines")
	return cmd
}

func countsText(counts map[string]int) string {
	var parts []string
	for _, state := range actors.DeliveryStates() {
		if n := counts[string(state)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func newChannelsDeliveriesCommand(a *app) *cobra.Command {
	var states []string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "deliveries CHANNEL",
		Short: "List what was delivered to a channel, the newest first",
		Example: `  agentzero channels deliveries support
  agentzero channels deliveries support --state failed,dead   # the dead letters`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted, err := deliveryStates(states)
			if err != nil {
				return err
			}
			j, c, err := a.openKept(false)
			if err != nil {
				return err
			}
			defer j.Close()
			inbox, ok := j.(store.Inbox)
			if _, known := c.Channels[args[0]]; !known || !ok {
				return errNoChannel(c, args[0])
			}
			list, err := actors.ReadDeliveries(cmd.Context(), inbox, args[0], wanted, "", limit)
			if err != nil {
				return err
			}
			return a.printDeliveries(list, asJSON)
		},
	}
	cmd.Flags().StringSliceVar(&states, "state", nil, "list those in these `states` only: queued, replying, ignored, answered, replied, failed, dead")
	cmd.Flags().IntVar(&limit, "limit", 50, "list at most this `number`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON Lines")
	return cmd
}

func deliveryStates(names []string) ([]actors.DeliveryState, error) {
	var states []actors.DeliveryState
	for _, name := range names {
		found := false
		for _, state := range actors.DeliveryStates() {
			found = found || name == string(state)
		}
		if !found {
			return nil, &usageError{fmt.Sprintf("there is no state %q", name)}
		}
		states = append(states, actors.DeliveryState(name))
	}
	return states, nil
}

func (a *app) printDeliveries(list []actors.Delivery, asJSON bool) error {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	if !asJSON {
		fmt.Fprintln(table, "ID\tSTATE\tACCEPTED\tTRIES\tSESSION\tREASON")
	}
	for i := range list {
		d := &list[i]
		var err error
		if asJSON {
			err = writeLine(a.stdout, struct {
				ID       string    `json:"id"`
				State    string    `json:"state"`
				Session  string    `json:"session_id"`
				Accepted time.Time `json:"accepted"`
				Updated  time.Time `json:"updated"`
				Tries    int       `json:"tries"`
				Replies  int       `json:"reply_tries"`
				Text     string    `json:"text"`
				Answer   string    `json:"answer"`
				Reason   string    `json:"reason"`
			}{d.ID, string(d.State), d.Session, d.Accepted.UTC(), d.Updated.UTC(), d.Tries, d.ReplyTries, d.Text, d.Answer, d.Reason})
		} else {
			_, err = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", d.ID, d.State, d.Accepted.UTC().Format(time.RFC3339), d.Tries+d.ReplyTries, d.Session, d.Reason)
		}
		if err != nil {
			return err
		}
	}
	return table.Flush()
}

func errNoChannel(c *config.Config, name string) error {
	names := channelNames(c)
	if len(names) == 0 {
		return fmt.Errorf("there is no channel %s: the configuration has none; add a table [channels.%s]", name, name)
	}
	return fmt.Errorf("there is no channel %s, but there are: %s", name, strings.Join(names, ", "))
}

func (a *app) completeChannel(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if c, err := a.loadConfig(); err == nil && len(args) == 0 {
		return channelNames(c), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// door is how the commands reach the running gateway.
type door struct {
	url, token string
	config     *config.Config
}

const tokenVariable = "AGENTZERO_TOKEN"

// openDoor finds the gateway that runs on the data directory.
func (a *app) openDoor(token, address string) (*door, error) {
	c, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	d := &door{url: strings.TrimRight(address, "/"), token: token, config: c}
	for _, other := range []string{os.Getenv(tokenVariable), c.Gateway.BearerToken.Reveal()} {
		if d.token == "" {
			d.token = other
		}
	}
	if d.url == "" {
		found, err := daemon.Look(c.DataDir)
		if err != nil {
			return nil, err
		}
		if !found.Running || found.State.Address == "" {
			return nil, fmt.Errorf("no gateway runs on %s: start it, or name another with --url", c.DataDir)
		}
		if d.url = found.State.Address; !strings.Contains(d.url, "://") {
			d.url = "http://" + d.url
		}
	}
	return d, nil
}

func doorFlags(cmd *cobra.Command, token, address *string) {
	cmd.Flags().StringVar(token, "token", "", "`token` to ask with (default: $AGENTZERO_TOKEN, the fixed token)")
	cmd.Flags().StringVar(address, "url", "", "base `URL` of the gateway (default: the one that runs on the data directory)")
}

// ask makes a request and returns the answer's body, or the gateway's error.
func (d *door) ask(ctx context.Context, path string, header http.Header, body []byte, wait time.Duration) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, &usageError{"--url is no URL"}
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		var told *url.Error
		if errors.As(err, &told) {
			err = told.Err
		}
		return 0, nil, fmt.Errorf("the gateway at %s cannot be reached: %w", d.url, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return 0, nil, fmt.Errorf("the gateway's answer broke off: %w", err)
	}
	if resp.StatusCode >= 300 {
		var failure struct {
			Error struct{ Message, Code string }
		}
		_ = json.Unmarshal(answer, &failure) // what is no such object has no message
		return resp.StatusCode, nil, fmt.Errorf("the gateway answered %s: %s", resp.Status, failure.Error.Message)
	}
	return resp.StatusCode, answer, nil
}

func (d *door) bearer(h http.Header) http.Header {
	if d.token != "" {
		h.Set("Authorization", "Bearer "+d.token)
	}
	return h
}

func newChannelsReplayCommand(a *app) *cobra.Command {
	var token, address, state string
	cmd := &cobra.Command{
		Use:   "replay CHANNEL [ID...]",
		Short: "Begin deliveries anew",
		Long: `Begin deliveries anew in the running gateway: those named, or with --state those
in these states. What has failed is run again; of what is dead only the answer is
sent again. It needs a token with the scope admin.`,
		Example: `  agentzero channels replay support d1 d2
  agentzero channels replay support --state failed,dead`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) > 1) == (state != "") {
				return &usageError{"name deliveries, or give --state"}
			}
			d, err := a.openDoor(token, address)
			if err != nil {
				return err
			}
			asked := map[string]any{"state": state}
			if len(args) > 1 {
				asked = map[string]any{"ids": args[1:]}
			}
			body, err := json.Marshal(asked)
			if err != nil {
				return err
			}
			_, answer, err := d.ask(cmd.Context(), "/v1/webhook/"+url.PathEscape(args[0])+"/replay",
				d.bearer(http.Header{"Content-Type": {"application/json"}}), body, 0)
			if err != nil {
				return err
			}
			var result struct {
				Replayed []string
				Left     []struct{ ID, Reason string }
			}
			if err := json.Unmarshal(answer, &result); err != nil {
				return fmt.Errorf("the gateway's answer cannot be read: %w", err)
			}
			for _, left := range result.Left {
				_, _ = fmt.Fprintf(a.stderr, "agentzero: %s: %s\n", left.ID, left.Reason)
			}
			if _, err := fmt.Fprintf(a.stdout, "Begun anew: %d.\n", len(result.Replayed)); err != nil {
				return err
			}
			if len(result.Left) > 0 {
				return &exitError{exitFailure}
			}
			return nil
		},
	}
	doorFlags(cmd, &token, &address)
	cmd.Flags().StringVar(&state, "state", "", "begin anew those in these `states`, such as failed,dead")
	return cmd
}

func newChannelsSendCommand(a *app) *cobra.Command {
	var token, address, id, file string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "send CHANNEL [TEXT]",
		Short: "Try a channel out: sign a delivery and send it",
		Long: `Send a delivery to the running gateway, signed with the channel's secret as its
platform would. TEXT makes one of the channel's kind; --data takes a body as the
platform sends it. A channel of the kind generic needs a token with the scope
webhook.`,
		Example: `  agentzero channels send support "Where is my order?"
  agentzero channels send github --data issue_comment.json --wait 30s`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: a.completeChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 2) == (file != "") {
				return &usageError{"give a TEXT, or a file with --data"}
			}
			d, err := a.openDoor(token, address)
			if err != nil {
				return err
			}
			settings, ok := d.config.Channels[args[0]]
			if !ok {
				return errNoChannel(d.config, args[0])
			}
			channel, err := newChannel(args[0], settings)
			if err != nil {
				return err
			}
			now := time.Now()
			if id == "" {
				id = actors.NewID("test_")
			}
			var body []byte
			if file == "" {
				body = channel.Sample(args[1], id, now)
			} else if body, err = readInput(a.stdin, file); err != nil {
				return err
			}
			header, err := channel.Sign(body, id, now)
			if errors.Is(err, channels.ErrCannotSign) && d.token != "" {
				header, err = http.Header{"Content-Type": {"application/json"}}, nil
			}
			if err != nil {
				return err
			}
			if !channel.Signed() || channel.Kind() == channels.Discord {
				d.bearer(header)
			}
			path := "/v1/webhook/" + url.PathEscape(args[0])
			if wait > 0 {
				path += "?wait=" + wait.String()
			}
			_, answer, err := d.ask(cmd.Context(), path, header, body, wait)
			if err != nil {
				return err
			}
			_, err = a.stdout.Write(append(bytes.TrimSpace(answer), '\n'))
			return err
		},
	}
	doorFlags(cmd, &token, &address)
	cmd.Flags().StringVar(&id, "id", "", "the delivery's `id`, where the kind has it in a header (default: a fresh one)")
	cmd.Flags().StringVar(&file, "data", "", "`file` with the body, - for standard input")
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait this `time` for the answer")
	mustComplete(cmd.MarkFlagFilename("data"))
	return cmd
}

// readInput reads a file, or with "-" the standard input.
func readInput(stdin io.Reader, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(stdin, 64<<20))
	}
	return os.ReadFile(path)
}
