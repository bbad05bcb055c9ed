// Package readme runs what README.md tells people to type.
package readme

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/part"
)

func TestMain(m *testing.M) { gateway.Main(m) }

// What the README prints for what differs with each run.
const (
	printedURL  = "127.0.0.1:42617"
	printedCode = "7K3M-Q9TD"
	printedCall = "make run"
)

// step is a command of a transcript, and what the README says it prints.
type step struct{ command, output string }

func TestTheTranscriptWorksLineByLine(t *testing.T) {
	steps := transcript(t, section(t, "console"))
	if len(steps) < 4 || steps[0].command != printedCall {
		t.Fatalf("the transcript does not begin with %s: %+v", printedCall, steps)
	}
	g := gateway.Start(t, gateway.Options{})
	replace := replacer(t, g)
	if got := banner(g.Output()); !matches(replace(steps[0].output), got) {
		t.Errorf("%s prints\n%s\nwant\n%s", printedCall, got, replace(steps[0].output))
	}
	pairing := steps[1]
	got := run(t, []string{replace(pairing.command)}, "")[0]
	found := regexp.MustCompile(`"token":"([^"]+)"`).FindStringSubmatch(got)
	if !matches(replace(pairing.output), got) || found == nil {
		t.Fatalf("$ %s\nprints\n%s\nwant\n%s", pairing.command, got, pairing.output)
	}
	if steps[2].command != "export TOKEN=az_..." {
		t.Fatalf("the token is not taken up: %s", steps[2].command)
	}
	steps = steps[3:]
	commands := make([]string, len(steps))
	for i, s := range steps {
		commands[i] = replace(s.command)
	}
	for i, got := range run(t, commands, found[1]) {
		if !matches(replace(steps[i].output), got) {
			t.Errorf("$ %s\nprints\n%s\nwant\n%s", steps[i].command, got, steps[i].output)
		}
	}
}

func TestMakeRunStartsTheDemo(t *testing.T) {
	root, err := gateway.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), part.Command(t, "make"), "--no-print-directory", "-n", "run")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "bin/agentzero gateway --demo") {
		t.Errorf("make -n run: %v\n%s", err, out)
	}
}

func TestThePythonProgramsWork(t *testing.T) {
	root, err := gateway.Root()
	if err != nil {
		t.Fatal(err)
	}
	python := part.File(t, "python clients", filepath.Join(root, ".cache/venv/bin/python"))
	programs := section(t, "python")
	if len(programs) != 3 {
		t.Fatalf("the README has %d Python programs, want 3", len(programs))
	}
	g := gateway.Start(t, gateway.Options{})
	token := g.Token(t)
	if resp, body := g.Do(t, "POST", "/api/chat", `{"session_id":"ada","message":"My name is Ada."}`); resp.StatusCode != 200 {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	counted := "" // but for the first, which was read before the connection was lost
	for i := 2; i <= 50; i++ {
		counted += fmt.Sprint(i, ", ")
	}
	counted = strings.TrimSuffix(counted, ", ") + "\n"
	const remembered = "Your name is Ada. You told me earlier in this conversation.\n"
	for i, want := range []string{"hello\n", remembered + counted, remembered} {
		ctx, cancel := context.WithTimeout(t.Context(), gateway.Patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, python, "-c", replacer(t, g)(programs[i]))
		cmd.Env = append(os.Environ(), "TOKEN="+token)
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("program %d: %v, prints\n%s\nwant\n%s", i+1, err, out, want)
		}
	}
}

// section returns the README's blocks of code of a language.
func section(t *testing.T, language string) []string {
	t.Helper()
	root, err := gateway.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, found := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(text, -1) {
		blocks = append(blocks, string(found[1]))
	}
	return blocks
}

func transcript(t *testing.T, blocks []string) []step {
	t.Helper()
	var steps []step
	for _, block := range blocks {
		for line := range strings.Lines(block) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				steps = append(steps, step{command: strings.TrimSpace(command)})
				continue
			}
			if len(steps) == 0 {
				t.Fatalf("output before the first command: %s", line)
			}
			steps[len(steps)-1].output += line
		}
	}
	return steps
}

// replacer puts this run's address and code in the place of the printed ones.
func replacer(t *testing.T, g *gateway.Gateway) func(string) string {
	t.Helper()
	code := regexp.MustCompile(`X-Pairing-Code: (\S+?)'`).FindStringSubmatch(g.Output())
	pairs := []string{printedURL, strings.TrimPrefix(g.URL, "http://")}
	if code != nil {
		pairs = append(pairs, printedCode, code[1])
	}
	return strings.NewReplacer(pairs...).Replace
}

// banner is the output up to the first line of the log, which goes to the same
// place here.
func banner(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "time=") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// matches compares, where ... stands for any text, and alone on a line for any
// number of lines.
func matches(want, got string) bool {
	pattern := regexp.QuoteMeta(want)
	pattern = strings.ReplaceAll(pattern, "\n"+regexp.QuoteMeta("...")+"\n", "\n(?s:.*)\n")
	pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta("..."), ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(got)
}

// run types commands into one shell and returns what each prints.
func run(t *testing.T, commands []string, token string) []string {
	t.Helper()
	part.Command(t, "curl")
	ctx, cancel := context.WithTimeout(t.Context(), gateway.Patience)
	defer cancel()
	const end = "\x1e"
	script := strings.Join(commands, "\nprintf '"+end+"'\n")
	cmd := exec.CommandContext(ctx, part.Command(t, "bash"), "-c", script)
	cmd.Env = append(os.Environ(), "TOKEN="+token)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	printed := strings.Split(string(out), end)
	if len(printed) != len(commands) {
		t.Fatalf("%d of %d commands ran: %v\n%s", len(printed), len(commands), err, stderr.String())
	}
	return printed
}
