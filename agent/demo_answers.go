package agent

import (
	"fmt"
	"strings"
)

// What the demo agent says. It tells people how to use this gateway, so it must
// stay true to the gateway's paths, headers and settings.

const (
	demoHello     = "Hello! I am agentzero's demo agent: built in, no key, no network. Ask me what this gateway can do, tell me your name, or say \"help\" for things to try."
	demoHelloName = "Hello again, %s! What shall we try? Say \"help\" for ideas."
	demoGoodbye   = "Goodbye! A session keeps what we said; come back with the same session id."
	demoFine      = "Running smoothly, thank you. And you? Say \"help\" to see what I can do."
	demoWelcome   = "You are welcome!"
	demoNoClock   = "I have no clock: the same conversation always gets the same answer from me, which makes me good for tests and bad for appointments."
	demoAJoke     = "An actor walks into a bar. The bartender says: \"Please leave your message in the box, I take one at a time.\""

	demoNothing = "There is no text in your message, and text is all I can read. Say \"help\" for things to try."

	demoOtherwise = "I am agentzero's built-in demo agent, no language model, so I cannot really answer \"%s\". But I do remember this conversation: %s from you so far, %s from me. " +
		"Try \"help\", \"what did I say first?\", \"count to 50\", \"write a long story\", \"markdown\", or ask me how to connect a real model."

	demoHelpAnswer = `I am the demo agent of agentzero, a gateway that puts AI agents behind HTTP, SSE and WebSocket, with one actor for each conversation. I work without a key, so you can try everything before you connect a real model.

Things to say to me:

- "My name is Ada", then "What is my name?" (memory)
- "What did I say first?", "How many messages so far?", "Summarise our conversation"
- "Count to 200" or "think slowly", and cancel it on the way
- "Write a long story" or "markdown" (watch it stream)
- "What is 12*7?", "Repeat after me: hello"
- "Call get_weather for Paris", when your client offers tools

Things to ask about: sessions, streaming, resume, the OpenAI API, WebSocket, webhooks, pairing and tokens, cancelling, busy policies, metrics, configuration, endpoints.`

	demoNoReplyYet    = "I have not said anything yet that I could repeat."
	demoCountEnough   = "and so on: %d numbers are enough for a demo."
	demoHowManyAnswer = "So far I know %s from you, this one included, and %s from me."
	demoNothingBefore = "This is the first message I know of in this conversation. Keep the session (X-Session-Id), and I will remember."
	demoFirstSaid     = "The first thing you said was: \"%s\""
	demoLastSaid      = "Before this, you said: \"%s\""
	demoNthSaid       = "Your %s message was: \"%s\""
	demoNotSoMany     = "There were only %s before this one."
	demoYourName      = "Your name is %s. You told me earlier in this conversation."
	demoNoName        = "You have not told me your name yet. Say \"my name is ...\", and I will remember it in this conversation."
	demoPleased       = "Pleased to meet you, %s! Ask me later what your name is: this conversation remembers it."

	demoSummaryHead    = "So far there were %s from you and %s from me. You said:"
	demoSummarySkipped = "\n(%s left out)"

	demoSumTooLarge  = "That number would be too large for me to write down."
	demoSumZero      = "That divides by zero, which has no answer."
	demoToolResult   = "The tool %s answered: %s"
	demoToolResults  = "%d tools have answered:"
	demoSlowThoughts = "Let me see. The question deserves some care, so I go through it step by step, and I do not hurry at all. This is what thinking looks like on the wire: reasoning_content, apart from the answer."
	demoSlowAnswer   = "I took my time. While an answer is as slow as this one you can watch it word by word, cancel it, send a second message to see what the busy policy does with it, or cut your connection and resume the stream."
)

// demoTopic is something the demo agent can tell about: the beginnings of the
// words that lead to it, and what it tells.
type demoTopic struct {
	words  []string
	answer string
}

// demoTopics are in order of precedence.
func demoTopics() []demoTopic {
	return []demoTopic{
		{[]string{"websocket", "web socket", "ws/chat", "wscat"}, demoWebSocket},
		{[]string{"webhook", "web hook"}, demoWebhooks},
		{[]string{"idempoten", "sent twice", "send twice", "duplicate"}, demoIdempotency},
		{[]string{"resum", "reconnect", "last-event-id", "lost connection", "connection lost", "disconnect"}, demoResume},
		{[]string{"cancel", "abort", "stop an answer", "stop the answer"}, demoCancel},
		{[]string{"busy", "on_busy", "queue", "rollback", "same time", "two messages", "concurren"}, demoBusy},
		{[]string{"provider", "real model", "api key", "configur", "config", "agentzero.toml", "ollama", "anthropic", "claude", "llama", "language model", "connect a model"}, demoProviders},
		{[]string{"pair", "token", "bearer", "auth", "log in", "login", "401"}, demoPairing},
		{[]string{"metric", "prometheus", "grafana", "monitor"}, demoMetrics},
		{[]string{"openai", "chat/completions", "chat completions", "sdk", "compatible"}, demoOpenAI},
		{[]string{"stream", "sse", "server-sent"}, demoStreaming},
		{[]string{"session", "remember", "memory", "journal"}, demoSessions},
		{[]string{"health", "drain", "shut down", "shutdown"}, demoHealth},
		{[]string{"tool", "function call"}, demoTools},
		{[]string{"json"}, demoJSONHelp},
		{[]string{"actor", "mailbox"}, demoActors},
		{[]string{"endpoint", "api", "route", "path", "curl", "port", "url", "dashboard"}, demoEndpoints},
	}
}

const (
	demoSessions = "A session is one conversation, and one actor. Name it with the header X-Session-Id (or session_id in the body of /api/chat) and every door leads to the same one: /v1/chat/completions, /api/chat, /ws/chat and /v1/sessions. It runs one turn at a time, in the order accepted, and is kept in a journal on disk, so it survives restarts.\n\n" +
		"Make one with POST /v1/sessions, talk with POST /v1/sessions/{id}/messages and {\"content\":\"...\"}, read it with GET /v1/sessions/{id}/messages, list all with GET /v1/sessions, remove it with DELETE /v1/sessions/{id}. Your paired devices share their sessions."

	demoStreaming = "Set \"stream\": true on POST /v1/chat/completions and the answer comes as server-sent events: one chunk a word from me, then data: [DONE]. An answer that breaks off ends with an error event instead, never with [DONE]. In silence there is a comment, : keep-alive, every 15 seconds.\n\n" +
		"Any number of watchers can follow a session live at GET /v1/sessions/{id}/events. Say \"write a long story\" to have something to watch."

	demoResume = "Every event of a session's stream has an id, <epoch>-<seq>. When the connection is lost, ask GET /v1/sessions/{id}/events again with the header Last-Event-ID (or ?after=) and the stream goes on from there without loss or repeat. A WebSocket resumes with /ws/chat?session=ID&after=SEQ.\n\n" +
		"What happens to a turn whose watcher leaves is told by X-On-Disconnect: cancel, continue, or grace=SECONDS. In a named session it waits 30 seconds for somebody to come back; a stateless request is cancelled."

	demoOpenAI = "Point any OpenAI client at this gateway: base_url http://127.0.0.1:42617/v1, and the token you got by pairing as the API key. POST /v1/chat/completions works with and without stream, GET /v1/models lists the models. Tools, response_format, temperature and all other fields reach the model as they are.\n\n" +
		"Add the header X-Session-Id to run the request in a session; the answer carries X-Session-Id, X-Turn-Id and X-Queue-Position."

	demoWebSocket = "Connect to ws://127.0.0.1:42617/ws/chat. A text frame is a message: plain text, or {\"type\":\"message\",\"content\":\"...\"}. Back come {\"type\":\"delta\",\"delta\":\"...\"} frames and a {\"type\":\"done\"}; a failed turn ends with {\"type\":\"error\",\"message\":\"...\"}. Send {\"type\":\"cancel\"} to stop an answer.\n\n" +
		"?session=ID joins a session, &after=SEQ resumes it. Programs send Authorization: Bearer as usual. A browser cannot, so it offers the subprotocols agentzero.v1 and bearer.<token>, or uses a one-use ticket from POST /v1/ws-ticket. The token never goes into the URL."

	demoWebhooks = "Webhooks are how other services reach an agent: POST /v1/webhook/{channel}, checked by a bearer token or by the sender's signature (Standard Webhooks, GitHub, Slack, Telegram, Discord or HMAC-SHA256). Deliveries are on disk before they are acknowledged, run one after another within a conversation, and a repeated delivery id runs nothing.\n\n" +
		"A channel is a table [channels.NAME] in agentzero.toml; \"agentzero channels\" lists deliveries, replays them and sends a test. The legacy POST /webhook takes {\"message\":\"...\"}."

	demoPairing = "While require_pairing is on, every request needs a token. The gateway prints a pairing code; send it once: POST /pair with the header X-Pairing-Code answers {\"paired\":true,\"token\":\"...\"}. The dashboard at / can do it for you. A code is good for one use and ten minutes, and five wrong tries lock it.\n\n" +
		"Then send Authorization: Bearer <token>. Tokens are stored only as hashes; \"agentzero token\" lists and revokes them, and \"agentzero token create --owner NAME --scope chat\" makes another."

	demoProviders = "To talk to a real model, name a provider in agentzero.toml (\"agentzero config init\" writes one, \"agentzero config check\" tells what is wrong with it):\n\n" +
		"```toml\n[agent]\nprovider = \"mine\"\n\n[providers.mine]\nkind = \"openai\"            # openai, anthropic or ollama\nbase_url = \"https://host/v1\"\napi_key = \"env:MY_API_KEY\"\ndefault_model = \"some-model\"\n```\n\n" +
		"With provider = \"auto\" the first model server found on this machine is used; provider = \"demo\" is me. Keys may be written as env:NAME or file:PATH, so that they need not stand in the file."

	demoMetrics = "GET /metrics speaks Prometheus' text format: agentzero_gateway_requests_total by method, route and status, agentzero_gateway_request_duration_seconds, agentzero_gateway_active_connections, agentzero_gateway_ws_connections_total, agentzero_gateway_errors_total by code, and more under agentzero_."

	demoCancel = "An answer can be cancelled while it grows: POST /v1/sessions/{id}/cancel, or {\"type\":\"cancel\"} on the WebSocket. A stateless request is cancelled by hanging up. What was said so far is kept, marked interrupted. Say \"count to 500\" and try it."

	demoBusy = "A session runs one turn at a time. What happens to a message that comes during a turn is the busy policy, chosen by the header X-Busy-Policy or on_busy in the body:\n\n" +
		"- queue: it runs after the present turn; 20 may wait, then 429 queue_full with Retry-After\n" +
		"- reject: 409 session_busy\n" +
		"- interrupt: the present turn is cancelled, its partial answer is kept, then yours runs\n" +
		"- rollback: as interrupt, but the cancelled turn leaves the conversation\n" +
		"- collect: the messages that wait are merged into one turn\n\n" +
		"Say \"think slowly\" and send me another message meanwhile."

	demoIdempotency = "Send an Idempotency-Key header with any POST that starts a turn. The same key and body again attaches to the running turn, or replays its answer with Idempotency-Replayed: true, instead of running it twice; the same key with another body is 409 idempotency_key_conflict. Keys are kept for 24 hours."

	demoHealth = "GET /health answers {\"status\":\"ok\"}, or 503 {\"status\":\"draining\"} while the gateway shuts down; GET /health/ready also checks the store. On SIGTERM it takes no new work, gives running answers up to drain_timeout (30 s) to finish, keeps what the rest have said so far, and ends. A second signal ends it at once."

	demoTools = "When your request has tools, say \"call\" and the name of one, and I answer with a proper tool call, its arguments filled in from your message by the tool's schema. Send the result back as a message of role tool, and I answer with it. tool_choice is heeded, too."

	demoJSONHelp = "Ask with response_format json_object or json_schema, and my answer is a JSON object that fits the schema as far as I understand it."

	demoActors = "Each conversation is an actor: it has a mailbox, takes one message at a time, and shares no memory with its neighbours. The call to the model runs beside it, so it still answers cancel, subscribe and describe during a turn. An idle one stops and is revived from its journal by the next message."

	demoEndpoints = "This gateway listens on 127.0.0.1:42617 unless configured otherwise:\n\n" +
		"- GET / the dashboard, GET /health, GET /metrics, GET /openapi.json (the whole API)\n" +
		"- POST /pair exchanges a pairing code for a token\n" +
		"- POST /v1/chat/completions and GET /v1/models, as OpenAI's\n" +
		"- POST /api/chat with {\"message\":\"...\"}\n" +
		"- GET /ws/chat, the WebSocket\n" +
		"- /v1/sessions: make, list, read, talk, cancel, watch\n\n" +
		"Try: curl http://127.0.0.1:42617/api/chat -H 'Authorization: Bearer TOKEN' -H 'Content-Type: application/json' -d '{\"message\":\"hello\"}'"
)

const demoMarkdown = "# A markdown sample\n\n" +
	"A paragraph with **bold**, *italic*, `code` and a [link](https://www.rfc-editor.org/rfc/rfc7764).\n\n" +
	"## A list\n\n" +
	"1. First\n2. Second\n   - nested\n   - twice\n3. Third\n\n" +
	"## A code block\n\n" +
	"```go\nfunc main() {\n\tfmt.Println(\"Hello, agentzero\")\n}\n```\n\n" +
	"## A table\n\n" +
	"| Door | Path | Streams |\n|------|------|:-------:|\n| OpenAI API | /v1/chat/completions | yes |\n| WebSocket | /ws/chat | yes |\n| Simple | /api/chat | no |\n\n" +
	"> And a quotation, to end with.\n"

// demoStoryOf is a long story, about subject if there is one.
func demoStoryOf(subject string) string {
	hero := "a small message"
	if subject != "" {
		hero = "a small message about " + subject
	}
	return fmt.Sprintf(strings.Join([]string{
		"# The Message That Waited Its Turn",
		"Once, at the edge of a large network, there was %[1]s. It had been typed in a hurry, sent without a second look, and it wanted nothing more than to be answered at once. It ran down the wire, turned left at the first router, slipped through a firewall while nobody watched, and arrived, out of breath, at a gateway.",
		"\"Name?\" asked the gateway. The message gave the name of its session. \"And who sends you?\" The message showed its token. The gateway looked it over, nodded, and wrote everything down in a thick book. Only when the ink was dry did it say: \"Accepted. Whatever happens now, you will not be lost.\"",
		"Behind the gate there was a long corridor with a door for every conversation in the world. Most were quiet. Behind them nobody was awake, only a journal on a shelf, and it took but a knock to wake what had fallen asleep over it. The message found its door and saw that another was already inside. \"I can wait,\" it said, although it had never tried. A voice answered kindly: \"You are second. It will not be long.\"",
		"So it waited, and while it waited it saw strange things. One message came, shouted \"Interrupt!\", and went in before all the others; the answer that had been growing there was carried out, half finished, with a label on it. Another lost its sender in the middle of everything, when a train went into a tunnel, and the corridor held its breath for thirty seconds, until the sender came out on the other side and asked: \"Where were we?\" And the stream went on from the very word where it had stopped.",
		"At last the door opened. Inside sat an actor at a plain desk with a single tray. \"One at a time,\" it said, \"that is the whole secret.\" It took the message, laid it beside all that had been said before, and called out through a window to somebody very large and very far away. Then came the words: first one, then another, then a whole flock of them, and each was numbered as it flew by, so that none could be lost and none could come twice.",
		"The message watched them go, out of the door, down the corridor, through the gate, over the wire, to three screens at once. One of the screens was slow. Nobody minded. The words waited for it where they lay, and hurried nobody, and when the slow screen looked up it found all of them there, in order, many in one handful.",
		"\"Is that all?\" asked the message when the last word had left. \"That is all,\" said the actor, and it closed the book, and wrote: answered. It is a small word. But of everything that may become of a message (merged, rolled back, cancelled, expired, failed) it is the one they all hope for.",
		"The corridor grew quiet. The actor looked at the clock, saw that nobody was watching and nothing was waiting, put its journal on the shelf, and went to sleep; and if somebody has knocked since then, it is awake again now.",
		"*The end. I am only the demo agent, so this is the one story I know; connect a real model for others.*",
	}, "\n\n"), hero)
}

// demoEssayOn is a long essay, on subject if there is one.
func demoEssayOn(subject string) string {
	if subject == "" {
		subject = "waiting in line"
	}
	return fmt.Sprintf(strings.Join([]string{
		"# On %[1]s",
		"Much has been said about %[1]s, and this essay will not settle it, for it was written by a demo agent that knows one essay and puts your subject into it. Yet there is something to be learnt from %[1]s by anybody who builds systems that talk, and that is what the following paragraphs are about.",
		"First, order. Whoever says two things wants them heard in that order. A system that answers the second before the first, or both at once with half of each, has not become faster but worse. The remedy is old: a line, one at a time, first come, first served. It needs no cleverness, only the discipline to let every door lead to the same line.",
		"Second, memory. What was accepted must be kept, and what was kept must be found again. A promise that is made before the ink is dry is no promise. It costs a few milliseconds to write a thing down before one says \"yes\", and those milliseconds are the difference between a service and a rumour.",
		"Third, patience with the slow. In every audience there is someone on a train, someone behind an old proxy, someone who closed the lid for a minute. To wait for them would punish everyone else, and to forget them would punish them. There is a third way: to leave the words where they are, numbered, and to let each reader come for them at its own pace.",
		"Fourth, honesty about endings. An answer may be finished, cut off, cancelled or lost. The worst a system can do is to call a torn answer whole. A clear error is a courtesy: it lets the other side decide what to do next.",
		"Fifth, the right to stop. Nobody should have to pay for words that nobody reads. When the last listener leaves, the speaker should notice, and soon; and when a listener says \"enough\", the speaker should hear it in the middle of a sentence.",
		"So much for %[1]s. If the argument seemed to have little to do with it, connect a real model and ask again; if it streamed smoothly, the gateway did its part.",
	}, "\n\n"), subject)
}
