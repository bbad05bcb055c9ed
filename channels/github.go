package channels

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// GitHub's headers; see
// https://docs.github.com/en/webhooks/webhook-events-and-payloads.
const (
	headerGitHubSignature = "X-Hub-Signature-256"
	headerGitHubDelivery  = "X-Github-Delivery"
	headerGitHubEvent     = "X-Github-Event"
)

// gitHubMark ends what the gateway posts. It is not shown, and tells its own
// comments from those of the person whose token it uses.
const gitHubMark = "\n\n<!-- agentzero -->"

type gitHub struct {
	secret []byte
	events []string
}

func newGitHub(s *Settings) (platform, error) {
	if s.Secret == "" {
		return nil, &SettingError{"secret", errMissing.Error()}
	}
	p := &gitHub{secret: []byte(s.Secret), events: s.Events}
	if len(p.events) == 0 {
		p.events = []string{"issues.opened", "issue_comment.created", "pull_request.opened"}
	}
	return p, nil
}

func (p *gitHub) verify(r *Request, _ time.Time) error {
	given, ok := strings.CutPrefix(r.Header.Get(headerGitHubSignature), "sha256=")
	switch {
	case !ok:
		return errNoSignature
	case !equalHex(given, sign(p.secret, string(r.Body))):
		return errBadSignature
	}
	return nil
}

func (*gitHub) defaults() (text, session, id string) {
	return "", "{{/repository/full_name}}#{{/issue/number|/pull_request/number}}", "{{header:X-GitHub-Delivery}}"
}

func (p *gitHub) parse(d *document, m *Message) error {
	event := d.request.Header.Get(headerGitHubEvent)
	action := d.at("action")
	if d.text == "" {
		d.text = gitHubText(d)
	}
	switch {
	case event == "ping":
		m.Ignored = "GitHub's ping"
	case !slices.Contains(p.events, event) && !slices.Contains(p.events, event+"."+action):
		m.Ignored = "the event " + strings.TrimSuffix(event+"."+action, ".") + " is not one of the channel's"
	case d.at("sender", "type") == "Bot":
		m.Ignored = "a bot has sent it"
	case strings.Contains(d.text, strings.TrimSpace(gitHubMark)):
		m.Ignored = "it is the gateway's own"
	}
	return nil
}

// gitHubText is what a person has written: a comment, or the title and the body
// of an issue or a pull request.
func gitHubText(d *document) string {
	for _, body := range [][]string{{"comment", "body"}, {"review", "body"}} {
		if d.has(body...) {
			return strings.TrimSpace(d.at(body...))
		}
	}
	for _, about := range []string{"issue", "pull_request"} {
		if d.has(about) {
			return strings.TrimSpace(d.at(about, "title") + "\n\n" + d.at(about, "body"))
		}
	}
	return ""
}

// gitHubReplier comments on the issue or pull request.
type gitHubReplier struct {
	caller
	url string
}

func newGitHubReplier(s *Settings, client *http.Client) (replier, error) {
	url, err := apiURL(s, "https://api.github.com")
	return &gitHubReplier{caller{client, http.Header{
		"Authorization":        {"Bearer " + s.Token},
		"Accept":               {"application/vnd.github+json"},
		"X-Github-Api-Version": {"2022-11-28"},
		"User-Agent":           {"agentzero"},
	}}, url}, err
}

type gitHubTarget struct {
	Repository string `json:"repository"`
	Number     string `json:"number"`
}

var (
	gitHubRepository = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$`)
	digits           = regexp.MustCompile(`^[0-9]{1,19}$`)
)

func (*gitHubReplier) target(d *document) (json.RawMessage, error) {
	t := gitHubTarget{d.at("repository", "full_name"), d.at("issue", "number")}
	if t.Number == "" {
		t.Number = d.at("pull_request", "number")
	}
	if !gitHubRepository.MatchString(t.Repository) || strings.Contains(t.Repository, "..") || !digits.MatchString(t.Number) {
		return nil, errors.New("it names no issue or pull request of a repository")
	}
	return json.Marshal(t)
}

// GitHub takes 65,536 characters.
func (*gitHubReplier) split(text string) []string { return split(text, 60_000, runeUnits) }

func (*gitHubReplier) pace() Pace { return Pace{} }

// post comments; see https://docs.github.com/en/rest/issues/comments.
func (r *gitHubReplier) post(ctx context.Context, target json.RawMessage, text string, _ Post) (string, error) {
	var t gitHubTarget
	if err := json.Unmarshal(target, &t); err != nil {
		return "", err
	}
	var made struct {
		ID json.Number `json:"id"`
	}
	a, err := r.call(ctx, http.MethodPost, r.url+"/repos/"+t.Repository+"/issues/"+t.Number+"/comments", map[string]any{"body": text + gitHubMark})
	if err != nil {
		return "", err
	}
	if a.status == http.StatusForbidden && (a.retryAfter > 0 || a.header.Get("X-Ratelimit-Remaining") == "0") {
		return "", a.later(resetTime(a.header.Get("X-Ratelimit-Reset")))
	}
	if err := a.failure(); err != nil {
		return "", err
	}
	_ = json.Unmarshal(a.body, &made) // the id is for people who look
	return made.ID.String(), nil
}

func (*gitHubReplier) edit(context.Context, json.RawMessage, string, string) error { return errGone }
