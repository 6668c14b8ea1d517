#!/usr/bin/env bash
# Three network namespaces stand in for pods and send each other real traffic, while the exporter counts it in front of you.
# Ctrl-C removes all of it; what a killed run left is removed at the next start.
set -euo pipefail

binary=$1
port=${PORT:-9969}
pods=(web api db)
prefix=demo-
uplinks=()
jobs=()
folder=

remove_pods() {
	local pod
	for pod in "${pods[@]}"; do
		ip netns delete "$prefix$pod" 2>/dev/null || true
		ip link delete "veth-$prefix$pod" 2>/dev/null || true
	done
	ip link delete "br-${prefix%-}" 2>/dev/null || true
}

clean_up() {
	trap - EXIT INT TERM
	((${#jobs[@]})) && kill "${jobs[@]}" 2>/dev/null
	wait 2>/dev/null || true
	remove_pods
	[[ ! $folder ]] || rm -rf "$folder"
}

in_pod() {
	local pod=$1
	shift
	exec ip netns exec "$prefix$pod" "$@"
}

# Prints the last interval's records, and the edges with the most bytes.
show_flows() {
	echo
	echo "Who talks to whom, of the last interval:"
	echo
	"$binary" flows "--url=http://localhost:$port" || true
	echo
	echo "And in total, by workload and peer (bytes both ways):"
	echo
	curl -s "localhost:$port/metrics" | awk '
		/^podnet_edge_(transmit|receive)_bytes_total/ {
			match($0, / workload="[^"]*|,workload="[^"]*/)
			workload = substr($0, RSTART + 11, RLENGTH - 11)
			match($0, /,peer="[^"]*/)
			bytes[workload " " substr($0, RSTART + 7, RLENGTH - 7)] += $NF
		}
		END { for (edge in bytes) print bytes[edge], edge }' | sort -rn | head -n 8 | awk '{ printf "  %-12s %-16s %14d\n", $2, $3, $1 }'
	echo
}

if ((EUID != 0)); then
	echo "The demo makes network namespaces and loads BPF programs: run it as root." >&2
	exit 1
fi
remove_pods
trap clean_up EXIT INT TERM
folder=$(mktemp -d)

ip link add "br-${prefix%-}" type bridge
ip link set "br-${prefix%-}" up
number=1
for pod in "${pods[@]}"; do
	number=$((number + 1))
	ip netns add "$prefix$pod"
	ip link add "veth-$prefix$pod" type veth peer name eth0 netns "$prefix$pod"
	ip link set "veth-$prefix$pod" master "br-${prefix%-}" up
	ip -n "$prefix$pod" addr add "10.99.69.$number/24" dev eth0
	ip -n "$prefix$pod" link set lo up
	ip -n "$prefix$pod" link set eth0 up
done

# The machine's own uplinks, by tcx alone: clsact would leave a qdisc on them.
also=
if [[ $("$binary" check 2>/dev/null) =~ (^|$'\n')tcx\ +yes ]]; then
	uplinks=(--Uplinks:Interfaces=auto)
	also="The interfaces of this machine's default routes, if it has any, are counted by class:

  curl -s localhost:$port/metrics | grep ^podnet_uplink_receive_packets_total

"
fi

cat <<EOF

Three pods (${pods[*]/#/$prefix}) send each other TCP, UDP and ICMP.

  http://localhost:$port/metrics

  curl -s localhost:$port/metrics | grep ^podnet_transmit_bytes_total

Their flows are counted, too, and recorded in $folder/flows.json:

  $binary flows --follow

${also}Ctrl-C stops it and removes everything.

EOF
# Nothing is to outlive the demo. It counts before the pods connect: their handshakes are seen, too.
flows=(--Flows:Enabled=true --Flows:Interval=00:00:05 --Edges:Level=workload --Edges:Classes=pods=10.99.69.0/24 --Export:Sinks=file "--File:Path=$folder/flows.json")
"$binary" --Bpf:PinDirectory= "--Server:Urls=http://*:$port" "${flows[@]}" "${uplinks[@]}" & exporter=$!
jobs+=("$exporter")
until curl -sf "localhost:$port/readyz" >/dev/null; do
	kill -0 "$exporter"
	sleep 0.2
done

# web asks api for 20 Mbit/s over TCP, api tells db 2 Mbit/s in datagrams, db pings web.
in_pod api iperf3 --server >/dev/null 2>&1 & jobs+=($!)
in_pod db iperf3 --server >/dev/null 2>&1 & jobs+=($!)
sleep 1 # iperf3 says nothing when it is ready
in_pod web iperf3 --client 10.99.69.3 --time 0 --bitrate 20M --reverse >/dev/null 2>&1 & jobs+=($!)
in_pod api iperf3 --client 10.99.69.4 --time 0 --bitrate 2M --udp >/dev/null 2>&1 & jobs+=($!)
in_pod db ping -q -i 0.2 10.99.69.2 >/dev/null 2>&1 & jobs+=($!)
sleep 11 & jobs+=($!) # until an interval of 5 s has ended that had traffic from its beginning
wait "$!" || true
show_flows
wait "$exporter"
