#!/usr/bin/env bash
# Runs each fuzz target of the given packages for the given time, one after
# another, and stops at the first that finds something.
#
#	test/fuzz.sh 60s ./...
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
shift

found=0
for package in $(go list "$@"); do
	targets=$(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
	for target in $targets; do
		found=$((found + 1))
		echo "fuzz $package $target for $time"
		# Making an input that is merely new smaller is not worth much time.
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 2s "$package"
	done
done
echo "fuzz: $found targets, $time each"
