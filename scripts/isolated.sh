#!/usr/bin/env bash
# isolated.sh COMMAND...: runs it in a network namespace of its own, with nothing but a loopback interface, and with its own places
# for named namespaces and /sys. However it ends, its interfaces and namespaces end with it.
set -euo pipefail

# shellcheck disable=SC2016 # the inner shell expands it
exec unshare --net --mount -- sh -c '
	mount -t sysfs sysfs /sys &&
	mkdir -p /run/netns &&
	mount -t tmpfs tmpfs /run/netns &&
	ip link set lo up &&
	exec "$@"' sh "$@"
