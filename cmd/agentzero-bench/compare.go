package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agentzero/bench"
	"agentzero/bench/report"
	"agentzero/bench/upstream"
)

func newCompareCommand(a *app) *cobra.Command {
	var (
		p         = bench.Plan{Answer: upstream.Default}
		o         bench.CompareOptions
		vs        []string
		tokens    []string
		door      string
		sessions  string
		reference string
		files     outputFiles
	)
	cmd := &cobra.Command{
		Use:   "compare [FILE.json...] [--vs NAME=URL...]",
		Short: "Set several servers side by side",
		Long: `Set servers side by side: results that were written with --json before, or
servers that run now. Those are asked in turn, in rounds, each round beginning
with another one. The first is the reference for the others' ratios.`,
		Example: `  agentzero-bench compare --vs nginx=http://127.0.0.1:8080 --vs mine=http://127.0.0.1:42617 \
    --clients 100 --clients 500 --rounds 3 --html report.html
  agentzero-bench compare before.json after.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 0) == (len(vs) == 0) {
				return fmt.Errorf("give either files, or servers with --vs")
			}
			var (
				c   *bench.Comparison
				err error
			)
			if len(args) > 0 {
				c, err = compareFiles(args, reference)
			} else {
				var targets []bench.Target
				if targets, err = parseTargets(vs, tokens, os.Getenv(tokenVariable)); err != nil {
					return err
				}
				p.Door, p.Sessions = bench.Door(door), bench.Sessions(sessions)
				show, clear := a.progress()
				if show != nil {
					o.Progress = func(target string, round, clients int, p bench.Progress) {
						p.Phase = fmt.Sprintf("round %d of %d, %d clients, %s: %s", round, o.Rounds, clients, target, p.Phase)
						show(p)
					}
				}
				c, err = bench.Compare(cmd.Context(), targets, p, o)
				clear()
			}
			if err != nil {
				return err
			}
			if err := files.write(c); err != nil {
				return err
			}
			return report.CompareText(a.stdout, c)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&vs, "vs", nil, "a server, as `NAME=URL`; may be repeated")
	flags.StringArrayVar(&tokens, "token", nil, "the environment `NAME=VARIABLE` that holds a server's token (default: $"+tokenVariable+")")
	flags.IntVar(&o.Rounds, "rounds", 3, "how often each server is asked")
	flags.DurationVar(&o.Settle, "settle", time.Second, "between two runs")
	flags.StringVar(&door, "door", string(bench.Completions), "completions, ws, idle-ws, chat or webhook")
	flags.StringVar(&sessions, "sessions", "", "a session for each client or answer (default: none)")
	flags.StringVar(&reference, "reference", "", "`name` of the target the others are set against (default: the first)")
	files.flags(cmd)
	flags.IntSliceVar(&o.Clients, "clients", []int{100}, "clients; several numbers show the growth")
	planFlags(cmd, &p)
	behaviourFlags(cmd, &p.Answer)
	return cmd
}

// outputFiles are where a comparison is written to.
type outputFiles struct{ json, markdown, html string }

func (f *outputFiles) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.json, "json", "", "write everything to a `file`, which compare reads again")
	flags.StringVar(&f.markdown, "markdown", "", "write the table to a `file`")
	flags.StringVar(&f.html, "html", "", "write a page with plots to a `file`")
}

func (f *outputFiles) write(c *bench.Comparison) error {
	if f.json != "" {
		if err := writeJSON(f.json, c); err != nil {
			return err
		}
	}
	for name, render := range map[string]func(io.Writer, *bench.Comparison) error{
		f.markdown: report.CompareMarkdown, f.html: report.CompareHTML,
	} {
		if name == "" {
			continue
		}
		file, err := os.Create(name)
		if err != nil {
			return err
		}
		if err := render(file, c); err != nil {
			_ = file.Close()
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// parseTargets reads NAME=URL and NAME=VARIABLE.
func parseTargets(vs, tokens []string, token string) ([]bench.Target, error) {
	var list []bench.Target
	for _, text := range vs {
		name, url, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("--vs %q is no NAME=URL", text)
		}
		t := bench.Target{Name: name, URL: url, Token: token, WebhookSecret: os.Getenv(secretVariable)}
		for _, text := range tokens {
			if of, variable, ok := strings.Cut(text, "="); ok && of == name {
				t.Token = os.Getenv(variable)
			}
		}
		list = append(list, t)
	}
	return list, nil
}

// compareFiles reads results and comparisons, and sets all they hold side by side.
func compareFiles(names []string, reference string) (*bench.Comparison, error) {
	var all []*bench.Result
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var file struct {
			Results []*bench.Result `json:"results"`
			bench.Result
		}
		if err := json.Unmarshal(b, &file); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		switch {
		case len(file.Results) > 0:
			all = append(all, file.Results...)
		case file.Plan.Duration > 0:
			// Two runs of one server are set side by side by their files' names.
			r := file.Result
			if len(names) > 1 {
				r.Target.Name = strings.TrimSuffix(name, ".json")
			}
			all = append(all, &r)
		default:
			return nil, fmt.Errorf("%s holds no result", name)
		}
	}
	return bench.Group(all, reference)
}
