package conformance

import (
	"path/filepath"
	"testing"

	"agentzero/test/part"
)

// webhookChannels are those that the senders of js/webhooks.test.mjs know.
const webhookChannels = `
[channels.std]
kind = "standard-webhooks"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
reply_url = "{{/reply_to}}"
reply_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
allow_private = true
[channels.github]
kind = "github"
secret = "It's a Secret to Everybody"
[channels.slack]
kind = "slack"
secret = "8f742231b10e8888abcd99yyyzzz85a5"
`

// The libraries that platforms sign and verify with: standardwebhooks,
// @octokit/webhooks-methods, and the verification of @slack/bolt.
func TestWebhookSignersFromNPM(t *testing.T) {
	part.File(t, "npm signers of webhooks", filepath.Join("js", "node_modules", "standardwebhooks"))
	newRigWith(t, webhookChannels).runJS(t, "webhooks.test.mjs")
}
