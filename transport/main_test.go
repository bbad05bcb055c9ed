package transport

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, background()...) }

// background are the goroutines that libraries keep for the life of a process,
// or for a while after their owner has ended.
func background() []goleak.Option {
	var options []goleak.Option
	for _, f := range []string{
		"github.com/valyala/fasthttp.updateServerDate.func1",
		"github.com/valyala/fasthttp.(*workerPool).Start.func2",
		"github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1",
	} {
		options = append(options, goleak.IgnoreAnyFunction(f))
	}
	return options
}
