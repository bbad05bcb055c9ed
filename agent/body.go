package agent

import (
	"bytes"
	"encoding/json"
)

// encodeBody is v as the JSON body of a request. Text is not escaped for HTML,
// so that it stays short.
func encodeBody(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
