package transport

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"agentzero/actors"
)

// family is one metric as /metrics tells it. No label holds what a client can
// choose: a route is its pattern, a method one of HTTP's, a provider a name of
// the configuration.
type family struct{ kind, help string }

// families is the whole list of the gateway's own metrics.
var families = map[string]family{
	"agentzero_build_info":                       {"gauge", "Version of the gateway and of Go; always 1."},
	"agentzero_gateway_requests_total":           {"counter", "Requests answered, by method, route and status."},
	"agentzero_gateway_request_duration_seconds": {"histogram", "Time from a request's arrival to the end of its answer, by route."},
	"agentzero_gateway_active_connections":       {"gauge", "Open connections of clients."},
	"agentzero_gateway_ws_connections_total":     {"counter", "WebSockets opened."},
	"agentzero_gateway_errors_total":             {"counter", "Errors told to clients, by code."},
	"agentzero_rate_limited_requests_total":      {"counter", "Requests refused by the rate limit."},
	"agentzero_active_streams":                   {"gauge", "Open event streams."},
	"agentzero_active_websockets":                {"gauge", "Open WebSockets."},
	"agentzero_active_sessions":                  {"gauge", "Sessions in memory."},
	"agentzero_running_turns":                    {"gauge", "Turns that call a model now."},
	"agentzero_queued_turns":                     {"gauge", "Accepted turns that wait."},
	"agentzero_turns_accepted_total":             {"counter", "Messages accepted."},
	"agentzero_turns_total":                      {"counter", "Accepted messages that have ended, by fate."},
	"agentzero_turn_duration_seconds":            {"histogram", "Time from a message's acceptance to its fate."},
	"agentzero_first_delta_seconds":              {"histogram", "Time from a message's acceptance to the first delta."},
	"agentzero_deltas_total":                     {"counter", "Deltas logged."},
	"agentzero_channel_requests_total":           {"counter", "Requests to channels, by channel and outcome: accepted, duplicate, ignored, refused, unsigned, unreadable."},
	"agentzero_channel_deliveries":               {"gauge", "Deliveries with work left, by channel and state."},
	"agentzero_channel_deliveries_total":         {"counter", "Deliveries that are over, by channel and state."},
	"agentzero_channel_delivery_seconds":         {"histogram", "Time from a delivery's acceptance until it was over, by channel."},
	"agentzero_channel_replies_total":            {"counter", "Answers that were sent, will be sent again, or were given up, by channel and outcome."},
	"agentzero_provider_calls_total":             {"counter", "Calls of providers that have ended, by provider and outcome."},
	"agentzero_provider_errors_total":            {"counter", "Calls of providers that have failed, by provider and kind."},
	"agentzero_provider_retries_total":           {"counter", "Requests to providers that were made again, by provider."},
	"agentzero_provider_call_duration_seconds":   {"histogram", "Time of a provider's calls, by provider."},
	"agentzero_provider_tokens_total":            {"counter", "Tokens as providers count them, by provider and direction."},
}

// Metrics counts what happens in a gateway. It observes the actors and the
// providers too. It is safe for use by many goroutines.
type Metrics struct {
	set            *metrics.Set
	deltas         *metrics.Counter
	firstDelta     *metrics.PrometheusHistogram
	turnDuration   *metrics.PrometheusHistogram
	rateLimited    *metrics.Counter
	webSockets     *metrics.Counter
	webSocketsOpen *metrics.Gauge
	streams        *metrics.Gauge
	firstDeltas    firstDeltas // for the quantiles of GET /v1/events
}

// seconds are the buckets of all durations: from the answer of a cached page to
// a long turn.
var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// NewMetrics makes the metrics of one gateway.
func NewMetrics(version string) *Metrics {
	set := metrics.NewSet()
	m := &Metrics{
		set:            set,
		deltas:         set.NewCounter("agentzero_deltas_total"),
		firstDelta:     set.NewPrometheusHistogramExt("agentzero_first_delta_seconds", seconds),
		turnDuration:   set.NewPrometheusHistogramExt("agentzero_turn_duration_seconds", seconds),
		rateLimited:    set.NewCounter("agentzero_rate_limited_requests_total"),
		webSockets:     set.NewCounter("agentzero_gateway_ws_connections_total"),
		webSocketsOpen: set.NewGauge("agentzero_active_websockets", nil),
		streams:        set.NewGauge("agentzero_active_streams", nil),
	}
	set.NewGauge(fmt.Sprintf("agentzero_build_info{version=%q,goversion=%q}", version, runtime.Version()), func() float64 { return 1 })
	for code := range codes {
		m.errors(code)
	}
	return m
}

// bind adds what is read from a server when it is asked for.
func (m *Metrics) bind(s *Server) {
	m.set.NewGauge("agentzero_gateway_active_connections", func() float64 { return float64(s.connections.open.Load()) })
	sessions := s.options.Sessions
	m.set.NewGauge("agentzero_active_sessions", func() float64 { return float64(sessions.Live()) })
	m.set.RegisterMetricsWriter(func(w io.Writer) {
		c := sessions.Counts()
		fmt.Fprintf(w, "agentzero_running_turns %d\nagentzero_queued_turns %d\nagentzero_turns_accepted_total %d\n", c.Running, c.Queued, c.Accepted)
		for _, f := range actors.Fates() {
			fmt.Fprintf(w, "agentzero_turns_total{fate=%q} %d\n", f.String(), c.Ended[f])
		}
		if s.options.Channels == nil {
			return
		}
		for _, c := range s.options.Channels.ChannelCounts() {
			for state, n := range map[actors.DeliveryState]int64{
				actors.DeliveryQueued: c.Queued, actors.DeliveryRunning: c.Running, actors.DeliveryReplying: c.Replying,
			} {
				fmt.Fprintf(w, "agentzero_channel_deliveries{channel=%q,state=%q} %d\n", c.Name, state, n)
			}
		}
	})
}

// delivery counts a request to a channel.
func (m *Metrics) delivery(channel, outcome string) {
	m.set.GetOrCreateCounter(`agentzero_channel_requests_total{channel="` + channel + `",outcome="` + outcome + `"}`).Inc()
}

// DeliveryEnded implements actors.DeliveryObserver.
func (m *Metrics) DeliveryEnded(channel, state string, after time.Duration) {
	m.set.GetOrCreateCounter(`agentzero_channel_deliveries_total{channel="` + channel + `",state="` + state + `"}`).Inc()
	m.set.GetOrCreatePrometheusHistogramExt(`agentzero_channel_delivery_seconds{channel="`+channel+`"}`, seconds).Update(after.Seconds())
}

// ReplySent implements actors.DeliveryObserver.
func (m *Metrics) ReplySent(channel, outcome string) {
	m.set.GetOrCreateCounter(`agentzero_channel_replies_total{channel="` + channel + `",outcome="` + outcome + `"}`).Inc()
}

func (m *Metrics) request(method, route string, status int, took time.Duration) {
	m.set.GetOrCreateCounter(`agentzero_gateway_requests_total{method="` + methodLabel(method) + `",route="` + route + `",status="` + strconv.Itoa(status) + `"}`).Inc()
	m.set.GetOrCreatePrometheusHistogramExt(`agentzero_gateway_request_duration_seconds{route="`+route+`"}`, seconds).Update(took.Seconds())
}

func methodLabel(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}

func (m *Metrics) errors(code Code) *metrics.Counter {
	return m.set.GetOrCreateCounter(`agentzero_gateway_errors_total{code="` + string(code) + `"}`)
}

func (m *Metrics) failed(code Code) { m.errors(code).Inc() }

func (m *Metrics) limited() { m.rateLimited.Inc() }

// FirstDelta implements actors.Observer.
func (m *Metrics) FirstDelta(after time.Duration) {
	m.firstDelta.Update(after.Seconds())
	m.firstDeltas.add(after)
}

// Deltas implements actors.Observer.
func (m *Metrics) Deltas(n int) { m.deltas.Add(n) }

// TurnEnded implements actors.Observer.
func (m *Metrics) TurnEnded(_ actors.Fate, after time.Duration) {
	m.turnDuration.Update(after.Seconds())
}

// ProviderCall counts a provider's call that has ended; kind is "" where it
// succeeded.
func (m *Metrics) ProviderCall(provider, kind string, took time.Duration, promptTokens, completionTokens int64) {
	label := `provider="` + provider + `"`
	outcome := "ok"
	if kind != "" {
		outcome = "error"
		m.set.GetOrCreateCounter(`agentzero_provider_errors_total{` + label + `,kind="` + kind + `"}`).Inc()
	}
	m.calls(provider, outcome).Inc()
	m.set.GetOrCreatePrometheusHistogramExt(`agentzero_provider_call_duration_seconds{`+label+`}`, seconds).Update(took.Seconds())
	m.set.GetOrCreateCounter(`agentzero_provider_tokens_total{` + label + `,direction="prompt"}`).Add(int(promptTokens))
	m.set.GetOrCreateCounter(`agentzero_provider_tokens_total{` + label + `,direction="completion"}`).Add(int(completionTokens))
}

func (m *Metrics) calls(provider, outcome string) *metrics.Counter {
	return m.set.GetOrCreateCounter(`agentzero_provider_calls_total{provider="` + provider + `",outcome="` + outcome + `"}`)
}

// providerCalls are a provider's calls that have ended well, and those that failed.
func (m *Metrics) providerCalls(provider string) (ok, failed uint64) {
	return m.calls(provider, "ok").Get(), m.calls(provider, "error").Get()
}

// openStreams are the event streams and WebSockets that are open.
func (m *Metrics) openStreams() int64 { return int64(m.streams.Get() + m.webSocketsOpen.Get()) }

// UpstreamRetry counts a request to a provider that is made again.
func (m *Metrics) UpstreamRetry(provider string) {
	m.set.GetOrCreateCounter(`agentzero_provider_retries_total{provider="` + provider + `"}`).Inc()
}

// write renders all metrics in the text format of Prometheus, the process's and
// Go's own included.
// See https://prometheus.io/docs/instrumenting/exposition_formats/.
func (m *Metrics) write(w io.Writer) {
	var raw bytes.Buffer
	m.set.WritePrometheus(&raw)
	metrics.WriteProcessMetrics(&raw)
	metrics.WriteFDMetrics(&raw)
	describe(w, raw.Bytes())
}

// describe copies samples and puts each family's help and type before it. The
// process's metrics whose names break Prometheus's rules are left out.
func describe(w io.Writer, samples []byte) {
	groups := make(map[string]*bytes.Buffer)
	var order []string
	for line := range bytes.Lines(samples) {
		if line[0] == '#' || len(line) < 2 {
			continue
		}
		name := string(line[:bytes.IndexAny(line, "{ ")])
		fam := familyOf(name)
		if fam == "" {
			continue
		}
		g, ok := groups[fam]
		if !ok {
			g = new(bytes.Buffer)
			groups[fam] = g
			order = append(order, fam)
		}
		g.Write(line)
	}
	for _, fam := range order {
		f, ok := families[fam]
		if !ok {
			f = runtimeFamilies[fam]
		}
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", fam, f.help, fam, f.kind)
		_, _ = w.Write(groups[fam].Bytes()) // a buffer's
	}
}

// familyOf finds the family of a sample's name, or "".
func familyOf(name string) string {
	if known(name) {
		return name
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && known(base) {
			return base
		}
	}
	return ""
}

func known(name string) bool {
	_, own := families[name]
	_, runtime := runtimeFamilies[name]
	return own || runtime
}

// runtimeFamilies are those of the process and of Go that are told.
var runtimeFamilies = map[string]family{
	"process_cpu_seconds_total":        {"counter", "CPU time of the process, user and system."},
	"process_cpu_seconds_user_total":   {"counter", "CPU time of the process in user mode."},
	"process_cpu_seconds_system_total": {"counter", "CPU time of the process in the kernel."},
	"process_resident_memory_bytes":    {"gauge", "Resident memory."},
	"process_virtual_memory_bytes":     {"gauge", "Virtual memory."},
	"process_open_fds":                 {"gauge", "Open file descriptors."},
	"process_max_fds":                  {"gauge", "Limit of open file descriptors."},
	"process_start_time_seconds":       {"gauge", "Start of the process, Unix time."},
	"go_goroutines":                    {"gauge", "Goroutines."},
	"go_threads":                       {"gauge", "Threads of the operating system."},
	"go_memstats_alloc_bytes":          {"gauge", "Heap in use."},
	"go_memstats_alloc_bytes_total":    {"counter", "Heap allocated in all."},
	"go_memstats_mallocs_total":        {"counter", "Heap objects allocated in all."},
	"go_memstats_frees_total":          {"counter", "Heap objects freed in all."},
	"go_memstats_heap_objects":         {"gauge", "Heap objects in use."},
	"go_memstats_heap_inuse_bytes":     {"gauge", "Heap spans in use."},
	"go_memstats_heap_idle_bytes":      {"gauge", "Heap spans not in use."},
	"go_memstats_stack_inuse_bytes":    {"gauge", "Stacks in use."},
	"go_memstats_sys_bytes":            {"gauge", "Memory obtained from the system."},
	"go_memstats_next_gc_bytes":        {"gauge", "Heap size at which the next collection starts."},
	"go_gc_duration_seconds":           {"summary", "Pauses of the garbage collector."},
	"go_sched_latencies_seconds":       {"histogram", "Time goroutines wait to be run."},
	"go_gomaxprocs":                    {"gauge", "Threads that run Go code at once."},
}
