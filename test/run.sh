#!/usr/bin/env bash
# Runs `go test` with the given arguments and ends with one list of the real
# parts that were missing (AGENTZERO_TEST_SKIPS names the file in which the tests
# leave it) and a last line as go test writes it, PASS or FAIL.
set -uo pipefail
cd "$(dirname "$0")/.."
skips=${AGENTZERO_TEST_SKIPS:?names the file of skipped parts}
mkdir -p "$(dirname "$skips")"
rm -f "$skips"

# -count=1: a cached result would not tell again what it had skipped, and the
# real parts are no input that the cache knows.
go test -count=1 "$@"
status=$?

if [ -n "${RACE_PKG:-}" ]; then
	if command -v "$(go env CC)" >/dev/null; then
		echo
		echo "Once more under the race detector:"
		# shellcheck disable=SC2086 # a list
		go test -count=1 -race -timeout 30m $RACE_PKG || status=1
	elif [ "${REQUIRE_ALL:-}" = 1 ]; then
		echo "a C compiler is missing and REQUIRE_ALL=1: the race detector needs one" >&2
		status=1
	else
		printf 'C compiler\tgo test -race\tthe race detector needs one\n' >>"$skips"
	fi
fi

echo
if [ -s "$skips" ]; then
	echo "SKIPPED because a real part is missing (make deps installs them):"
	sort -u "$skips" | awk -F '\t' '{ printf "  %-14s %s: %s\n", $1, $2, $3 }'
elif [ $status -eq 0 ]; then
	echo "No real part was missing."
fi
[ $status -eq 0 ] && echo PASS || echo FAIL
exit $status
