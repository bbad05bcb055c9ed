#!/usr/bin/env bash
# Builds a release into dist/: static binaries in archives, deb and rpm packages, a
# list of all that is in them (SBOM, CycloneDX), and the checksums of everything.
#
#	release/build.sh            all targets
#	TARGETS="linux/amd64" release/build.sh
#
# VERSION is the version (default: git describe). The same commit gives the same
# archives: no time but the commit's is in them.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
read -ra targets <<<"${TARGETS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64}"
# The tools, at the versions that make the release what it is.
sbom=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
# Later ones build their rpm by modules that not every proxy of modules has.
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4
dist=$PWD/dist work=$PWD/dist/.work

main() {
	rm -rf "$dist" && mkdir -p "$work"
	manual
	local target
	for target in "${targets[@]}"; do
		build "${target%/*}" "${target#*/}"
		archive "${target%/*}" "${target#*/}"
		[ "${target%/*}" != linux ] || packages "${target#*/}"
	done
	bill_of_materials
	rm -rf "$work"
	(cd "$dist" && sha256sum -- * >SHA256SUMS && sha256sum --quiet -c SHA256SUMS)
	echo "release: $version"
	(cd "$dist" && ls -l)
}

# manual makes the pages and the completions with the program itself.
manual() {
	go build -o "$work/host" ./cmd/agentzero
	"$work/host" man "$work/man" >/dev/null
	gzip -9n "$work"/man/*.1
	mkdir "$work/completions"
	local shell
	for shell in bash zsh fish; do "$work/host" completion $shell >"$work/completions/agentzero.$shell"; done
}

build() {
	local os=$1 arch=$2 suffix=
	[ "$os" != windows ] || suffix=.exe
	echo "release: $os/$arch"
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath \
		-ldflags "-s -w -X main.version=$version -X main.commit=$commit" \
		-o "$work/$os-$arch/agentzero$suffix" ./cmd/agentzero
}

archive() {
	local os=$1 arch=$2 name=agentzero_${version}_$1_$2
	mkdir "$work/$name"
	cp "$work/$os-$arch"/agentzero* LICENSE README.md CHANGELOG.md "$work/$name"
	if [ "$os" = windows ]; then
		find "$work/$name" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
		(cd "$work" && find "$name" -type f | sort | TZ=UTC zip -qX "$dist/$name.zip" -@)
	else
		cp -r "$work/man" "$work/completions" "$work/$name"
		tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" |
			gzip -9n >"$dist/$name.tar.gz"
	fi
}

packages() {
	local format
	for format in deb rpm; do
		VERSION=$(package_version) ARCH=$1 WORK=$work go run "$nfpm" package \
			--config release/nfpm.yaml --packager $format --target "$dist" >/dev/null
	done
}

# package_version is the version as package managers order it; what is no version
# comes before all that are.
package_version() {
	case $version in
	v[0-9]* | [0-9]*.*.*) echo "${version#v}" ;;
	*) echo "0.0.0~$version" ;;
	esac
}

bill_of_materials() {
	go run "$sbom" app -json -output "$dist/agentzero_${version}_sbom.cdx.json" -main cmd/agentzero .
}

main
