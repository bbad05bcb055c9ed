package channels

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func TestSplit(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"short":               {"hello", []string{"hello"}},
		"exact":               {"0123456789", []string{"0123456789"}},
		"at a line":           {"012345\n789abc", []string{"012345", "789abc"}},
		"at a word":           {"012 345 789abc", []string{"012 345", "789abc"}},
		"in a word":           {"0123456789abc", []string{"0123456789", "abc"}},
		"a line before words": {"01234567\n9 a b", []string{"01234567", "9 a b"}},
		"an early line":       {"0\n2345678 abc", []string{"0\n2345678", "abc"}},
		"pairs":               {strings.Repeat("\U0001F600", 7), []string{strings.Repeat("\U0001F600", 5), strings.Repeat("\U0001F600", 2)}},
	} {
		if got := split(c.text, 10, utf16Units); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// Pieces fit, lose nothing but space, and stay as they are while the text grows.
func FuzzSplit(f *testing.F) {
	f.Add("a b\nc d e f g h", 3)
	f.Add(strings.Repeat("\U0001F600x ", 20), 10)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 2 || limit > 1000 || !utf8.ValidString(text) || len(text) > 1000 {
			return
		}
		pieces := split(text, limit, utf16Units)
		space := strings.NewReplacer(" ", "", "\n", "")
		if space.Replace(strings.Join(pieces, "")) != space.Replace(text) {
			t.Fatalf("%q became %q", text, pieces)
		}
		for _, p := range pieces {
			if len(utf16.Encode([]rune(p))) > limit {
				t.Fatalf("%q is longer than %d", p, limit)
			}
		}
		before := split(text[:fit(text, len([]rune(text))/2+1, runeUnits)], limit, utf16Units)
		for i := range len(before) - 1 {
			if i < len(pieces) && before[i] != pieces[i] {
				t.Fatalf("%q was %q in the beginning", pieces[i], before[i])
			}
		}
	})
}
