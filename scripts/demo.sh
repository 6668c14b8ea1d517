#!/usr/bin/env bash
# Three network namespaces stand in for pods and send each other real traffic, while the exporter counts it in front of you.
# Ctrl-C removes all of it; what a killed run left is removed at the next start.
set -euo pipefail

binary=$1
port=${PORT:-9969}
pods=(web api db)
uplinks=()
# shellcheck source=scripts/demo-pods.sh
source "$(dirname "$0")/demo-pods.sh"

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

make_pods

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
wait_until_ready "$port" "$exporter"

start_traffic
sleep 11 & jobs+=($!) # until an interval of 5 s has ended that had traffic from its beginning
wait "$!" || true
show_flows
wait "$exporter"
