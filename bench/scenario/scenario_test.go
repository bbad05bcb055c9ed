package scenario_test

import (
	"strings"
	"testing"
	"time"

	"agentzero/bench/scenario"
)

func TestAllScenariosCanBeRun(t *testing.T) {
	names := scenario.Names()
	if len(names) == 0 {
		t.Fatal("there is none")
	}
	for _, name := range names {
		s, err := scenario.Load(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if s.Name != name || s.About == "" {
			t.Errorf("%s is called %q and says %q of itself", name, s.Name, s.About)
		}
	}
}

func TestEveryKeyReachesThePlan(t *testing.T) {
	s, err := scenario.Parse("some/where/mine.toml", []byte(`
about = "x"
door = "chat"
sessions = "client"
clients = 2
rate = 3.5
ramp = "1s"
warmup = "2s"
duration = "1m30s"
answers = 4
pause = "5ms"
timeout = "6s"
hang_up_after = 7
reconnect = true
slow_share = 0.5
slow_bytes = 8
prompt = 9
model = "m"
[answer]
tokens = 10
interval = "11ms"
first = "12ms"
jitter = "13ms"
bytes = 14
errors = 0.15
status = 416
cuts = 0.17
`))
	if err != nil {
		t.Fatal(err)
	}
	p := s.Plan
	if s.Name != "mine" || p.Door != "chat" || p.Clients != 2 || p.Rate != 3.5 || p.Duration != 90*time.Second ||
		p.Answers != 4 || p.HangUpAfter != 7 || !p.Reconnect || p.SlowBytes != 8 || p.Prompt != 9 || p.Model != "m" ||
		p.Answer.Tokens != 10 || p.Answer.Jitter != 13*time.Millisecond || p.Answer.Status != 416 || p.Answer.Cuts != 0.17 {
		t.Errorf("the plan is %+v", p)
	}
}

func TestMistakesAreShownWhereTheyAre(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"an unknown key":      {"door = \"ws\"\nclient = 3\n", `my.toml:2:1: there is no key "client"`},
		"one of the answer":   {"[answer]\nspeed = 3\n", `my.toml:2:1: there is no key "answer.speed"`},
		"no TOML":             {"door = \n", "my.toml:1:"},
		"a time without unit": {"ramp = \"20\"\n", `my.toml:1:8: `},
		"a wrong type":        {"clients = \"many\"\n", "my.toml:1:11: "},
		"a value too large":   {"door = \"ws\"\nclients = 1000000\nduration = \"1s\"\n", "my.toml: clients is 1000000"},
		"nothing":             {"", "my.toml: door is"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := scenario.Parse("my.toml", []byte(test.text))
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("the error is %v\nwant %s...", err, test.want)
			}
		})
	}
}

func TestAnUnknownScenarioNamesThoseThereAre(t *testing.T) {
	_, err := scenario.Load("../secret")
	if err == nil || !strings.Contains(err.Error(), "steady") {
		t.Errorf("the error is %v", err)
	}
}
