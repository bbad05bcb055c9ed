// Package upstream is a mock of an OpenAI-compatible model server for load
// tests: it costs so little that thousands of its streams leave the machine to
// the server under test.
//
// A connection has one goroutine, which only reads requests and so also sees a
// hang-up at once. All streams are driven by one goroutine with a timer wheel
// (see wheel.go): a delta is one copy of a template and one write that does not
// block. A client that does not read slows its own stream only.
//
// What an answer is like is told by the server's [Behaviour], and by a request
// for itself in the name of its model, such as
//
//	mock:tokens=200,interval=20ms,first=300ms,jitter=5ms,errors=0.01,cuts=0.01
//
// so that one upstream serves every scenario. A request's max_tokens bounds its
// tokens. Each delta is the text "@" and the time of its sending, as Unix
// nanoseconds, and a blank.
package upstream
