package agent

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// demoTalk is a conversation as the demo agent sees it.
type demoTalk struct {
	messages []Message
	user     []string // the user's messages, oldest first, trimmed and clipped
	replies  int      // assistant messages
	last     string   // the user's last message, clipped
	whole    string   // and not clipped, to be repeated
	lower    string   // last in lower case, typographic quotes made plain
	results  []Message
}

func newDemoTalk(messages []Message) *demoTalk {
	t := &demoTalk{messages: messages}
	for _, m := range messages {
		switch m.Role {
		case "user":
			t.whole = strings.TrimSpace(m.Text)
			t.user = append(t.user, clip(t.whole))
			t.results = nil
		case "assistant":
			t.replies++
			t.results = nil
		case "tool", "function":
			t.results = append(t.results, m)
		}
	}
	if len(t.user) > 0 {
		t.last = t.user[len(t.user)-1]
	}
	t.lower = strings.ToLower(strings.NewReplacer("’", "'", "“", `"`, "”", `"`).Replace(t.last))
	return t
}

// maxAsked is how much of a message is looked at to find out what it asks for:
// the rules would take seconds over what a body may hold.
const maxAsked = 4 << 10

func clip(text string) string {
	if len(text) <= maxAsked {
		return text
	}
	cut := maxAsked
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

// demoRule is one thing the demo agent knows to answer. A rule that does not
// apply returns no text.
type demoRule struct {
	name  string
	reply func(*demoTalk) demoAnswer
}

// demoRules are tried in order: what is asked for in so many words comes before
// what a message is merely about.
func demoRules() []demoRule {
	text := func(reply func(*demoTalk) string) func(*demoTalk) demoAnswer {
		return func(t *demoTalk) demoAnswer { return demoAnswer{text: reply(t)} }
	}
	return []demoRule{
		{"tool result", text((*demoTalk).toolResult)},
		{"nothing", text((*demoTalk).nothing)},
		{"echo", text((*demoTalk).echo)},
		{"memory", text((*demoTalk).memory)},
		{"name", text((*demoTalk).name)},
		{"say", text((*demoTalk).say)},
		{"count", text((*demoTalk).count)},
		{"summary", text((*demoTalk).summary)},
		{"sum", text((*demoTalk).arithmetic)},
		{"slow", (*demoTalk).slowly},
		{"long", text((*demoTalk).long)},
		{"markdown", text((*demoTalk).markdown)},
		{"introduction", text((*demoTalk).introduction)},
		{"topic", text((*demoTalk).topic)},
		{"small talk", text((*demoTalk).smallTalk)},
		{"help", text((*demoTalk).help)},
		{"otherwise", text((*demoTalk).otherwise)},
	}
}

// reply is what the demo agent says to the last message.
func (t *demoTalk) reply() demoAnswer {
	_, answer := t.match()
	return answer
}

func (t *demoTalk) match() (rule string, answer demoAnswer) {
	for _, r := range demoRules() {
		if answer := r.reply(t); answer.text != "" {
			return r.name, answer
		}
	}
	return "", demoAnswer{}
}

// maxDemoResults bounds how many tools' results are told.
const maxDemoResults = 20

func (t *demoTalk) toolResult() string {
	switch len(t.results) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(demoToolResult, t.toolName(t.results[0]), shorten(t.results[0].Text, 2000))
	}
	var b strings.Builder
	fmt.Fprintf(&b, demoToolResults, len(t.results))
	for _, m := range t.results[:min(len(t.results), maxDemoResults)] {
		fmt.Fprintf(&b, "\n- %s: %s", t.toolName(m), shorten(m.Text, 500))
	}
	if more := len(t.results) - maxDemoResults; more > 0 {
		fmt.Fprintf(&b, demoSummarySkipped, plural(more, "more result"))
	}
	return b.String()
}

func (t *demoTalk) nothing() string {
	if t.last != "" {
		return ""
	}
	return demoNothing
}

var (
	demoEcho = regexp.MustCompile(`(?is)^(?:please )?(?:repeat|echo|say)(?:(?: this)? after me\b[:,]?|[^\n]{0,30}?:)\s*(.+)$`)
	demoSay  = regexp.MustCompile(`(?is)^(?:please )?(?:repeat|echo|say)\s+(.+)$`)
)

// echo repeats what is clearly there to be repeated.
func (t *demoTalk) echo() string {
	if m := demoEcho.FindStringSubmatch(t.whole); m != nil {
		return unquote(m[1])
	}
	return ""
}

// say repeats what may be there to be repeated, or the last answer.
func (t *demoTalk) say() string {
	m := demoSay.FindStringSubmatch(t.whole)
	if m == nil {
		return ""
	}
	switch strings.Trim(strings.ToLower(m[1]), " .!?") {
	case "that", "that again", "it", "it again", "again", "yourself", "your last answer", "your answer":
		if last := t.lastReply(); last != "" {
			return last
		}
		return demoNoReplyYet
	}
	return unquote(m[1])
}

// maxDemoCount bounds "count to N": long enough to be cancelled on the way.
const maxDemoCount = 500

var demoCount = regexp.MustCompile(`\bcount (?:up )?(?:from (\d{1,9}) )?(?:up )?(?:to|till|until) (\d{1,9})\b`)

func (t *demoTalk) count() string {
	m := demoCount.FindStringSubmatch(t.lower)
	if m == nil {
		return ""
	}
	from := 1
	if m[1] != "" {
		from, _ = strconv.Atoi(m[1])
	}
	to, _ := strconv.Atoi(m[2])
	step := 1
	if to < from {
		step = -1
	}
	var b strings.Builder
	for n, said := from, 0; ; n, said = n+step, said+1 {
		if said == maxDemoCount {
			fmt.Fprintf(&b, demoCountEnough, maxDemoCount)
			break
		}
		b.WriteString(strconv.Itoa(n))
		if n == to {
			break
		}
		b.WriteString(", ")
	}
	return b.String()
}

var (
	demoWhatSaid = regexp.MustCompile(`\bwhat (?:did|have) i (?:just |first |last )?(?:say|said|ask|asked|tell you|told you|write|written)\b|\b(?:my|the) (?:very )?(?:first|second|third|last|previous) (?:message|question|words?|sentence)\b`)
	demoHowMany  = regexp.MustCompile(`\bhow many (?:messages|questions|times)\b`)
	demoOrdinal  = regexp.MustCompile(`\b(first|second|third|begin(?:ning)?|start)\b`)
)

// memory answers what was said before.
func (t *demoTalk) memory() string {
	if demoHowMany.MatchString(t.lower) {
		return fmt.Sprintf(demoHowManyAnswer, plural(len(t.user), "message"), plural(t.replies, "answer"))
	}
	if !demoWhatSaid.MatchString(t.lower) {
		return ""
	}
	before := t.user[:len(t.user)-1]
	if len(before) == 0 {
		return demoNothingBefore
	}
	switch demoOrdinal.FindString(t.lower) {
	case "first", "begin", "beginning", "start":
		return fmt.Sprintf(demoFirstSaid, shorten(before[0], 1000))
	case "second":
		return saidNth(before, 1, "second")
	case "third":
		return saidNth(before, 2, "third")
	}
	return fmt.Sprintf(demoLastSaid, shorten(before[len(before)-1], 1000))
}

func saidNth(before []string, i int, ordinal string) string {
	if i >= len(before) {
		return fmt.Sprintf(demoNotSoMany, plural(len(before), "message"))
	}
	return fmt.Sprintf(demoNthSaid, ordinal, shorten(before[i], 1000))
}

var (
	demoAsksName  = regexp.MustCompile(`\bwhat(?: is|'s| was) my name\b|\b(?:know|remember|recall|tell me|say) my name\b|\bwho am i\b`)
	demoTellsName = regexp.MustCompile(`(?:(?i:\bmy name is|\bmy name's|\bcall me|\bi go by) +["']?([\pL][\pL'-]*(?: [\p{Lu}][\pL'-]+)?)|\b(?:I am|I'm|i am|i'm|This is|this is) +([\p{Lu}][\pL-]*(?: [\p{Lu}][\pL-]+)?))`)
)

// name tells the user's name, if that is asked.
func (t *demoTalk) name() string {
	if !demoAsksName.MatchString(t.lower) {
		return ""
	}
	if name := t.knownName(len(t.user)); name != "" {
		return fmt.Sprintf(demoYourName, name)
	}
	return demoNoName
}

// introduction answers a message that tells a name and little else.
func (t *demoTalk) introduction() string {
	name := nameIn(t.last)
	if name == "" || len(strings.Fields(t.last)) > 12 {
		return ""
	}
	return fmt.Sprintf(demoPleased, name)
}

// knownName is the name told last in the first n of the user's messages.
func (t *demoTalk) knownName(n int) string {
	for i := n - 1; i >= 0; i-- {
		if name := nameIn(t.user[i]); name != "" {
			return name
		}
	}
	return ""
}

func nameIn(text string) string {
	m := demoTellsName.FindStringSubmatch(strings.ReplaceAll(text, "’", "'"))
	if m == nil {
		return ""
	}
	name := m[1] + m[2]
	switch strings.ToLower(name) {
	case "not", "a", "an", "the", "what", "it", "i", "in", "later", "back", "when", "if":
		return ""
	}
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[size:]
}

var demoSummary = regexp.MustCompile(`\b(?:summar(?:y|i[sz]e)|recap|sum up)\b|\bwhat (?:have|did) we (?:talk|discuss|say|said)`)

// maxDemoSummary bounds a summary, in messages of the user.
const maxDemoSummary = 20

func (t *demoTalk) summary() string {
	if !demoSummary.MatchString(t.lower) {
		return ""
	}
	before := t.user[:len(t.user)-1]
	if len(before) == 0 {
		return demoNothingBefore
	}
	var b strings.Builder
	fmt.Fprintf(&b, demoSummaryHead, plural(len(before), "message"), plural(t.replies, "answer"))
	skipped := max(0, len(before)-maxDemoSummary)
	if skipped > 0 {
		fmt.Fprintf(&b, demoSummarySkipped, plural(skipped, "earlier message"))
	}
	for i, said := range before[skipped:] {
		fmt.Fprintf(&b, "\n%d. %s", skipped+i+1, shorten(oneLine(said), 100))
	}
	return b.String()
}

var demoSlow = regexp.MustCompile(`\b(?:think|answer|reply|speak|talk|respond) (?:very |really |more )?slow(?:ly|er)?\b|\bslow (?:answer|reply|motion)\b|\btake your time\b`)

func (t *demoTalk) slowly() demoAnswer {
	if !demoSlow.MatchString(t.lower) {
		return demoAnswer{}
	}
	return demoAnswer{thoughts: demoSlowThoughts, text: demoSlowAnswer, slow: true}
}

var (
	demoLong  = regexp.MustCompile(`\b(?:write|tell|give|make|compose|create)\b.*\b(story|tale|essay|article|novel|poem|text)\b|\blong (?:story|essay|answer|text|article)\b`)
	demoEssay = regexp.MustCompile(`\b(?:essay|article|text|answer)\b`)
	demoAbout = regexp.MustCompile(`(?i)\b(?:about|on) (?:(?:a|an|the) )?([\pL][\pL\d '-]{0,60})`)
)

func (t *demoTalk) long() string {
	if !demoLong.MatchString(t.lower) {
		return ""
	}
	subject := ""
	if m := demoAbout.FindStringSubmatch(t.last); m != nil {
		subject = strings.TrimSpace(m[1])
	}
	if demoEssay.MatchString(t.lower) && !strings.Contains(t.lower, "story") {
		return demoEssayOn(subject)
	}
	return demoStoryOf(subject)
}

func (t *demoTalk) markdown() string {
	if !strings.Contains(t.lower, "markdown") {
		return ""
	}
	return demoMarkdown
}

// topic answers what the message is about, if that is this gateway.
func (t *demoTalk) topic() string {
	for _, topic := range demoTopics() {
		for _, word := range topic.words {
			if hasWord(t.lower, word) {
				return topic.answer
			}
		}
	}
	return ""
}

// hasWord tells whether a word of text begins with the given one.
func hasWord(text, word string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		at += i
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		if at == 0 || !unicode.IsLetter(before) && !unicode.IsDigit(before) {
			return true
		}
		at += len(word)
	}
}

var (
	demoGreeting = regexp.MustCompile(`^(?:hi|hello|hey|hallo|howdy|greetings|good (?:morning|afternoon|evening|day)|hola|bonjour|salut|ciao|moin)\b`)
	demoThanks   = regexp.MustCompile(`\b(?:thanks|thank you|thx|merci|danke|gracias)\b`)
	demoBye      = regexp.MustCompile(`^(?:bye|goodbye|good night|see you|ciao|tsch)`)
	demoHowAreU  = regexp.MustCompile(`\bhow are you\b|\bhow's it going\b`)
	demoClock    = regexp.MustCompile(`\bwhat(?:'s| is) the (?:time|date)\b|\bwhat (?:time|day|date) is\b`)
	demoJoke     = regexp.MustCompile(`\bjoke\b`)
	demoHelp     = regexp.MustCompile(`^(?:help|\?|/help|menu)\W*$|\bwhat (?:can|do|could) (?:you|i) (?:do|try|know|ask|offer)|\bhelp me\b|\bhow does (?:this|it) work|\bwho are you|\bwhat are you|\bwhat is (?:this|agentzero)|\bwhat's (?:this|agentzero)|\bagentzero\b|\bgateway\b`)
)

func (t *demoTalk) smallTalk() string {
	switch {
	case demoBye.MatchString(t.lower):
		return demoGoodbye
	case demoHowAreU.MatchString(t.lower):
		return demoFine
	case demoHelp.MatchString(t.lower):
		return ""
	case demoGreeting.MatchString(t.lower):
		if name := t.knownName(len(t.user)); name != "" {
			return fmt.Sprintf(demoHelloName, name)
		}
		return demoHello
	case demoThanks.MatchString(t.lower):
		return demoWelcome
	case demoClock.MatchString(t.lower):
		return demoNoClock
	case demoJoke.MatchString(t.lower):
		return demoAJoke
	}
	return ""
}

func (t *demoTalk) help() string {
	if !demoHelp.MatchString(t.lower) {
		return ""
	}
	return demoHelpAnswer
}

func (t *demoTalk) otherwise() string {
	return fmt.Sprintf(demoOtherwise, shorten(oneLine(t.last), 200), plural(len(t.user), "message"), plural(t.replies, "answer"))
}

func (t *demoTalk) lastReply() string {
	for i := len(t.messages) - 1; i >= 0; i-- {
		if m := t.messages[i]; m.Role == "assistant" && m.Text != "" {
			return m.Text
		}
	}
	return ""
}

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// shorten cuts text to at most n characters.
func shorten(text string, n int) string {
	at, count := 0, 0
	for at = range text {
		if count == n {
			return strings.TrimRightFunc(text[:at], unicode.IsSpace) + "…"
		}
		count++
	}
	return text
}

func unquote(text string) string {
	text = strings.TrimSpace(text)
	for _, pair := range []string{`""`, `''`, "``", "“”"} {
		open, size := utf8.DecodeRuneInString(pair)
		closing := pair[size:]
		inner := strings.TrimPrefix(text, string(open))
		if len(inner) < len(text) && len(inner) > len(closing) && strings.HasSuffix(inner, closing) {
			return strings.TrimSuffix(inner, closing)
		}
	}
	return text
}
