#!/usr/bin/env bash
# Measures the gateway beside nginx and the floors, all in front of one mock
# upstream, and prints the table of DESIGN's targets. Takes under 10 minutes.
#
#   bench/run.sh [OUT]     results go to OUT (default bin/bench)
#   STREAMS, ROUNDS, SECONDS_EACH and WS_SESSIONS change what is measured,
#   NICE=-10 puts it before everything else on the machine (needs root),
#   RESULTS=1 puts the new table into RESULTS.md and the plots into RESULTS.html.
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=${1:-bin/bench}
STREAMS=${STREAMS:-100 500 2000 5000}
ROUNDS=${ROUNDS:-3}
SECONDS_EACH=${SECONDS_EACH:-4}
WS_SESSIONS=${WS_SESSIONS:-15000}
NICE=${NICE:-0}
bench=bin/agentzero-bench
export AGENTZERO_BENCH_TOKEN=bench-0123456789abcdef0123456789abcdef
mkdir -p "$OUT"
work=$(mktemp -d)
pids=()

# stop ends what was started: by a request, and after 10 s by force.
stop() {
	[ ${#pids[@]} -gt 0 ] || return 0
	kill "${pids[@]}" 2>/dev/null || true
	for _ in $(seq 100); do
		kill -0 "${pids[@]}" 2>/dev/null || break
		sleep 0.1
	done
	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	pids=()
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
	echo "bench: $*" >&2
	exit 1
}

# free PORT...: an old server there would be measured in the place of ours.
free() {
	local port
	for port in "$@"; do
		if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then fail "something listens on port $port already; end it first"; fi
	done
}

# start NAME COMMAND...: a process of its own group, which counts as one to the
# scheduler however many others the machine runs.
start() {
	local name=$1
	shift
	setsid bash -c '[ "$0" = 0 ] || echo "$0" > /proc/self/autogroup; exec "$@"' "$NICE" "$@" >"$work/$name.log" 2>&1 &
	pids+=($!)
}

# ready NAME PORT: waits until something listens there.
ready() {
	for _ in $(seq 100); do
		if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then return; fi
		sleep 0.1
	done
	echo "$1 does not listen on port $2:" >&2
	cat "$work/$1.log" >&2
	exit 1
}

CGO_ENABLED=0 go build -trimpath -o bin/agentzero ./cmd/agentzero
CGO_ENABLED=0 go build -trimpath -o $bench ./cmd/agentzero-bench
if ! command -v nginx >/dev/null; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		fail "nginx is missing, and only root on Debian can have it installed here: install nginx-light by hand"
	fi
	echo "bench: installing nginx-light" >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends nginx-light >/dev/null ||
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends nginx-light >/dev/null; } ||
		fail "nginx-light could not be installed"
fi
# A stream takes two files in the server between; an idle WebSocket takes one.
files_needed=16000
if [ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -lt $files_needed ]; then
	ulimit -n $files_needed 2>/dev/null || fail "$files_needed open files are needed, but only $(ulimit -Hn) are allowed: raise the hard limit of ulimit -n"
fi

cat >"$work/nginx.conf" <<NGINX
daemon off;
worker_processes auto;
worker_rlimit_nofile 20000;
pid $work/nginx.pid;
error_log stderr;
events { worker_connections 16000; }
http {
	access_log off;
	client_body_temp_path $work;
	proxy_temp_path $work;
	fastcgi_temp_path $work;
	scgi_temp_path $work;
	uwsgi_temp_path $work;
	upstream model { server 127.0.0.1:18701; keepalive 1000; }
	server {
		listen 127.0.0.1:18705 backlog=4096;
		location / {
			proxy_pass http://model;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_buffering off;
		}
	}
}
NGINX
cat >"$work/agentzero.toml" <<TOML
[gateway]
port = 18704
[agent]
provider = "mock"
[providers.mock]
kind = "openai"
base_url = "http://127.0.0.1:18701/v1"
[log]
level = "warn"
TOML

start_all() {
	free 18701 18702 18703 18704 18705
	start upstream $bench upstream
	start floor $bench floor
	start floor-stream $bench floor --variant body-stream --listen 127.0.0.1:18703
	start nginx nginx -c "$work/nginx.conf" -e stderr -p "$work"
	AGENTZERO_GATEWAY_BEARER_TOKEN=$AGENTZERO_BENCH_TOKEN AGENTZERO_GATEWAY__RATE_LIMIT_MAX=0 \
		start agentzero bin/agentzero gateway --config "$work/agentzero.toml" --data-dir "$work/data"
	ready upstream 18701
	ready floor 18702
	ready floor-stream 18703
	ready agentzero 18704
	ready nginx 18705
}

# measure ARGUMENTS...: runs the harness as another process of the same priority.
measure() {
	setsid bash -c '[ "$0" = 0 ] || echo "$0" > /proc/self/autogroup; exec "$@"' "$NICE" $bench "$@" >"$OUT/last.txt" &
	pids+=($!)
	wait $!
}

# Each number of streams meets fresh processes: memory is reckoned from their start.
gateway=http://127.0.0.1:18704
files=()
for n in $STREAMS; do
	start_all
	ramp=2s
	[ "$n" -le 1000 ] || ramp=4s
	measure compare --clients "$n" --rounds "$ROUNDS" --ramp $ramp --warmup 1s --duration "${SECONDS_EACH}s" \
		--vs nginx=http://127.0.0.1:18705 --vs floor=http://127.0.0.1:18702 \
		--vs floor-stream=http://127.0.0.1:18703 --vs agentzero=$gateway --json "$OUT/streams-$n.json"
	files+=("$OUT/streams-$n.json")
	$bench fates $gateway >&2
	stop
done
if [[ " $STREAMS " == *" 500 "* ]]; then
	start_all
	measure compare --clients 500 --sessions answer --rounds "$ROUNDS" --ramp 2s --warmup 1s \
		--duration "${SECONDS_EACH}s" --vs agentzero=$gateway --json "$OUT/sessions.json"
	files+=("$OUT/sessions.json")
	stop
fi
if [ "$WS_SESSIONS" -gt 0 ]; then
	start_all
	measure compare --door idle-ws --sessions client --clients "$WS_SESSIONS" --rounds 1 --ramp 20s --warmup 5s \
		--duration 5s --vs agentzero=$gateway --json "$OUT/idle.json"
	files+=("$OUT/idle.json")
	stop
fi
rm -f "$OUT/last.txt"
$bench compare "${files[@]}" --html "$OUT/report.html" --markdown "$OUT/report.md"
echo "bench: the report is $OUT/report.html and $OUT/report.md"

# The table stands between two marks of RESULTS.md; what people wrote around it stays.
if [ -n "${RESULTS:-}" ]; then
	awk -v table="$OUT/report.md" '
		/^<!-- end of the table -->$/ { within = 0 }
		!within { print }
		/^<!-- table, written by make bench RESULTS=1 -->$/ {
			within = 1
			print ""
			while ((getline line < table) > 0) print line
			print ""
		}' bench/RESULTS.md >"$work/RESULTS.md"
	cp "$work/RESULTS.md" bench/RESULTS.md
	cp "$OUT/report.html" bench/RESULTS.html
	echo "bench: bench/RESULTS.md and RESULTS.html are new; its first table and its words are yours to bring up to date"
fi
