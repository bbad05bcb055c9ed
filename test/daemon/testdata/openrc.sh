# Lays Debian's OpenRC over this machine's files, and makes the gateway its service:
#
#	unshare --mount --pid --fork --mount-proc --kill-child bash openrc.sh BINARY OPENRC DIR
#
# OPENRC is where its packages were unpacked, DIR a folder to mount in. Each step
# prints a line "== NAME" and then what it says. Exit code 77: the machine cannot.
agentzero=$1 openrc=$2 dir=$3
cannot() { echo "$1"; exit 77; }
mount --make-rprivate / || cannot "no private mounts"
mount -t tmpfs layers "$dir" || cannot "no tmpfs"
mkdir "$dir/up" "$dir/work" "$dir/root"
cp -a "$openrc" "$dir/openrc"
for folder in bin sbin lib; do # where Debian has only links
	[ -L /$folder ] && [ -d "$dir/openrc/$folder" ] || continue
	mkdir -p "$dir/openrc/usr/$folder" && cp -a "$dir/openrc/$folder/." "$dir/openrc/usr/$folder" && rm -rf "${dir:?}/openrc/$folder"
done
mount -t overlay overlay -o "lowerdir=$dir/openrc:/,upperdir=$dir/up,workdir=$dir/work" "$dir/root" || cannot "no overlay"
cd "$dir/root" || exit 1
mount -t proc proc proc && mount --rbind /dev dev && mount -t tmpfs run run && mount -t tmpfs tmp tmp || cannot "no mounts"
mkdir -p etc/runlevels/{sysinit,boot,default,nonetwork,shutdown} run/openrc
(cd run/openrc && mkdir started starting stopping inactive wasinactive failed exclusive hotplugged daemons options scheduled tmp && echo default >softlevel)
: >etc/insserv.conf
cp "$agentzero" usr/bin/agentzero

cat >tmp/steps <<'STEPS'
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp
unset NOTIFY_SOCKET
cd /
step() { echo "== $1"; shift; "$@" 2>&1; echo "exit $?"; }
data=(--data-dir "/tmp/the data")
step install agentzero service install --user nobody --demo --port 0 "${data[@]}"
step again agentzero service install --user nobody --demo --port 0 "${data[@]}"
step start agentzero service start
for _ in $(seq 100); do agentzero health "${data[@]}" >/dev/null 2>&1 && break; sleep 0.1; done
step status agentzero service --service-init openrc status
step gateway agentzero status "${data[@]}"
before=$(cat "/tmp/the data/daemon.pid")
step user stat -c %U /proc/"$before"
kill -9 "$before"
for _ in $(seq 100); do
	agentzero health "${data[@]}" >/dev/null 2>&1 && [ "$(cat "/tmp/the data/daemon.pid")" != "$before" ] && break
	sleep 0.1
done
step revived agentzero health "${data[@]}"
step reload rc-service agentzero reload
step stop agentzero service stop
step stopped agentzero service status
step uninstall agentzero service uninstall "${data[@]}"
step left ls "/tmp/the data"
step log tail -n 2 "/tmp/the data/daemon.log"
STEPS
chroot . /bin/bash /tmp/steps
exit 0
