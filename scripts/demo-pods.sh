# shellcheck shell=bash disable=SC2154 # the demo sets pods
# For demos: network namespaces that stand in for pods, on one bridge. The demo sets pods to their names; pod I of them, from 0, has the address
# 10.99.69.(I + 2). clean_up ends the processes in jobs and removes all of it; what a killed run left is removed by make_pods. There is one demo at a time.

prefix=demo-
claim=/run/podnet-demo.pid
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
	kill "${jobs[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
	remove_pods
	[[ ! $folder ]] || rm -rf "$folder"
	rm -f "$claim"
}

# Ends this demo where another one runs, whose pods have the same names. What a killed demo started may live on, so it is not a lock that they would inherit.
claim_pods() {
	local other lock
	exec {lock}>"$claim.lock"
	flock "$lock"
	other=$(cat "$claim" 2>/dev/null || true)
	if [[ $other ]] && grep -qa 'demo.*\.sh' "/proc/$other/cmdline" 2>/dev/null; then
		echo "Another demo runs, process $other. End it first." >&2
		exit 1
	fi
	echo "$$" >"$claim"
	exec {lock}>&-
}

make_pods() {
	local pod number=1
	if ((EUID != 0)); then
		echo "The demo makes network namespaces and loads BPF programs: run it as root." >&2
		exit 1
	fi
	claim_pods
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	remove_pods
	folder=$(mktemp -d)
	ip link add "br-${prefix%-}" type bridge
	ip link set "br-${prefix%-}" up
	for pod in "${pods[@]}"; do
		number=$((number + 1))
		ip netns add "$prefix$pod"
		ip link add "veth-$prefix$pod" type veth peer name eth0 netns "$prefix$pod"
		ip link set "veth-$prefix$pod" master "br-${prefix%-}" up
		ip -n "$prefix$pod" addr add "10.99.69.$number/24" dev eth0
		ip -n "$prefix$pod" link set lo up
		ip -n "$prefix$pod" link set eth0 up
	done
}

in_pod() {
	local pod=$1
	shift
	exec ip netns exec "$prefix$pod" "$@"
}

# web asks api for 20 Mbit/s over TCP, api sends db 2 Mbit/s in datagrams, db pings web.
start_traffic() {
	in_pod api iperf3 --server >/dev/null 2>&1 & jobs+=($!)
	in_pod db iperf3 --server >/dev/null 2>&1 & jobs+=($!)
	sleep 1 # iperf3 says nothing when it is ready
	in_pod web iperf3 --client 10.99.69.3 --time 0 --bitrate 20M --reverse >/dev/null 2>&1 & jobs+=($!)
	in_pod api iperf3 --client 10.99.69.4 --time 0 --bitrate 2M --udp >/dev/null 2>&1 & jobs+=($!)
	in_pod db ping -q -i 0.2 10.99.69.2 >/dev/null 2>&1 & jobs+=($!)
}

# wait_until_ready PORT PROCESS: the exporter, which writes its log to the terminal.
wait_until_ready() {
	local patience=${PATIENCE:-60} ends
	ends=$((SECONDS + patience))
	until curl -sf "localhost:$1/readyz" >/dev/null; do
		if ! kill -0 "$2" 2>/dev/null || ((SECONDS > ends)); then
			echo "The exporter ended, or was not ready within $patience s; its log is above." >&2
			exit 1
		fi
		sleep 0.2
	done
}
