package agent

import (
	"encoding/json"
	"strings"
	"testing"
)

var jsonSamples = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `1.5e-7`, `1E+2`, `true`, `false`, `null`, ` { "a" : [ 1 , { } ] } `,
	`{"a":1,"b":"\u00e9\n\"","c":[[],{}]}`, "\"\u00e9\"", `"\ud83d\ude00"`, `"\ud83d"`,
	``, ` `, `{`, `}`, `[1,]`, `[,1]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{a:1}`, `{"a" 1}`, `[1 2]`, `[}`, `{]`,
	`01`, `1.`, `.5`, `-`, `1e`, `1e+`, `+1`, `0x1`, `NaN`, `tru`, `truex`, `nul`,
	`"`, `"\x"`, `"\u12"`, `"\u12G4"`, "\"a\nb\"", "\"a\x00\"", "\"\x7f\"", `"a`, `"\`, `{} {}`, `{}x`, "{}\x00", "\x00",
}

func TestJSONCheckerAgreesWithTheStandardLibrary(t *testing.T) {
	for _, sample := range jsonSamples {
		if got, want := checkJSON(sample), json.Valid([]byte(sample)); got != want {
			t.Errorf("%q: well formed %v, want %v", sample, got, want)
		}
	}
}

func TestJSONCheckerReturnsTheValueItPassed(t *testing.T) {
	c := jsonChecker{data: []byte(` {"k\u0065y" : [1, "]"] ,"b":2}`)}
	c.open('{')
	if !c.more('}', true) || string(c.key()) != "key" || string(c.value()) != `[1, "]"]` {
		t.Fatal("the first member was not read as it stands")
	}
	if !c.more('}', false) || string(c.key()) != "b" || string(c.value()) != "2" || c.more('}', false) || !c.end() {
		t.Fatal("the second member was not read as it stands")
	}
}

func TestJSONCheckerRefusesWhatIsNestedTooDeep(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	if !checkJSON(nested(maxJSONDepth)) {
		t.Error("the deepest allowed nesting was refused")
	}
	if checkJSON(nested(maxJSONDepth + 1)) {
		t.Error("a nesting beyond the limit was passed")
	}
	if checkJSON(strings.Repeat(`{"a":`, 1<<20)) {
		t.Error("an endless nesting was passed")
	}
}

func FuzzJSONChecker(f *testing.F) {
	for _, sample := range jsonSamples {
		f.Add(sample)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Count(text, "[")+strings.Count(text, "{") > maxJSONDepth {
			return
		}
		if got, want := checkJSON(text), json.Valid([]byte(text)); got != want {
			t.Fatalf("%q: well formed %v, want %v", text, got, want)
		}
	})
}

func checkJSON(text string) bool {
	c := jsonChecker{data: []byte(text)}
	c.value()
	return c.end()
}
