package agent

import (
	"context"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// demoBatch is how many deltas one emit carries at most.
	demoBatch = 16
	// maxDemoWord bounds one delta of text without spaces, in bytes.
	maxDemoWord = 256
)

// demoStream plays an answer as a model would: word by word.
type demoStream struct {
	ctx   context.Context
	emit  func([]Delta)
	also  *Assembler // gets all deltas too, if not nil
	out   deltaWriter
	delay time.Duration

	timer   *time.Timer
	waiting int // deltas that are written and not emitted
	emitted bool
}

// play emits all of the answer. Its error is ctx's.
func (s *demoStream) play(a demoAnswer) error {
	defer s.stop()
	if err := s.words(a.thoughts, s.out.reasoning); err != nil {
		return err
	}
	if err := s.words(a.text, s.out.text); err != nil {
		return err
	}
	for i, call := range a.calls {
		arguments := call.Arguments
		call.Arguments = ""
		s.out.toolCall(i, call)
		s.waiting++
		if err := s.words(arguments, func(piece string) { s.out.toolArguments(i, piece) }); err != nil {
			return err
		}
	}
	s.out.finish(a.finish)
	return s.flush()
}

// words writes text in pieces that give the text when joined.
func (s *demoStream) words(text string, write func(string)) error {
	for text != "" {
		if s.emitted && s.delay > 0 {
			if err := s.pause(); err != nil {
				return err
			}
		}
		n := demoWordLen(text)
		write(text[:n])
		text = text[n:]
		if s.waiting++; s.delay <= 0 && s.waiting < demoBatch {
			continue
		}
		if err := s.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (s *demoStream) flush() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	s.waiting, s.emitted = 0, true
	deltas := s.out.take()
	if s.also != nil {
		for _, d := range deltas {
			s.also.Add(d)
		}
	}
	s.emit(deltas)
	return nil
}

func (s *demoStream) pause() error {
	if s.timer == nil {
		s.timer = time.NewTimer(s.delay)
	} else {
		s.timer.Reset(s.delay)
	}
	select {
	case <-s.timer.C:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func (s *demoStream) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// demoWordLen is the length of the first word of text with the white space
// after it. It never splits a character.
func demoWordLen(text string) int {
	space := false
	for i, r := range text {
		if i > 0 && (space && !unicode.IsSpace(r) || i+utf8.RuneLen(r) > maxDemoWord) {
			return i
		}
		space = unicode.IsSpace(r)
	}
	return len(text)
}

// demoTokens estimates how many tokens text is: one for each word, or one for
// every four characters where that is more. Both are rules of thumb for English
// text; a real tokenizer would need a model to be for.
func demoTokens(text string) int {
	count := demoTokenCount{}
	for _, r := range text {
		count.add(r)
	}
	return count.tokens()
}

// demoTokenCut is the length of the beginning of text that takes at most limit
// tokens.
func demoTokenCut(text string, limit int) int {
	count := demoTokenCount{}
	for i, r := range text {
		count.add(r)
		if count.tokens() > limit {
			return i
		}
	}
	return len(text)
}

type demoTokenCount struct {
	words, chars int
	inWord       bool
}

func (c *demoTokenCount) add(r rune) {
	space := unicode.IsSpace(r)
	if !space && !c.inWord {
		c.words++
	}
	c.inWord = !space
	c.chars++
}

func (c *demoTokenCount) tokens() int { return max(c.words, (c.chars+3)/4) }

func demoPromptTokens(messages []Message) int {
	n := 0
	for _, m := range messages {
		n += demoTokens(m.Text)
	}
	return n
}
