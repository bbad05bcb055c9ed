package conformance

import "testing"

func TestTheOpenAIClientFromNPM(t *testing.T)         { newRig(t).runJS(t, "openai.test.mjs") }
func TestTheOpenAIClientFromPyPI(t *testing.T)        { newRig(t).runPython(t, "test_openai.py") }
func TestResponsesWithTheClientFromNPM(t *testing.T)  { newRig(t).runJS(t, "responses.test.mjs") }
func TestResponsesWithTheClientFromPyPI(t *testing.T) { newRig(t).runPython(t, "test_responses.py") }
func TestTheVercelAISDK(t *testing.T)                 { newRig(t).runJS(t, "aisdk.test.mjs") }
func TestEventSourceFromNPM(t *testing.T)             { newRig(t).runJS(t, "eventsource.test.mjs") }
func TestWebSocketsFromNPM(t *testing.T)              { newRig(t).runJS(t, "websocket.test.mjs") }
func TestWebSocketsFromPyPI(t *testing.T)             { newRig(t).runPython(t, "test_websockets.py") }
