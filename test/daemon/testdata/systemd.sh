# Boots a user's systemd in this namespace, and makes the gateway its service:
#
#	unshare --mount --pid --fork --mount-proc --cgroup --kill-child \
#		bash systemd.sh BINARY HOME
#
# Each step prints a line "== NAME" and then what it says. Exit code 77: the machine
# cannot do this.
agentzero=$1 home=$2
cannot() { echo "$1"; exit 77; }
mount --make-rprivate / || cannot "no private mounts"
mount -t tmpfs cgroups /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || cannot "no cgroup2"
mount -t tmpfs run /run || cannot "no tmpfs"
mkdir -p /run/systemd/system "/run/user/$(id -u)" && chmod 700 "/run/user/$(id -u)"
group=/sys/fs/cgroup/agentzero-test-$$
mkdir "$group" && echo $$ >"$group/cgroup.procs" || cannot "no cgroup of its own"
export XDG_RUNTIME_DIR=/run/user/$(id -u) HOME=$home
unset XDG_CONFIG_HOME DBUS_SESSION_BUS_ADDRESS NOTIFY_SOCKET
systemd=$(command -v /usr/lib/systemd/systemd || command -v /lib/systemd/systemd) || cannot "no systemd"

"$systemd" --user --log-target=null &
manager=$!
for _ in $(seq 100); do
	systemctl --user list-units >/dev/null 2>&1 && break
	kill -0 $manager 2>/dev/null || cannot "systemd --user does not run here"
	sleep 0.1
done
systemctl --user list-units >/dev/null 2>&1 || cannot "systemd --user does not answer"

step() { echo "== $1"; shift; "$@" 2>&1; echo "exit $?"; }
pid() { systemctl --user show -P MainPID agentzero; }
data=(--data-dir "$home/the data")
step install "$agentzero" service install --demo --port 0 "${data[@]}"
step again "$agentzero" service install --demo --port 0 "${data[@]}"
step enabled systemctl --user is-enabled agentzero
step start "$agentzero" service start
step status "$agentzero" service status
step gateway "$agentzero" status "${data[@]}"
step seccomp grep -E '^(NoNewPrivs|Seccomp):' /proc/"$(pid)"/status
before=$(pid)
step health "$agentzero" health "${data[@]}"
kill -9 "$before"
for _ in $(seq 100); do
	"$agentzero" health "${data[@]}" >/dev/null 2>&1 && [ "$(pid)" != "$before" ] && break
	sleep 0.1
done
step revived "$agentzero" health "${data[@]}"
# A process that hangs is ended by the watchdog and started again.
if [ -n "$WATCHDOG" ]; then
	before=$(pid)
	kill -STOP "$before"
	for _ in $(seq 600); do
		[ "$(pid)" != "$before" ] && "$agentzero" health "${data[@]}" >/dev/null 2>&1 && break
		sleep 0.1
	done
	step unhung "$agentzero" health "${data[@]}"
fi
step restart "$agentzero" service restart
step reload systemctl --user reload agentzero
step stop "$agentzero" service stop
step result systemctl --user show -p Result -p ActiveState agentzero
step stopped "$agentzero" service status
step uninstall "$agentzero" service uninstall "${data[@]}"
step twice "$agentzero" service uninstall "${data[@]}"
step left ls "$home/the data"
step log tail -n 2 "$home/the data/daemon.log"

systemctl --user exit >/dev/null 2>&1
wait $manager
echo $$ >/sys/fs/cgroup/cgroup.procs
find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
exit 0
