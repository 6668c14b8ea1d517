#!/bin/sh
# The guest's first process: makes it look like a node, runs the payload and powers off.
# The kernel talks on ttyS0, the payload on ttyS1, and its exit code goes to ttyS2.

export PATH=/tools/bin:/bin HOME=/root LD_LIBRARY_PATH=/payload
/tools/bin/busybox --install -s /bin

mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tmpfs none /run
mount -t tmpfs none /tmp
mount -t bpf none /sys/fs/bpf
mount -t cgroup2 none /sys/fs/cgroup
mount -t debugfs none /sys/kernel/debug
mount -t tracefs none /sys/kernel/tracing
mount -t securityfs none /sys/kernel/security

for module in /modules/*.ko; do
  insmod "$module"
done
ip link set lo up

stty -F /dev/ttyS1 raw
cd /payload || exit
./run.sh </dev/null >/dev/ttyS1 2>&1
echo $? >/dev/ttyS2
poweroff -f
