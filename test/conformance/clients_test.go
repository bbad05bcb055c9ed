package conformance

import (
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

func TestTheOpenAIClientFromNPM(t *testing.T)         { newRig(t).runJS(t, "openai.test.mjs") }
func TestTheOpenAIClientFromPyPI(t *testing.T)        { newRig(t).runPython(t, "test_openai.py") }
func TestResponsesWithTheClientFromNPM(t *testing.T)  { newRig(t).runJS(t, "responses.test.mjs") }
func TestResponsesWithTheClientFromPyPI(t *testing.T) { newRig(t).runPython(t, "test_responses.py") }
func TestTheVercelAISDK(t *testing.T)                 { newRig(t).runJS(t, "aisdk.test.mjs") }
func TestEventSourceFromNPM(t *testing.T)             { newRig(t).runJS(t, "eventsource.test.mjs") }
func TestWebSocketsFromNPM(t *testing.T)              { newRig(t).runJS(t, "websocket.test.mjs") }
func TestWebSocketsFromPyPI(t *testing.T)             { newRig(t).runPython(t, "test_websockets.py") }

// TestResponsesOfTheDemoAgent needs no model server.
func TestResponsesOfTheDemoAgent(t *testing.T) {
	t.Setenv("MODEL", "demo")
	r := &rig{gateway.Start(t, gateway.Options{}), upstream.New(t)}
	r.runPython(t, "test_responses_any.py")
}
