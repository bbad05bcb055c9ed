package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"agentzero/client"
)

// chatFlags are those of `agentzero chat`.
type chatFlags struct{ session, model, url, token string }

func newChatCommand(a *app) *cobra.Command {
	var f chatFlags
	cmd := &cobra.Command{
		Use:   "chat [MESSAGE]",
		Short: "Talk to the agent in this terminal",
		Long: `Talk to the agent through the gateway that runs on the data directory. An answer
is shown while it grows; when the connection breaks, it goes on where it was.
Ctrl-C cancels an answer, and a second one, or one at the prompt, leaves.

With MESSAGE one answer is printed, and the exit code is 1 where it is not whole.
Without a terminal each line of standard input is a message.

It uses the token of --token or AGENTZERO_TOKEN; without one it makes a token for
itself in the data directory, which is revoked when it ends.`,
		Example: `  agentzero chat
  agentzero chat --session ada "What is my name?"
  echo "Summarize: ..." | agentzero chat`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.chat(cmd.Context(), f, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.session, "session", "", "`name` of the session to continue (default: a new one)")
	flags.StringVar(&f.model, "model", "", "`model` to answer (default: the gateway's)")
	flags.StringVar(&f.url, "url", "", "base `URL` of another gateway, which needs a token")
	flags.StringVar(&f.token, "token", "", "`token` to use; better AGENTZERO_TOKEN, as others may see a command line")
	return cmd
}

func (a *app) chat(ctx context.Context, f chatFlags, args []string) error {
	c, end, err := a.connect(ctx, f)
	if err != nil {
		return err
	}
	defer end()
	if f.session == "" {
		f.session = "chat-" + time.Now().Format("20060102-150405")
	}
	t := &talk{app: a, client: c, flags: f, style: a.styleOf(a.stdout)}
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	t.interrupts = interrupts
	switch {
	case len(args) == 1:
		return t.once(ctx, args[0])
	case isTerminal(a.stdin) && isTerminal(a.stdout):
		return t.converse(ctx)
	default:
		return t.pipe(ctx)
	}
}

// talk is a conversation in a terminal.
type talk struct {
	app        *app
	client     *client.Client
	flags      chatFlags
	style      style
	interrupts <-chan os.Signal
}

var (
	errLeave    = errors.New("told to leave")
	errNotWhole = errors.New("the answer is not whole")
)

// once says one thing.
func (t *talk) once(ctx context.Context, message string) error {
	whole, err := t.say(ctx, message)
	if err == nil && !whole || errors.Is(err, errLeave) {
		return &exitError{exitFailure} // it has been told
	}
	return err
}

// pipe says each line of standard input.
func (t *talk) pipe(ctx context.Context) error {
	failed := false
	lines := bufio.NewScanner(t.app.stdin)
	lines.Buffer(nil, maxMessage)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		whole, err := t.say(ctx, lines.Text())
		if errors.Is(err, errLeave) {
			return &exitError{exitFailure}
		}
		if err != nil {
			return err
		}
		failed = failed || !whole
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read the messages: %w", err)
	}
	if failed {
		return &exitError{exitFailure}
	}
	return nil
}

// maxMessage bounds a line that is said, in bytes.
const maxMessage = 8 << 20

// converse reads at a prompt until the person leaves.
func (t *talk) converse(ctx context.Context) error {
	if err := t.greet(ctx); err != nil {
		return err
	}
	lines, err := newPrompt(t.app.stdin, t.app.stdout, t.style.bold("you> "))
	if err != nil {
		return err
	}
	for {
		line, err := lines.read()
		if errors.Is(err, io.EOF) {
			return t.leave()
		}
		if err != nil {
			return err
		}
		switch text := strings.TrimSpace(line); text {
		case "":
		case "/quit", "/exit":
			return t.leave()
		case "/help":
			t.print(t.style.dim("Ctrl-C cancels an answer; /quit, Ctrl-D or Ctrl-C here leaves.\n"))
		default:
			if _, err := t.say(ctx, text); errors.Is(err, errLeave) {
				return t.leave()
			} else if err != nil && !t.app.toldOf(err) {
				return err
			}
			t.print("\n")
		}
	}
}

// toldOf prints a gateway's refusal, after which one can go on.
func (a *app) toldOf(err error) bool {
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Code == "auth_failed" || refused.Code == "auth_required" {
		return false
	}
	a.printError(refused.Message)
	return true
}

// greet tells where one is, and how the conversation stood.
func (t *talk) greet(ctx context.Context) error {
	messages, err := t.client.Messages(ctx, t.flags.session)
	if err != nil {
		return err
	}
	if len(messages) == 0 {
		t.print(t.style.dim("A new session, " + t.flags.session + ". /help tells more.\n\n"))
		return nil
	}
	t.print(t.style.dim(fmt.Sprintf("Session %s goes on after %d messages. The last ones:\n", t.flags.session, len(messages))))
	for _, m := range messages[max(0, len(messages)-2):] {
		t.print(t.style.dim(fmt.Sprintf("  %s: %s\n", m.Role, shorten(m.Content, 200))))
	}
	t.print("\n")
	return nil
}

// leave says how to come back.
func (t *talk) leave() error {
	t.print(t.style.dim("To go on: agentzero chat --session " + t.flags.session + "\n"))
	return nil
}

// say says something and shows the answer. whole is false where the answer was
// cut short or failed, which has been told then.
func (t *talk) say(ctx context.Context, message string) (whole bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	accepted := make(chan string, 1)
	watched := make(chan struct{})
	var leaving bool
	go func() {
		defer close(watched)
		leaving = t.watch(ctx, stop, accepted)
	}()
	said := &tidy{w: t.app.stdout}
	outcome, err := t.client.Say(ctx, client.Turn{
		Session: t.flags.session, Content: message, Model: t.flags.model,
		Accepted: func(id string) { accepted <- id },
		Text:     said.write,
		Lost:     func(error) { t.note("connection lost, trying again") },
	})
	stop()
	<-watched
	said.end()
	switch {
	case leaving:
		return false, errLeave
	case err != nil:
		return false, err
	case outcome.Cancelled:
		t.note("cancelled")
	case !outcome.Completed:
		t.app.printError(firstOf(outcome.Message, errNotWhole.Error()))
	}
	return outcome.Completed, nil
}

// watch cancels the turn at the first interrupt, and gives up at the second.
func (t *talk) watch(ctx context.Context, stop func(), accepted <-chan string) (leaving bool) {
	turn, cancelled := "", false
	for {
		select {
		case <-ctx.Done():
			return false
		case turn = <-accepted:
		case s := <-t.interrupts:
			if cancelled || turn == "" || s == syscall.SIGTERM {
				stop()
				return true
			}
			cancelled = true
			go func() {
				limited, end := context.WithTimeout(ctx, askPatience)
				defer end()
				_ = t.client.Cancel(limited, t.flags.session, turn) // a second interrupt leaves
			}()
		}
	}
}

func (t *talk) print(text string) { _, _ = io.WriteString(t.app.stdout, text) }

// note says something about the conversation, aside.
func (t *talk) note(text string) {
	_, _ = fmt.Fprintf(t.app.stderr, "%s\n", t.app.styleOf(t.app.stderr).dim("("+text+")"))
}

// tidy writes an answer so that it ends with one line end. What could steer a
// terminal is left out: a model's words are a stranger's.
type tidy struct {
	w    io.Writer
	last rune
}

func (t *tidy) write(text string) {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
	if text == "" {
		return
	}
	_, _ = io.WriteString(t.w, text)
	t.last = rune(text[len(text)-1])
}

func (t *tidy) end() {
	if t.last != '\n' && t.last != 0 {
		_, _ = io.WriteString(t.w, "\n")
	}
}

func shorten(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "..."
	}
	return s
}
