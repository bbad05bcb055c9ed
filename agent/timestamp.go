package agent

import (
	"encoding/json"
	"time"
)

// unixTime reads a time as RFC 3339 has it, 0 where value is none.
func unixTime(value json.RawMessage) int64 {
	var at time.Time
	if json.Unmarshal(value, &at) != nil || at.IsZero() {
		return 0
	}
	return at.Unix()
}
