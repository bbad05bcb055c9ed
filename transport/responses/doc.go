// Package responses puts OpenAI's Responses and Conversations API in the terms of
// sessions and turns, and back: a request becomes the messages and parameters of a
// chat completion, the events of a turn become those of a response, and messages
// become items. It holds no state but that of one stream (see [Builder]) and does
// no input or output.
//
// The forms are those of https://platform.openai.com/docs/api-reference/responses
// and of the types in OpenAI's official clients. What is not supported is refused
// with an [*Error] that names the field; nothing a client sends is dropped unseen.
package responses

// Error refuses a request.
type Error struct {
	// Param is the path of the field at fault, such as input[0].content[1].file_id.
	Param   string
	Message string
}

func (e *Error) Error() string { return e.Message }

func fault(param, message string) error { return &Error{Param: param, Message: message} }
