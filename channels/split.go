package channels

import "strings"

// split cuts a text into pieces of at most limit units, where it can after a line
// or a word. Of a text that grows, all pieces but the last stay the same.
func split(text string, limit int, units func(rune) int) []string {
	var pieces []string
	for {
		end := fit(text, limit, units)
		if end == len(text) {
			return append(pieces, text)
		}
		cut := breakAt(text[:end])
		pieces = append(pieces, text[:cut])
		if text = strings.TrimLeft(text[cut:], " \n"); text == "" {
			return pieces
		}
	}
}

// fit is how many bytes of the text go into limit units.
func fit(text string, limit int, units func(rune) int) int {
	size := 0
	for i, r := range text {
		if size += units(r); size > limit {
			return i
		}
	}
	return len(text)
}

// breakAt is where to cut what fits: at the last line's end in its second half,
// else at the last space there, else at its end.
func breakAt(text string) int {
	for _, mark := range []string{"\n", " "} {
		if i := strings.LastIndex(text, mark); i > len(text)/2 {
			return i
		}
	}
	return len(text)
}

func runeUnits(rune) int { return 1 }

func utf16Units(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}
