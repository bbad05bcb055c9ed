package llm

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"agentzero/test/gateway"
)

func TestARealModelChatsThroughTheGateway(t *testing.T) {
	model := startModel(t)
	g := gateway.Start(t, gateway.Options{Upstream: model + "/v1", Model: modelName})
	c := &chat{g: g, http: &http.Client{Transport: &http.Transport{}, Timeout: patience}}
	t.Cleanup(c.http.CloseIdleConnections)

	t.Run("is on the list of models", func(t *testing.T) {
		_, body := g.Do(t, "GET", "/v1/models", "")
		var list struct{ Data []struct{ ID string } }
		decode(t, body, &list)
		if len(list.Data) != 1 || list.Data[0].ID != modelName {
			t.Errorf("the models are %s", body)
		}
		t.Logf("GET /v1/models: %s", body)
	})

	t.Run("answers", func(t *testing.T) {
		a := c.ask(t, "", "What is the capital of France? Answer in one sentence.", 48)
		if a.text == "" || a.prompt == 0 || a.completion == 0 {
			t.Errorf("the answer is %+v", a)
		}
	})

	t.Run("streams the same answer, piece by piece", func(t *testing.T) {
		const question = "Name three colours."
		whole := c.ask(t, "", question, 48)
		streamed := c.stream(t, "", question, 48)
		if streamed.text != whole.text || streamed.deltas < 3 || !streamed.done {
			t.Errorf("streamed %+v, whole %+v", streamed, whole)
		}
		if streamed.prompt != whole.prompt || streamed.completion != whole.completion {
			t.Errorf("streamed, it cost %d + %d tokens; whole, %d + %d", streamed.prompt, streamed.completion, whole.prompt, whole.completion)
		}
	})

	t.Run("remembers a session, whatever the door", func(t *testing.T) {
		const question = "What is the secret word?"
		first := c.ask(t, "ada", "The secret word is banana. Reply with OK.", 32)
		second := c.stream(t, "ada", question, 32)
		fresh := c.ask(t, "", question, 32)
		if least := first.prompt + first.completion; second.prompt <= fresh.prompt || second.prompt < least {
			t.Errorf("the second question cost a prompt of %d tokens; alone it costs %d, and the turn before it had %d", second.prompt, fresh.prompt, least)
		}
		third := c.overWebSocket(t, "ada", "Repeat the secret word.")
		if third == "" {
			t.Error("over WebSocket there was no answer")
		}
		roles := []string{}
		for _, m := range c.messages(t, "ada") {
			roles = append(roles, m.Role)
		}
		if want := []string{"user", "assistant", "user", "assistant", "user", "assistant"}; !slices.Equal(roles, want) {
			t.Errorf("the session's messages are of %v", roles)
		}
	})

	t.Run("stops when its client hangs up", func(t *testing.T) {
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		const limit = 200 // tokens, which take seconds
		stream := c.open(ctx, t, "", "Write a long story about the sea.", limit, `,"ignore_eos":true`)
		defer stream.Close()
		text := ""
		for lines := bufio.NewScanner(stream); len(text) < 40 && lines.Scan(); {
			text += contentOf(t, lines.Text())
		}
		t.Logf("you:   Write a long story about the sea.\nmodel: %s ... (hung up)", text)
		if slots := slotsOf(t, c.http, model); !slices.ContainsFunc(slots, func(s slot) bool { return s.Processing }) {
			t.Fatalf("nothing is being answered: %+v", slots)
		}
		hangUp()
		at := time.Now()
		for {
			slots := slotsOf(t, c.http, model)
			if !slices.ContainsFunc(slots, func(s slot) bool { return s.Processing }) {
				break
			}
			if time.Since(at) > patience {
				t.Fatalf("the model goes on: %+v", slots)
			}
		}
		t.Logf("the model server was idle %v after the hang-up", time.Since(at).Round(time.Millisecond))
		for _, s := range slotsOf(t, c.http, model) {
			for _, next := range s.Next {
				if next.Decoded >= limit {
					t.Errorf("the model went on to its limit: %+v", s)
				}
			}
		}
	})
}

// chat talks to one gateway and keeps a transcript in the test's log.
type chat struct {
	g    *gateway.Gateway
	http *http.Client
}

// answer is what came of a question.
type answer struct {
	text               string
	prompt, completion int // tokens
	deltas             int // chunks with text
	done               bool
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
}

// request is a question's body. The session may be "", for none.
func request(session, question string, maxTokens int, more string) string {
	text, _ := json.Marshal(question) // a string marshals
	if session != "" {
		more += fmt.Sprintf(`,"session_id":%q`, session)
	}
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%s}],"temperature":0,"max_tokens":%d%s}`, modelName, text, maxTokens, more)
}

func (c *chat) log(t *testing.T, session, question string, a answer) {
	t.Helper()
	if session == "" {
		session = "no session"
	}
	t.Logf("[%s]\nyou:   %s\nmodel: %s\n       (%d tokens in, %d out, %d pieces)", session, question, a.text, a.prompt, a.completion, a.deltas)
}

// ask asks for a whole answer.
func (c *chat) ask(t *testing.T, session, question string, maxTokens int) answer {
	t.Helper()
	resp, body := c.g.Do(t, "POST", "/v1/chat/completions", request(session, question, maxTokens, ""))
	var completion struct {
		Choices []struct {
			Message struct{ Content string }
		}
		Usage usage
	}
	if decode(t, body, &completion); resp.StatusCode != http.StatusOK || len(completion.Choices) != 1 {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	a := answer{completion.Choices[0].Message.Content, completion.Usage.Prompt, completion.Usage.Completion, 1, true}
	c.log(t, session, question, a)
	return a
}

// stream asks for an answer in pieces.
func (c *chat) stream(t *testing.T, session, question string, maxTokens int) answer {
	t.Helper()
	stream := c.open(t.Context(), t, session, question, maxTokens, `,"stream_options":{"include_usage":true}`)
	defer stream.Close()
	var a answer
	lines := bufio.NewScanner(stream)
	for lines.Scan() {
		line := lines.Text()
		if line == "data: [DONE]" {
			a.done = true
			continue
		}
		if text := contentOf(t, line); text != "" {
			a.text, a.deltas = a.text+text, a.deltas+1
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var chunk struct{ Usage *usage }
			if decode(t, data, &chunk); chunk.Usage != nil {
				a.prompt, a.completion = chunk.Usage.Prompt, chunk.Usage.Completion
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("the stream broke: %v", err)
	}
	c.log(t, session, question, a)
	return a
}

// body is a stream that is being read.
type body interface {
	Read([]byte) (int, error)
	Close() error
}

// open asks for a stream and returns it as soon as it has begun.
func (c *chat) open(ctx context.Context, t *testing.T, session, question string, maxTokens int, more string) body {
	t.Helper()
	text := request(session, question, maxTokens, `,"stream":true`+more)
	req, err := http.NewRequestWithContext(ctx, "POST", c.g.URL+"/v1/chat/completions", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.g.Token(t))
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		t.Fatalf("the stream was refused: %s", resp.Status)
	}
	return resp.Body
}

// contentOf is the text of a line of a stream, "" where it has none.
func contentOf(t *testing.T, line string) string {
	t.Helper()
	data, ok := strings.CutPrefix(line, "data: ")
	if !ok || data == "[DONE]" {
		return ""
	}
	var chunk struct {
		Choices []struct{ Delta struct{ Content string } }
		Error   *struct{ Message string }
	}
	if decode(t, data, &chunk); chunk.Error != nil {
		t.Fatalf("the stream failed: %s", chunk.Error.Message)
	}
	if len(chunk.Choices) == 0 {
		return ""
	}
	return chunk.Choices[0].Delta.Content
}

// overWebSocket asks in a session that is joined over a WebSocket.
func (c *chat) overWebSocket(t *testing.T, session, question string) string {
	t.Helper()
	url := "ws" + strings.TrimPrefix(c.g.URL, "http") + "/ws/chat?session=" + session
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), url, http.Header{"Authorization": {"Bearer " + c.g.Token(t)}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(patience))
	if err := conn.WriteMessage(websocket.TextMessage, []byte(question)); err != nil {
		t.Fatal(err)
	}
	a := answer{}
	for {
		var frame struct{ Type, Delta, Message string }
		if err := conn.ReadJSON(&frame); err != nil {
			t.Fatal(err)
		}
		switch frame.Type {
		case "delta":
			a.text, a.deltas = a.text+frame.Delta, a.deltas+1
		case "done":
			t.Logf("[%s, over WebSocket]\nyou:   %s\nmodel: %s\n       (%d frames)", session, question, a.text, a.deltas)
			return a.text
		default:
			t.Fatalf("the turn ended with %+v", frame)
		}
	}
}

type message struct{ Role, Content string }

func (c *chat) messages(t *testing.T, session string) []message {
	t.Helper()
	_, body := c.g.Do(t, "GET", "/v1/sessions/"+session+"/messages", "")
	var list struct{ Data []message }
	decode(t, body, &list)
	return list.Data
}

// slot is one place of the model server's where an answer is made.
type slot struct {
	Processing bool `json:"is_processing"`
	Next       []struct {
		Decoded int `json:"n_decoded"`
	} `json:"next_token"`
}

func slotsOf(t *testing.T, client *http.Client, model string) []slot {
	t.Helper()
	resp, err := client.Get(model + "/slots")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var slots []slot
	if err := json.NewDecoder(resp.Body).Decode(&slots); err != nil || len(slots) == 0 {
		t.Fatalf("the model server's slots: %s: %v", resp.Status, err)
	}
	return slots
}

func decode(t *testing.T, data string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(data), v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
}
