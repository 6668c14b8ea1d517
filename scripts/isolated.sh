#!/usr/bin/env bash
# isolated.sh COMMAND...: runs it in a network namespace of its own, with nothing but a loopback interface, and with its own places
# for named namespaces and /sys. However it ends, nothing of it is left on the machine.
set -euo pipefail

# shellcheck disable=SC2016 # the inner shell expands it
exec unshare --net --mount -- sh -c '
	mount -t sysfs sysfs /sys &&
	mkdir -p /run/netns &&
	mount -t tmpfs tmpfs /run/netns &&
	ip link set lo up &&
	exec "$@"' sh "$@"
