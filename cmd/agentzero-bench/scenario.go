package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"agentzero/bench"
	"agentzero/bench/report"
	"agentzero/bench/scenario"
)

func newScenarioCommand(a *app) *cobra.Command {
	var (
		t        bench.Target
		o        bench.CompareOptions
		vs       []string
		jsonFile string
	)
	cmd := &cobra.Command{
		Use:   "scenario [NAME|FILE.toml [URL]]",
		Short: "Run a scenario by its name, or list those there are",
		Long: `Run a scenario against one server, or with --vs against several in turn. The
flags --clients and --duration take the place of the scenario's own.`,
		Example: `  agentzero-bench scenario
  agentzero-bench scenario steady http://127.0.0.1:42617
  agentzero-bench scenario slow-readers --vs nginx=http://127.0.0.1:8080 --vs mine=http://127.0.0.1:42617`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listScenarios()
			}
			s, err := loadScenario(args[0])
			if err != nil {
				return err
			}
			flags := cmd.Flags()
			if flags.Changed("clients") {
				s.Plan.Clients, _ = flags.GetInt("clients")
			}
			if flags.Changed("duration") {
				s.Plan.Duration, _ = flags.GetDuration("duration")
			}
			token := os.Getenv(tokenVariable)
			progress, clear := a.progress()
			switch {
			case len(args) == 2 && len(vs) == 0:
				t.URL, t.Token, t.WebhookSecret = args[1], token, os.Getenv(secretVariable)
				if t.Name == "" {
					t.Name = t.URL
				}
				r, err := bench.Run(cmd.Context(), t, s.Plan, bench.Options{Progress: progress})
				clear()
				if err != nil {
					return err
				}
				if jsonFile != "" {
					if err := writeJSON(jsonFile, r); err != nil {
						return err
					}
				}
				return report.Text(a.stdout, r)
			case len(args) == 1 && len(vs) > 0:
				targets, err := parseTargets(vs, nil, token)
				if err != nil {
					return err
				}
				if progress != nil {
					o.Progress = func(_ string, _, _ int, p bench.Progress) { progress(p) }
				}
				c, err := bench.Compare(cmd.Context(), targets, s.Plan, o)
				clear()
				if err != nil {
					return err
				}
				if err := (&outputFiles{json: jsonFile}).write(c); err != nil {
					return err
				}
				return report.CompareText(a.stdout, c)
			}
			return fmt.Errorf("give the URL of one server, or several with --vs")
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&t.Name, "name", "", "of the target, in reports")
	flags.IntSliceVar(&t.PIDs, "pid", nil, "the server's processes (default: those that listen on the port)")
	flags.BoolVar(&t.Remote, "remote", false, "allow a server on another machine, which must be your own")
	flags.StringArrayVar(&vs, "vs", nil, "a server, as `NAME=URL`; may be repeated")
	flags.IntVar(&o.Rounds, "rounds", 3, "how often each server is asked, with --vs")
	flags.DurationVar(&o.Settle, "settle", time.Second, "between two runs")
	flags.StringVar(&jsonFile, "json", "", "write the whole result to a `file`")
	flags.Int("clients", 0, "in the place of the scenario's")
	flags.Duration("duration", 0, "in the place of the scenario's")
	return cmd
}

// loadScenario takes what looks like a file for one.
func loadScenario(name string) (*scenario.Scenario, error) {
	if !strings.HasSuffix(name, ".toml") {
		return scenario.Load(name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return scenario.Parse(name, text)
}

func (a *app) listScenarios() error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, name := range scenario.Names() {
		s, err := scenario.Load(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\n", name, s.About)
	}
	return w.Flush()
}
