package transport

import (
	"encoding/json"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// monitorEvery is the time between two samples, monitorKept how many are kept:
	// the last 15 minutes.
	monitorEvery = time.Second
	monitorKept  = 900
	// firstDeltaWindow is over how many samples the quantiles of the time to the
	// first delta are taken: one second holds too few turns.
	firstDeltaWindow = 10
)

// moment is what the gateway did in one second, and how it stood at its end.
type moment struct {
	// At is its end, Unix time in seconds.
	At     int64  `json:"at"`
	Deltas uint64 `json:"deltas"`
	// Streams are the open event streams and WebSockets.
	Streams  int64  `json:"streams"`
	Running  int64  `json:"running"`
	Queued   int64  `json:"queued"`
	Sessions int    `json:"sessions"`
	Accepted uint64 `json:"accepted"`
	Ended    uint64 `json:"ended"`
	// FirstDelta50 and 99 are quantiles of the last 10 s, in seconds; nil where no
	// turn spoke.
	FirstDelta50 *float64 `json:"first_delta_p50"`
	FirstDelta99 *float64 `json:"first_delta_p99"`
	// Errors are those told to clients, by code; those of none are left out.
	Errors map[Code]uint64 `json:"errors"`
	// Resident is 0 where the system does not tell.
	Resident int64 `json:"resident_bytes"`
	Heap     int64 `json:"heap_bytes"`
}

// monitor looks at the counters once a second and keeps the last samples, so that
// who comes to watch sees what was. A delta costs nothing more for it. Its one
// goroutine runs from start to stop.
type monitor struct {
	server *Server

	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once

	mu       sync.Mutex
	ring     []moment // at most monitorKept; the oldest is at next once it is full
	next     int
	watchers map[chan struct{}]struct{}

	// The goroutine's own.
	last    int64 // At of the last sample
	before  counted
	firsts  [firstDeltaWindow]firstDeltaCounts
	at      int
	reading []metrics.Sample
}

// counted are counters as they stood at the last sample.
type counted struct {
	deltas, accepted, ended uint64
	errors                  map[Code]uint64
	first                   firstDeltaCounts
}

func startMonitor(s *Server) *monitor {
	m := &monitor{
		server: s, stop: make(chan struct{}), stopped: make(chan struct{}), watchers: make(map[chan struct{}]struct{}),
		reading: []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}},
	}
	m.before = m.count()
	go m.run()
	return m
}

// end stops the samples and waits for the goroutine.
func (m *monitor) end() {
	m.once.Do(func() { close(m.stop) })
	<-m.stopped
}

func (m *monitor) run() {
	defer close(m.stopped)
	ticker := time.NewTicker(monitorEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			m.keep(m.take(now))
		case <-m.stop:
			return
		}
	}
}

func (m *monitor) count() counted {
	c := m.server.options.Sessions.Counts()
	n := counted{accepted: uint64(c.Accepted), errors: make(map[Code]uint64, len(codes))}
	for _, ended := range c.Ended {
		n.ended += uint64(ended)
	}
	n.deltas = m.server.options.Metrics.deltas.Get()
	for code := range codes {
		n.errors[code] = m.server.options.Metrics.errors(code).Get()
	}
	n.first = m.server.options.Metrics.firstDeltas.counts()
	return n
}

// take makes a sample of what has changed since the last one.
func (m *monitor) take(now time.Time) moment {
	count := m.count()
	sessions := m.server.options.Sessions
	c := sessions.Counts()
	// Each has a second of its own, though two ticks may fall in one.
	m.last = max(now.Unix(), m.last+1)
	s := moment{
		At: m.last, Deltas: count.deltas - m.before.deltas, Accepted: count.accepted - m.before.accepted, Ended: count.ended - m.before.ended,
		Streams: m.server.options.Metrics.openStreams(), Running: int64(c.Running), Queued: int64(c.Queued), Sessions: sessions.Live(),
		Errors: make(map[Code]uint64), Resident: residentBytes(),
	}
	for code, n := range count.errors {
		if d := n - m.before.errors[code]; d > 0 {
			s.Errors[code] = d
		}
	}
	m.firsts[m.at] = count.first.minus(m.before.first)
	m.at = (m.at + 1) % firstDeltaWindow
	var window firstDeltaCounts
	for i := range m.firsts {
		window = window.plus(m.firsts[i])
	}
	s.FirstDelta50, s.FirstDelta99 = window.quantile(.5), window.quantile(.99)
	metrics.Read(m.reading)
	s.Heap = int64(m.reading[0].Value.Uint64())
	m.before = count
	return s
}

func (m *monitor) keep(s moment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.ring) < monitorKept {
		m.ring = append(m.ring, s)
	} else {
		m.ring[m.next] = s
		m.next = (m.next + 1) % monitorKept
	}
	for w := range m.watchers {
		select {
		case w <- struct{}{}:
		default: // it has not looked at the one before yet
		}
	}
}

// since returns the samples after a time, oldest first.
func (m *monitor) since(at int64) []moment {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]moment, 0, len(m.ring))
	for i := range m.ring {
		if s := m.ring[(m.next+i)%len(m.ring)]; s.At > at {
			list = append(list, s)
		}
	}
	return list
}

// maxMonitorWatchers is how many streams of samples may be open.
const maxMonitorWatchers = 64

// watch returns a channel that holds a value when there is a new sample, or nil
// where too many watch already.
func (m *monitor) watch() chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.watchers) >= maxMonitorWatchers {
		return nil
	}
	w := make(chan struct{}, 1)
	m.watchers[w] = struct{}{}
	return w
}

func (m *monitor) unwatch(w chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watchers, w)
}

func (s moment) json() []byte {
	data, err := json.Marshal(s)
	if err != nil {
		panic("transport: numbers do not marshal: " + err.Error())
	}
	return data
}
