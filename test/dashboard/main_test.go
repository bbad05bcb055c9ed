// Package dashboard drives the page of GET / in a real headless Chromium, against
// the built binary.
package dashboard

import (
	"testing"

	"agentzero/test/gateway"
)

func TestMain(m *testing.M) { gateway.Main(m, closeBrowser) }
