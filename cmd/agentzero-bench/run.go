package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"agentzero/bench"
	"agentzero/bench/report"
	"agentzero/bench/upstream"
)

func newRunCommand(a *app) *cobra.Command {
	var (
		t           bench.Target
		p           = bench.Plan{Answer: upstream.Default}
		door        string
		sessions    string
		jsonFile    string
		tokenSource string
	)
	cmd := &cobra.Command{
		Use:   "run URL",
		Short: "Ask one server, and tell how it answered and what that cost it",
		Example: `  agentzero-bench run http://127.0.0.1:42617 --clients 500 --duration 10s
  agentzero-bench run http://127.0.0.1:42617 --door ws --sessions client --clients 100
  agentzero-bench run http://127.0.0.1:42617 --rate 200 --clients 2000 --tokens 50`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t.URL, p.Door, p.Sessions = args[0], bench.Door(door), bench.Sessions(sessions)
			t.Token, t.WebhookSecret = os.Getenv(tokenSource), os.Getenv(secretVariable)
			if t.Name == "" {
				t.Name = t.URL
			}
			progress, clear := a.progress()
			result, err := bench.Run(cmd.Context(), t, p, bench.Options{Progress: progress})
			clear()
			if err != nil {
				return err
			}
			if jsonFile != "" {
				if err := writeJSON(jsonFile, result); err != nil {
					return err
				}
			}
			return report.Text(a.stdout, result)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&t.Name, "name", "", "of the target, in reports")
	flags.IntSliceVar(&t.PIDs, "pid", nil, "the server's processes (default: those that listen on the port)")
	flags.BoolVar(&t.Remote, "remote", false, "allow a server on another machine, which must be your own")
	flags.StringVar(&tokenSource, "token-env", tokenVariable, "environment `variable` with the bearer token")
	flags.StringVar(&jsonFile, "json", "", "write the whole result to a `file`")
	flags.StringVar(&door, "door", string(bench.Completions), "completions, ws, idle-ws, chat or webhook")
	flags.StringVar(&sessions, "sessions", "", "a session for each client or answer (default: none)")
	flags.IntVar(&p.Clients, "clients", 100, "clients in a closed loop; with --rate, the most at once")
	planFlags(cmd, &p)
	behaviourFlags(cmd, &p.Answer)
	return cmd
}

func planFlags(cmd *cobra.Command, p *bench.Plan) {
	flags := cmd.Flags()
	flags.StringVar(&p.Channel, "channel", "", "of the door webhook")
	flags.Float64Var(&p.Rate, "rate", 0, "begin so many answers a second, whatever the server does (open loop)")
	flags.DurationVar(&p.Ramp, "ramp", 2*time.Second, "over which the clients begin")
	flags.DurationVar(&p.Warmup, "warmup", time.Second, "after the ramp, not measured")
	flags.DurationVar(&p.Duration, "duration", 10*time.Second, "measured")
	flags.Int64Var(&p.Answers, "answers", 0, "end after so many answers (0: by time only)")
	flags.DurationVar(&p.Pause, "pause", 0, "of a client between two answers")
	flags.DurationVar(&p.Timeout, "timeout", 0, "of silence within an answer (0: 1m)")
	flags.IntVar(&p.HangUpAfter, "hang-up-after", 0, "clients cut their answers after so many deltas (0: never)")
	flags.BoolVar(&p.Reconnect, "reconnect", false, "use a connection for each answer")
	flags.Float64Var(&p.SlowShare, "slow-share", 0, "`share` of clients that read slowly, 0 to 1")
	flags.IntVar(&p.SlowBytes, "slow-bytes", 1000, "what a slow client reads in a second")
	flags.StringVar(&p.Model, "model", "", "ask for this model, not for the mock's behaviour")
	flags.IntVar(&p.Prompt, "prompt", 0, "length of the question in bytes (0: a sentence)")
}

func writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}

// progress writes a line that lives on a terminal, and nothing elsewhere.
func (a *app) progress() (show func(bench.Progress), clear func()) {
	f, ok := a.stderr.(*os.File)
	if !ok || !isTerminal(f) {
		return nil, func() {}
	}
	var last int64
	return func(p bench.Progress) {
			fmt.Fprintf(f, "\r\x1b[K%s %.0f/%.0f s  %d open  %d deltas/s  %d failed",
				p.Phase, p.Elapsed.Seconds(), p.Total.Seconds(), p.Open, p.Deltas-last, p.Failed)
			last = p.Deltas
		}, func() {
			fmt.Fprint(f, "\r\x1b[K")
		}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
