package channels

import (
	"encoding/json"
	"strconv"
	"time"
)

// Sample is a delivery of this channel's kind that says text, to try the channel
// out. What an answer would need of it (a chat, an issue) is made up.
func (c *Channel) Sample(text, id string, now time.Time) []byte {
	type object = map[string]any
	var body any
	switch c.settings.Kind {
	case GitHub:
		body = object{
			"action": "created", "issue": object{"number": 1, "title": "A test"}, "comment": object{"body": text},
			"repository": object{"full_name": "example/example"}, "sender": object{"login": "example", "type": "User"},
		}
	case Slack:
		seconds := strconv.FormatInt(now.Unix(), 10)
		body = object{
			"type": "event_callback", "event_id": id, "event_time": now.Unix(),
			"event": object{"type": "message", "channel_type": "im", "channel": "D0EXAMPLE", "user": "U0EXAMPLE", "text": slackEscape.Replace(text), "ts": seconds + ".000100"},
		}
	case Telegram:
		body = object{
			"update_id": now.UnixMilli(),
			"message":   object{"message_id": 1, "date": now.Unix(), "chat": object{"id": 1, "type": "private"}, "from": object{"id": 1, "is_bot": false}, "text": text},
		}
	default:
		body = object{"message": text}
	}
	data, _ := json.Marshal(body) // strings and numbers marshal
	return data
}
