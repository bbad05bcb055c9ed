#!/usr/bin/env bash
# gofmt, go vet and staticcheck must be clean. govulncheck must find nothing; but
# where its database cannot be reached, that is told and passed over.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- ./...

unformatted=$(go list -f '{{.Dir}}' "$@" | xargs gofmt -l)
if [ -n "$unformatted" ]; then
	echo "lint: not gofmt'ed:" "$unformatted" >&2
	exit 1
fi
go vet "$@"
go tool staticcheck "$@"
# What a release is built for must compile, whatever machine this is.
for os in darwin windows; do
	GOOS=$os CGO_ENABLED=0 go vet ./cmd/agentzero ./daemon/...
done

# govulncheck exits 3 where it found something, otherwise non-zero where it
# could not look.
status=0
report=$(timeout 300 go tool govulncheck "$@" 2>&1) || status=$?
case $status in
0) ;;
3)
	echo "$report" >&2
	exit 1
	;;
*) echo "lint: govulncheck could not run, known vulnerabilities were NOT checked: $(tail -n 1 <<<"$report")" ;;
esac
echo "lint: clean"
