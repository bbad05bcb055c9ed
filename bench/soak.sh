#!/usr/bin/env bash
# Lets clients come and go for DURATION (20m), then shows whether the gateway's
# goroutines, heap and files are back where they began.
set -euo pipefail
cd "$(dirname "$0")/.."

DURATION=${DURATION:-20m}
# What a durable session's turn may run on after its client has left, and a bit.
SETTLE=${SETTLE:-45}
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

state() {
	curl -fs http://127.0.0.1:18724/metrics |
		awk '/^go_goroutines /{g=$2} /^go_memstats_heap_inuse_bytes /{h=$2} /^go_memstats_stack_inuse_bytes /{s=$2}
			END {printf "%d goroutines, %.1f MiB of heap in use, %.1f MiB of stacks", g, h/1048576, s/1048576}'
	echo ", $(ls /proc/$gateway/fd | wc -l) files, $(awk '/VmRSS/{printf "%.1f MiB", $2/1024}' /proc/$gateway/status) resident"
}

# The first minute fills the pools and the connections that are kept.
bin/agentzero-bench scenario churn-soak http://127.0.0.1:18724 --duration 30s >/dev/null
sleep "$SETTLE"
echo "before: $(state)"
bin/agentzero-bench scenario churn-soak http://127.0.0.1:18724 --duration "$DURATION"
sleep "$SETTLE"
echo "after:  $(state)"
