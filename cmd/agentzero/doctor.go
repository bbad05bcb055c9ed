package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agentzero/agent"
	"agentzero/agent/discovery"
	"agentzero/auth"
	"agentzero/config"
	"agentzero/store/postgres"
	"agentzero/store/sqlite"
	"agentzero/transport"
)

// verdict is how a check comes out.
type verdict string

const (
	verdictOK   verdict = "ok"
	verdictWarn verdict = "warn" // it works, and could be better
	verdictFail verdict = "fail" // the gateway does not work like that
)

// finding is what a check has found.
type finding struct {
	Check   string  `json:"check"`
	Verdict verdict `json:"verdict"`
	Found   string  `json:"found"`
	Remedy  string  `json:"remedy,omitempty"` // "" where nothing is to be done
}

func newDoctorCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what could keep the gateway from working",
		Long: `Check the configuration, the data directory, the port, the store, the tokens, the
provider, the clock and the limit of open files, and tell for each how it is and
what to do. Nothing is changed. The exit code is 1 when a check fails.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings := a.examine(cmd.Context())
			var err error
			if asJSON {
				err = writeJSON(a.stdout, findings)
			} else {
				err = a.printFindings(findings)
			}
			for _, f := range findings {
				if err == nil && f.Verdict == verdictFail {
					return &exitError{exitFailure}
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// examine makes all checks. Without a configuration there is nothing else to look
// at.
func (a *app) examine(ctx context.Context) []finding {
	c, err := a.loadConfig()
	if err != nil {
		return []finding{{"configuration", verdictFail, err.Error(), "mend it; \"agentzero config check\" tells the same"}}
	}
	file := firstOf(c.File, "no file; the defaults and the environment")
	findings := []finding{{Check: "configuration", Verdict: verdictOK, Found: file}}
	for _, check := range []func(context.Context, *config.Config) finding{
		checkDataDir, checkDisk, checkPort, checkStore, checkTokens, checkProvider, checkClock, checkFiles,
	} {
		findings = append(findings, check(ctx, c))
	}
	return findings
}

func (a *app) printFindings(findings []finding) error {
	style := a.styleOf(a.stdout)
	var b strings.Builder
	for _, f := range findings {
		mark := style.green("ok  ")
		switch f.Verdict {
		case verdictWarn:
			mark = style.yellow("warn")
		case verdictFail:
			mark = style.red("FAIL")
		}
		fmt.Fprintf(&b, "%s  %-14s %s\n", mark, f.Check, f.Found)
		if f.Remedy != "" {
			fmt.Fprintf(&b, "%20s -> %s\n", "", f.Remedy)
		}
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func checkDataDir(_ context.Context, c *config.Config) finding {
	f := finding{Check: "data directory", Verdict: verdictOK, Found: c.DataDir}
	if _, err := os.Stat(c.DataDir); errors.Is(err, fs.ErrNotExist) {
		f.Found += " (made at the first start)"
		return f
	}
	warnings, err := config.EnsureDataDir(c.DataDir)
	switch {
	case err != nil:
		f.Verdict, f.Found, f.Remedy = verdictFail, err.Error(), "give a directory of your own with --data-dir, or mend its permissions"
	case len(warnings) > 0:
		f.Verdict, f.Found, f.Remedy = verdictWarn, warnings[0], "chmod 700 "+c.DataDir
	}
	return f
}

// Free space below which a gateway cannot do its work for long, in bytes.
const (
	scarceSpace = 1 << 30
	noSpace     = 64 << 20
)

func checkDisk(_ context.Context, c *config.Config) finding {
	free, err := freeSpace(c.DataDir)
	if err != nil {
		return finding{"disk space", verdictOK, "not told by this system", ""}
	}
	f := finding{Check: "disk space", Verdict: verdictOK, Found: byteSize(free) + " free"}
	const remedy = "make room, or set store.max_bytes and store.max_age"
	switch {
	case free < noSpace:
		f.Verdict, f.Remedy = verdictFail, remedy
	case free < scarceSpace:
		f.Verdict, f.Remedy = verdictWarn, remedy
	}
	return f
}

func checkPort(ctx context.Context, c *config.Config) finding {
	f := finding{Check: "port", Verdict: verdictOK}
	s, err := lookAt(ctx, c)
	switch {
	case err != nil:
		f.Verdict, f.Found, f.Remedy = verdictFail, err.Error(), "mend the permissions of "+c.DataDir
		return f
	case s.Running && s.Health == "ok":
		f.Found = fmt.Sprintf("a gateway runs (PID %d) and answers at %s", s.PID, s.Address)
		return f
	case s.Running:
		f.Verdict, f.Found = verdictWarn, fmt.Sprintf("a gateway runs (PID %d) and is %s", s.PID, s.Health)
		f.Remedy = "see \"agentzero daemon logs\"; \"agentzero daemon restart\" starts it anew"
		return f
	}
	l, err := net.Listen("tcp", c.Gateway.Address())
	if err != nil {
		f.Verdict, f.Found, f.Remedy = verdictFail, listenError(c.Gateway, err).Error(), "see gateway.host and gateway.port"
		return f
	}
	l.Close()
	f.Found = c.Gateway.Address() + " is free; no gateway runs"
	return f
}

func checkStore(ctx context.Context, c *config.Config) finding {
	f := finding{Check: "store", Verdict: verdictOK}
	switch c.Store.Kind {
	case storeMemory:
		return finding{f.Check, verdictWarn, "in memory", "sessions are forgotten at the gateway's end; store.kind = \"sqlite\" keeps them"}
	case storePostgres:
		ctx, cancel := context.WithTimeout(ctx, openTimeout)
		defer cancel()
		j, err := postgres.Open(ctx, postgres.Options{URL: c.Store.URL.Reveal(), Node: "doctor"})
		if err != nil {
			return finding{f.Check, verdictFail, err.Error(), "see to the database, or to store.url"}
		}
		f.Found = "PostgreSQL answers"
		if err := j.Close(); err != nil {
			f.Verdict, f.Found = verdictWarn, "PostgreSQL: "+err.Error()
		}
		return f
	}
	info, err := os.Stat(c.Store.Path)
	if errors.Is(err, fs.ErrNotExist) {
		f.Found = c.Store.Path + " (made at the first start)"
		return f
	}
	if err == nil {
		err = checkFile(ctx, c.Store.Path)
	}
	if err != nil {
		return finding{f.Check, verdictFail, err.Error(), "restore a backup: agentzero restore FILE"}
	}
	f.Found = fmt.Sprintf("%s is whole (%s)", c.Store.Path, byteSize(info.Size()))
	return f
}

// checkFile reads all of sqlite's file.
func checkFile(ctx context.Context, path string) error {
	j, err := sqlite.Open(sqlite.Options{Path: path, ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(j.Check(ctx), j.Close())
}

func checkTokens(_ context.Context, c *config.Config) finding {
	tokens, err := auth.NewFile(c.DataDir).List()
	switch {
	case err != nil:
		return finding{"tokens", verdictFail, err.Error(), "as it says"}
	case !c.Gateway.RequirePairing:
		return finding{"tokens", verdictWarn, "gateway.require_pairing is off: every program on this machine may use the gateway", "turn it on, unless that is meant"}
	case len(tokens) == 0:
		return finding{"tokens", verdictOK, "none yet: pair with the code of the next start, or: agentzero token create --name NAME", ""}
	}
	return finding{"tokens", verdictOK, strconv.Itoa(len(tokens)) + " in use", ""}
}

// providerPatience bounds the question to a provider.
const providerPatience = 10 * time.Second

func checkProvider(ctx context.Context, c *config.Config) finding {
	f := finding{Check: "provider", Verdict: verdictOK}
	switch name := c.Agent.Provider; name {
	case "":
		if s, err := lookAt(ctx, c); err == nil && s.Running {
			f.Found = "none in this configuration; the gateway that runs has " + s.Agent
			return f
		}
		f.Verdict, f.Found, f.Remedy = verdictWarn, "none: requests are answered 503", "set agent.provider, for example to \"auto\"; \"agentzero discover\" shows this machine's model servers"
	case demoName:
		f.Found = "demo, built in"
	case autoName:
		servers := discovery.Find(ctx, discovery.Options{Addresses: c.Agent.LocalServers, Skip: ownAddresses(c)})
		if len(servers) == 0 || !servers[0].Usable() {
			return finding{f.Check, verdictFail, "auto: no local model server can be used", "start one, or name its address in agent.local_servers; see \"agentzero discover\""}
		}
		f.Found = "auto: " + describeServer(servers[0]) + ", " + countModels(len(servers[0].Models))
	default:
		return askProvider(ctx, name, c.Providers[name])
	}
	return f
}

func askProvider(ctx context.Context, name string, p config.Provider) finding {
	ctx, cancel := context.WithTimeout(ctx, providerPatience)
	defer cancel()
	p.MaxRetries = 0
	provider := newProvider(name, p, transport.NewMetrics(""))
	defer provider.Close()
	began := time.Now()
	models, err := provider.Models(ctx)
	f := finding{Check: "provider", Verdict: verdictOK}
	var failed *agent.Error
	switch {
	case err == nil:
		f.Found = fmt.Sprintf("%s (%s at %s) answers in %v, %s", name, p.Kind, p.BaseURL, time.Since(began).Round(time.Millisecond), countModels(len(models)))
	case errors.As(err, &failed) && (failed.Status == http.StatusNotFound || failed.Status == http.StatusMethodNotAllowed):
		f.Found = fmt.Sprintf("%s (%s at %s) answers; it lists no models", name, p.Kind, p.BaseURL)
	case errors.As(err, &failed) && (failed.Status == http.StatusUnauthorized || failed.Status == http.StatusForbidden):
		f.Verdict, f.Found, f.Remedy = verdictFail, err.Error(), "see to providers."+name+".api_key"
	default:
		f.Verdict, f.Found, f.Remedy = verdictFail, err.Error(), "see that the server runs, and to providers."+name+".base_url"
	}
	return f
}

// skewLimit is how far a clock may be off: signed webhooks are refused from five
// minutes on.
const skewLimit = time.Minute

// checkClock holds this machine's clock against that of the provider, where it is
// another machine, and against the time when the store was last written.
func checkClock(ctx context.Context, c *config.Config) finding {
	now := time.Now()
	f := finding{Check: "clock", Verdict: verdictOK, Found: now.Format(time.RFC3339)}
	const remedy = "set it; a time service (chrony, systemd-timesyncd) keeps it right"
	if info, err := os.Stat(c.Store.Path); err == nil && info.ModTime().After(now.Add(skewLimit)) {
		f.Verdict, f.Remedy = verdictFail, remedy
		f.Found += ", but the store was last written at " + info.ModTime().Format(time.RFC3339)
		return f
	}
	p, ok := c.Providers[c.Agent.Provider]
	if !ok {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, p.BaseURL, nil)
	if err != nil {
		return f
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}}
	resp, err := client.Do(req)
	if err != nil {
		return f // the provider's own check tells
	}
	resp.Body.Close()
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return f
	}
	if off := now.Sub(theirs); off.Abs() > skewLimit {
		f.Verdict, f.Remedy = verdictWarn, remedy
		f.Found += fmt.Sprintf(", %v off the provider's", off.Round(time.Second).Abs())
	}
	return f
}

// filesBesides is what a gateway has open besides its clients' connections: its
// store, and connections to providers, which turns share one after another.
const filesBesides = 512

func checkFiles(_ context.Context, c *config.Config) finding {
	limit, err := openFiles()
	if err != nil {
		return finding{"open files", verdictOK, "not limited by this system", ""}
	}
	f := finding{Check: "open files", Verdict: verdictOK, Found: fmt.Sprintf("%d at most", limit)}
	if want := uint64(c.Gateway.MaxConnections + filesBesides); limit < want {
		f.Verdict = verdictWarn
		f.Found += fmt.Sprintf("; gateway.max_connections = %d may need %d", c.Gateway.MaxConnections, want)
		f.Remedy = "raise it (ulimit -n, LimitNOFILE=), or lower gateway.max_connections"
	}
	return f
}
