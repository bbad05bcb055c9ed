package actors

import (
	"testing"

	"go.uber.org/goleak"

	"agentzero/test/postgres"
)

func TestMain(m *testing.M) { postgres.Main(m, func() error { return goleak.Find() }) }
