#!/bin/bash
# Runs in the guest: tries every feature of the exporter on its kernel, and prints a line for each:
# "feature NAME ok|failed|absent DETAIL". Other lines explain a failure.
set -u

# Its programs come before busybox's of the same names.
export PATH=/payload/bin:$PATH
exporter=/payload/podnet-exporter
# shellcheck disable=SC2054 # the commas are setpriv's
unprivileged=(/payload/bin/setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs
  --inh-caps=-all,+bpf,+perfmon,+net_admin --ambient-caps=-all,+bpf,+perfmon,+net_admin
  --bounding-set=-all,+bpf,+perfmon,+net_admin)
url=http://127.0.0.1:9969
log=/tmp/log page=/tmp/page exit_code=/tmp/exit-code

# There is never more than one pod. Its name is its namespace's; $host is the host's end of its pair.
pod=pod host=host0

# What the interface had counted when the exporter began to.
base=(0 0 0 0)

main() {
  # Packets that the pod's end drops have no known size: only without them the bytes can be compared.
  sysctl -q net.core.netdev_max_backlog=100000
  mkdir -p /tmp/empty && cd /tmp/empty || exit

  hooks=(clsact)
  [[ $("$exporter" check) != *"tcx will be used"* ]] || hooks=(tcx clsact)

  iperf3 --server >/dev/null 2>&1 &
  wait_for 10 is_serving on_host || echo "the host's server does not listen after 10 s"

  try check check
  try start start
  # The kernel charges BPF's memory to the user, before 5.11; feature `start` is about that.
  ulimit -l unlimited
  try traffic-tcx traffic tcx
  try traffic-clsact traffic clsact
  # Both hooks see the same packets: for these one is enough, the one that is used where none is asked for.
  try offload offload auto
  try vlan vlan auto
  try sctp sctp auto
  try netkit netkit auto
  try percpu percpu auto
  try kill on_each_hook kill_and_restart
  try unload on_each_hook unload
}

# try NAME COMMAND...: the command prints the feature's detail and ends with ok, `fail` or `absent`.
try() {
  local name=$1 detail status result=failed
  shift
  # Not in a condition, which would switch `set -e` off inside.
  detail=$(set -e; "$@" 2>/tmp/errors)
  status=$?
  [[ $status != 0 ]] || result=ok
  [[ $status != 2 ]] || result=absent
  echo "feature $name $result ${detail//$'\n'/; }"
  if [[ $result == failed ]]; then
    cat /tmp/errors "$log" 2>/dev/null | tail -n 20
    # What is zero says nothing, and the sizes are many.
    grep '^podnet_' "$page" | grep -vE '_bucket| 0$'
  fi

  killall -q -KILL podnet-exporter
  remove_pod
  rm -f "$log" "$page"
}

fail() {
  echo "$*"
  exit 1
}

absent() {
  echo "$*"
  exit 2
}

on_each_hook() {
  local hook
  for hook in "${hooks[@]}"; do
    "$1" "$hook"
  done
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

## The exporter

start_exporter() {
  rm -f "$exit_code"
  (
    status=0
    "${unprivileged[@]}" "$exporter" --Drain:Interval=00:00:00.1 --Attach:CheckInterval=00:00:01 "$@" >>"$log" 2>&1 || status=$?
    echo "$status" >"$exit_code"
  ) >/dev/null 2>&1 &
  wait_for 20 fetch readyz || fail "not ready after 20 s"
}

fetch() {
  wget -q -T 5 -O "$page" "$url/$1" 2>/dev/null
}

# It was content all the time: a warning is a failure.
stop_exporter() {
  fetch metrics || fail "metrics cannot be read"
  kill -TERM "$(pidof podnet-exporter)"
  wait_for 10 test -s "$exit_code" || fail "not stopped after 10 s"
  [[ $(<"$exit_code") == 0 ]] || fail "exit code $(<"$exit_code") after SIGTERM"
  ! grep -qE ' (warn|fail|crit): ' "$log" || fail "$(grep -m1 -oE '(warn|fail|crit): .*' "$log")"
}

kill_exporter() {
  kill -KILL "$(pidof podnet-exporter)"
  wait_for 10 test -s "$exit_code" || fail "not gone 10 s after SIGKILL"
}

is_attached() {
  fetch metrics && grep -qFx 'podnet_exporter_interfaces{state="attached"} 1' "$page"
}

# Without its programs there can be no link, and without its filters nothing of clsact.
nothing_is_left() {
  bpftool prog show >/tmp/programs && ! grep -q podnet_ /tmp/programs &&
    bpftool map show >/tmp/maps && ! grep -q traffic_ /tmp/maps &&
    [[ -z $(filters) ]]
}

filters() {
  tc filter show dev "$host" ingress 2>/dev/null
  tc filter show dev "$host" egress 2>/dev/null
}

# has_filters INGRESS EGRESS: that many of the exporter's.
has_filters() {
  [[ $(filters | grep -c 'podnet_transmit:\[') == "$1" && $(filters | grep -c 'podnet_receive:\[') == "$2" ]]
}

## The pod

# begin HOOK [TYPE...]: the exporter and a pod, the type of whose pair is veth unless given. It is attached before it is up, so
# that totals can be compared as they are.
begin() {
  local hook=$1
  shift
  start_exporter "--Attach:Hook=$hook"
  add_pod "${@:-veth}"
}

end() {
  stop_exporter
  remove_pod
}

add_pod() {
  ip netns add "$pod"
  ip link add "$host" type "$@" peer name eth0 netns "$pod"
  wait_for 10 is_attached || fail "the interface is not attached after 10 s"

  ip addr add 10.0.0.1/24 dev "$host"
  ip addr add fd00::1/64 dev "$host" nodad
  in_pod ip addr add 10.0.0.2/24 dev eth0
  in_pod ip addr add fd00::2/64 dev eth0 nodad
  in_pod ip link set lo up
  in_pod ip link set eth0 up
  ip link set "$host" up
  in_pod iperf3 --server >/dev/null 2>&1 &
  wait_for 10 is_serving in_pod || fail "the pod's server does not listen after 10 s"
}

remove_pod() {
  local pids
  ip netns list | grep -q . || return 0
  pids=$(ip netns pids "$pod")
  # shellcheck disable=SC2086 # a list
  [[ -z $pids ]] || kill -KILL $pids
  ip link delete "$host" 2>/dev/null
  ip netns delete "$pod"
}

in_pod() {
  ip netns exec "$pod" "$@"
}

on_host() {
  "$@"
}

# is_serving on_host|in_pod
is_serving() {
  "$1" ss -Hltn 'sport = 5201' | grep -q .
}

## Traffic

# send on_host|in_pod ADDRESS OPTION...: to the server at the other end.
send() {
  local from=$1 deadline=$((SECONDS + 10))
  shift
  until "$from" timeout 20 iperf3 --client "$@" >/tmp/iperf3 2>&1; do
    # It may not have done with the client before.
    if ! grep -q 'server is busy' /tmp/iperf3 || ((SECONDS >= deadline)); then
      fail "iperf3 $*: $(tail -n 1 /tmp/iperf3)"
    fi
    sleep 0.05
  done
}

# both_ways PREFIX OPTION...: of the addresses, of which the host has number 1 and the pod 2. Not with iperf3's --reverse, which
# waits for every datagram to come.
both_ways() {
  send on_host "$1"2 "${@:2}"
  send in_pod "$1"1 "${@:2}"
}

# Packets and bytes that the pod transmitted, packets and bytes that it received.
interface_counted() {
  local at=/sys/class/net/$host/statistics rx_packets rx_bytes tx_packets tx_bytes tx_dropped name
  for name in rx_packets rx_bytes tx_packets tx_bytes tx_dropped; do
    read -r "${name?}" <"$at/$name"
  done
  echo $((rx_packets - base[0])) $((rx_bytes - base[1])) $((tx_packets + tx_dropped - base[2])) $((tx_bytes - base[3]))
}

exporter_counted() {
  echo "$(total transmit packets) $(total transmit bytes) $(total receive packets) $(total receive bytes)"
}

# total DIRECTION UNIT [TRANSPORT]
total() {
  awk -v family="podnet_$1_$2_total{" -v pod="pod=\"$pod\"" -v transport="transport=\"${3:-}" '
    index($1, family) == 1 && index($1, pod) && index($1, transport) { sum += $NF }
    END { printf "%.0f\n", sum }
  ' "$page"
}

# What adds to the totals without being in them, and what should have been the same: nothing, if all is well.
contradictions() {
  awk -v pod="pod=\"$pod\"" '
    /^podnet_exporter_(lost|unattributed)_|^podnet_exporter_(attach|drain)_errors_total/ && $NF > 0
    /^podnet_exporter_interfaces.*(failed|shadowed)/ && $NF > 0
    /^podnet_transmit_segments_total/ && index($1, pod) { segments["transmit"] += $NF }
    /^podnet_receive_segments_total/ && index($1, pod) { segments["receive"] += $NF }
    /^podnet_packet_size_bytes_count/ && index($1, pod) { sizes[$1 ~ /direction="transmit"/ ? "transmit" : "receive"] = $NF }
    END {
      for (direction in sizes)
        if (sizes[direction] != segments[direction]) print sizes[direction] " sizes of " segments[direction] " segments: " direction
    }
  ' "$page"
}

is_exact() {
  fetch metrics && [[ $(exporter_counted) == "$(interface_counted)" && -z $(contradictions) ]]
}

# Everything that has been sent is counted a drain later, and the interface's counters do not move any more then.
expect_exact() {
  wait_for 5 is_exact ||
    fail "$*: transmitted packets and bytes, received packets and bytes are $(exporter_counted), of the interface $(interface_counted). $(contradictions)"
}

expect_transports() {
  local transport direction
  for transport in "$@"; do
    for direction in transmit receive; do
      (($(total "$direction" packets "$transport") >= 10)) || fail "$direction of $transport is not counted"
    done
  done
}

# summary [LABEL]
summary() {
  local counted
  read -ra counted <<<"$(exporter_counted)"
  echo "${1:+$1 }$((counted[0] + counted[2])) packets $(((counted[1] + counted[3]) / 1000000)) MB"
}

## Features

check() {
  "$exporter" check >/tmp/check 2>&1 || fail "exit code $?: $(tail -n 1 /tmp/check)"
  sed -n 's/^hook  *//p' /tmp/check
}

start() {
  local detail="uid 65534" from to
  if ! "${unprivileged[@]}" "$exporter" check >/tmp/check 2>&1; then
    grep -q RLIMIT_MEMLOCK /tmp/check || fail "check as uid 65534: $(tail -n 1 /tmp/check)"
    detail+=", which needs RLIMIT_MEMLOCK ($(ulimit -l) KiB here) raised"
    ulimit -l unlimited
  fi
  read -r from _ </proc/uptime
  start_exporter
  read -r to _ </proc/uptime
  grep -qE '^Uid:\s+65534' "/proc/$(pidof podnet-exporter)/status" || fail "does not run as uid 65534"
  # CAP_NET_ADMIN is bit 12, CAP_PERFMON 38, CAP_BPF 39.
  grep -qE '^CapEff:\s+000000c000001000' "/proc/$(pidof podnet-exporter)/status" || fail "has other capabilities than its three"
  fetch healthz || fail "/healthz is not well"
  stop_exporter
  echo "$detail, ready after $(awk "BEGIN { print $to - $from }") s"
}

traffic() {
  local hook=$1
  [[ " ${hooks[*]} " == *" $hook "* ]] || absent "this kernel has no $hook"
  begin "$hook"
  both_ways 10.0.0. --bytes 50M
  both_ways fd00:: --bytes 20M
  expect_exact TCP
  both_ways 10.0.0. --udp --bitrate 0 --length 1000 --bytes 5M
  both_ways fd00:: --udp --bitrate 0 --length 200 --bytes 1M
  expect_exact UDP
  # In fragments.
  both_ways 10.0.0. --udp --bitrate 0 --length 8000 --bytes 5M
  both_ways fd00:: --udp --bitrate 0 --length 8000 --bytes 2M
  expect_exact fragments
  ping -q -c 20 -i 0.01 -s 2000 10.0.0.2 >/dev/null
  in_pod ping6 -q -c 20 -i 0.01 fd00::1 >/dev/null
  expect_exact ICMP
  expect_transports tcp udp icmp
  summary
  end
}

# What the interface would have cut, had it been asked to, is cut by the kernel after TC, and the interface counts the pieces.
offload() {
  begin "$1"
  ethtool -K "$host" tso off gso off >/dev/null
  both_ways 10.0.0. --bytes 20M
  both_ways fd00:: --bytes 5M
  expect_exact TCP
  both_ways 10.0.0. --udp --bitrate 0 --length 8000 --bytes 5M
  expect_exact fragments
  both_ways 10.0.0. --sctp --bytes 2M
  expect_exact SCTP
  # SCTP's large packets are lists of packets, which are cut where the interface cannot take lists.
  ethtool -K "$host" tso on gso on sg off >/dev/null
  both_ways 10.0.0. --bytes 5M
  both_ways 10.0.0. --sctp --bytes 2M
  expect_exact "TCP and SCTP without scatter-gather"
  summary
  end
}

# A tag travels beside the frame until an interface without the offload puts it in: the pod's end before TC, the host's end
# after it.
vlan() {
  local pod_end host_end
  begin "$1"
  ip link add link "$host" name vlan5 type vlan id 5
  in_pod ip link add link eth0 name vlan5 type vlan id 5
  ip addr add 10.0.5.1/24 dev vlan5
  in_pod ip addr add 10.0.5.2/24 dev vlan5
  in_pod ip link set vlan5 up
  ip link set vlan5 up
  for host_end in on off; do
    for pod_end in on off; do
      ethtool -K "$host" tx-vlan-offload "$host_end" >/dev/null
      in_pod ethtool -K eth0 tx-vlan-offload "$pod_end" >/dev/null
      both_ways 10.0.5. --bytes 5M
      both_ways 10.0.5. --udp --bitrate 0 --length 1000 --bytes 1M
      expect_exact "tx-vlan-offload $pod_end at the pod's end, $host_end at the host's"
    done
  done
  expect_transports tcp udp
  summary
  end
}

sctp() {
  begin "$1"
  both_ways 10.0.0. --sctp --bytes 5M
  both_ways fd00:: --sctp --bytes 2M
  expect_exact SCTP
  expect_transports sctp
  summary
  end
}

netkit() {
  local mode
  ip link add probe0 type netkit 2>/tmp/errors || absent "this kernel has no netkit: $(head -n 1 /tmp/errors)"
  ip link delete probe0
  for mode in l2 l3; do
    begin "$1" netkit mode "$mode"
    both_ways 10.0.0. --bytes 20M
    both_ways 10.0.0. --udp --bitrate 0 --length 1000 --bytes 2M
    both_ways fd00:: --bytes 5M
    ping -q -c 20 -i 0.01 10.0.0.2 >/dev/null
    expect_exact "$mode"
    expect_transports tcp udp icmp
    summary "$mode"
    end
  done
}

# A drain deletes the interface's entry, and the next packet makes a new one on its CPU: the other CPUs' parts have to be zero.
percpu() {
  local cpu round
  begin "$1"
  for round in 1 2; do
    for cpu in 0 1; do
      both_ways 10.0.0. --affinity "$cpu,$cpu" --bytes 2M
      both_ways 10.0.0. --affinity "$cpu,$cpu" --udp --bitrate 0 --length 100 --bytes 200K
      expect_exact "CPU $cpu, round $round"
    done
  done
  summary
  end
}

# A killed exporter leaves its filters with clsact, whichever hook the next one uses.
kill_and_restart() {
  local hook=$1
  begin clsact
  both_ways 10.0.0. --bytes 1M
  expect_exact "before SIGKILL"
  kill_exporter
  has_filters 1 1 || fail "there is no filter to find after SIGKILL"
  both_ways 10.0.0. --bytes 1M

  # Down, so that no packet comes between reading the base and attaching.
  ip link set "$host" down
  read -ra base <<<"$(interface_counted)"
  start_exporter "--Attach:Hook=$hook"
  wait_for 10 is_attached || fail "not attached again after SIGKILL"
  ip link set "$host" up
  both_ways 10.0.0. --bytes 1M
  expect_exact "$hook after SIGKILL"
  case $hook in
    clsact) has_filters 1 1 ;;
    tcx) has_filters 0 0 ;;
  esac || fail "filters after the restart with $hook: $(filters)"
  stop_exporter
  wait_for 5 nothing_is_left || fail "left after $hook: $(filters) $(grep podnet_ /tmp/programs)"
  remove_pod
  base=(0 0 0 0)
  echo "clsact, then $hook"
}

unload() {
  begin "$1"
  both_ways 10.0.0. --bytes 1M
  expect_exact "$1"
  ! nothing_is_left || fail "what is there while it runs cannot be seen"
  stop_exporter
  wait_for 5 nothing_is_left || fail "left with $1: $(filters) $(grep podnet_ /tmp/programs) $(grep traffic_ /tmp/maps)"
  remove_pod
  echo "$1"
}

main
