#!/usr/bin/env bash
# Lets clients come and go for DURATION (20m), then judges whether the gateway's
# goroutines, live heap and files are back where they began, and whether every
# message it accepted has a fate. Exits 1 where they are not.
#
#   DURATION=1m bench/soak.sh
set -euo pipefail
cd "$(dirname "$0")/.."

DURATION=${DURATION:-20m}
# What a durable session's turn may run on after its client has left, and a bit.
SETTLE=${SETTLE:-45}
# Go collects an idle heap each two minutes.
REST=${REST:-125}
export AGENTZERO_BENCH_TOKEN=bench-0123456789abcdef0123456789abcdef
work=$(mktemp -d)
pids=()
stop() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	wait
	rm -rf "$work"
}
trap stop EXIT

CGO_ENABLED=0 go build -trimpath -o bin/agentzero ./cmd/agentzero
CGO_ENABLED=0 go build -trimpath -o bin/agentzero-bench ./cmd/agentzero-bench
bin/agentzero-bench upstream --listen 127.0.0.1:18721 >"$work/upstream.log" &
pids+=($!)
AGENTZERO_GATEWAY_BEARER_TOKEN=$AGENTZERO_BENCH_TOKEN AGENTZERO_GATEWAY__RATE_LIMIT_MAX=0 \
	AGENTZERO_AGENT__PROVIDER=mock AGENTZERO_PROVIDERS__MOCK__KIND=openai \
	AGENTZERO_PROVIDERS__MOCK__BASE_URL=http://127.0.0.1:18721/v1 AGENTZERO_LOG__LEVEL=error \
	AGENTZERO_SESSIONS__IDLE_TIMEOUT=10s \
	bin/agentzero gateway --port 18724 --data-dir "$work/data" >"$work/gateway.log" 2>&1 &
gateway=$!
pids+=($gateway)
for _ in $(seq 100); do
	curl -fs http://127.0.0.1:18724/health >/dev/null && break
	sleep 0.1
done

# state: goroutines, live bytes of the heap, files, and resident bytes, in a line.
state() {
	curl -fs http://127.0.0.1:18724/metrics | awk -v files="$(find "/proc/$gateway/fd" -mindepth 1 | wc -l)" '
		/^go_goroutines /{g=$2} /^go_memstats_alloc_bytes /{h=$2} /^process_resident_memory_bytes /{r=$2}
		END {printf "%d %d %d %d\n", g, h, files, r}'
}

# rest: the state when nothing is left to do. Between two collections the heap holds
# what is no longer live; the least of REST seconds is what is.
rest() {
	sleep "$SETTLE"
	for _ in $(seq "$REST"); do
		state
		sleep 1
	done | awk '{ if (NR == 1 || $2 < h) h = $2; g = $1; f = $3; r = $4 } END { print g, h, f, r }'
}

show() { awk -v when="$1" '{printf "%s %d goroutines, %.1f MiB of live heap, %d files, %.1f MiB resident\n", when, $1, $2/1048576, $3, $4/1048576}' <<<"$2"; }

# The first round fills the pools and the connections that are kept.
bin/agentzero-bench scenario churn-soak http://127.0.0.1:18724 --duration 30s >/dev/null
before=$(rest)
show "before:" "$before"
bin/agentzero-bench scenario churn-soak http://127.0.0.1:18724 --duration "$DURATION"
after=$(rest)
show "before:" "$before"
show "after: " "$after"
bin/agentzero-bench fates http://127.0.0.1:18724
# A tenth and a bit more is the play of pools; a leak of one in a thousand of a
# soak's sessions is past it.
awk -v before="$before" -v after="$after" 'BEGIN {
	split(before, b); split(after, a)
	split("goroutines heap files", name)
	split("50 8388608 50", play)
	for (i = 1; i <= 3; i++)
		if (a[i] > b[i] * 1.1 + play[i]) { print "soak: " name[i] " grew from " b[i] " to " a[i]; bad = 1 }
	if (!bad) print "soak: all is back where it began"
	exit bad
}'
