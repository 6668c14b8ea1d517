#!/bin/bash
# Runs in the guest: tries every feature of the exporter on its kernel, and prints a line for each:
# "feature NAME ok|failed|absent DETAIL". Other lines explain a failure.
set -u

# Its programs come before busybox's of the same names.
export PATH=/payload/bin:$PATH
exporter=/payload/podnet-exporter earlier=/payload/earlier-exporter
# shellcheck disable=SC2054 # the commas are setpriv's
unprivileged=(/payload/bin/setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs
  --inh-caps=-all,+bpf,+perfmon,+net_admin --ambient-caps=-all,+bpf,+perfmon,+net_admin
  --bounding-set=-all,+bpf,+perfmon,+net_admin)
url=http://127.0.0.1:9969
pins=/sys/fs/bpf/podnet
log=/tmp/log page=/tmp/page mark=/tmp/mark pid=/tmp/pid exit_code=/tmp/exit-code

# There is never more than one pod. Its name is its namespace's; $host is the host's end of its pair.
pod=pod host=host0

# What the interface had counted when the exporter began to.
base=(0 0 0 0)

own_maps='traffic_|flows_|handshake|netns_found|podnet_ledger|uplink'

# Debian's kernels start with 3, with which only CAP_SYS_ADMIN may use kprobes.
kprobe_paranoia=2

# What the handshakes have to be: lines "POD ROLE MICROSECONDS".
known=/tmp/known
# What the tracepoints tell of failures when some time has passed.
owed=/tmp/owed
# Whether the exporters and the pod are left to the next feature.
shared=

main() {
  # Packets that the pod's end drops have no known size: only without them the bytes can be compared.
  sysctl -q net.core.netdev_max_backlog=100000
  mkdir -p /tmp/empty && cd /tmp/empty || exit

  hooks=(clsact)
  [[ $("$exporter" check) != *"tcx will be used"* ]] || hooks=(tcx clsact)

  iperf3 --server >/dev/null 2>&1 &
  serve_connections on_host >/dev/null 2>&1
  wait_for 10 is_serving on_host || echo "the host's servers do not listen after 10 s"

  try check check
  try start start
  # The kernel charges BPF's memory to the user, before 5.11; feature `start` is about that, and about this.
  ulimit -l unlimited
  sysctl -q "kernel.perf_event_paranoid=$kprobe_paranoia"
  try traffic-tcx traffic tcx
  try traffic-clsact traffic clsact
  # Both hooks see the same packets: for these one is enough, the one that is used where none is asked for.
  try offload offload auto
  try vlan vlan auto
  try sctp sctp auto
  try netkit netkit auto
  try flows flows
  try percpu percpu auto
  try map-full map_full
  try handshake-kprobe handshakes kprobe
  try handshake-tracepoint handshakes tracepoint
  # These share a pod and two exporters, one with each hook.
  shared=yes
  try handshake-failures handshake_failures
  try handshake-delay handshake_delay
  try handshake-crossed handshake_crossed
  try handshake-redirected handshake_redirected
  shared=
  try handshake-agree handshake_agree
  try kill on_each_hook kill_and_restart
  try continuity continuity "${hooks[0]}"
  try clock clock "${hooks[0]}"
  try unload on_each_hook unload
  try uplink uplink
  try uplink-bond uplink_bond
  try upgrade on_each_hook upgrade
}

# try NAME COMMAND...: unless /payload/features lacks the name, runs the command, which prints the feature's detail and ends with ok, `fail` or `absent`.
try() {
  local name=$1 detail status killed result=failed
  shift
  grep -qFx "$name" /payload/features || return 0
  echo "trying $name"
  # Not in a condition, which would switch `set -e` off inside.
  detail=$(set -e; "$@" 2>/tmp/errors)
  status=$?
  [[ $status != 0 ]] || result=ok
  [[ $status != 2 ]] || result=absent
  echo "feature $name $result ${detail//$'\n'/; }"
  if [[ $result == failed ]]; then
    cat /tmp/errors "$log"* 2>/dev/null | tail -n 40
    # What is zero says nothing, and the sizes are many.
    grep '^podnet_' "$page"* | grep -vE '_bucket| 0$'
  fi
  [[ ! $shared || $result == failed ]] || return

  killall -q -KILL podnet-exporter
  # Its exit code is not to come when the next one is there.
  for killed in "$pid"*; do
    [[ ! -e $killed ]] || wait_for 10 test -s "${killed/"$pid"/"$exit_code"}"
  done
  remove_pod
  rm -f "$log"* "$page"* "$pid"* "$owed"
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

# wait_for SECONDS COMMAND...: until it succeeds. The seconds are plenty for an idle machine; a busy one gets ten times as many.
wait_for() {
  local deadline=$((SECONDS + 10 * $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

## The exporter

start_exporter() {
  launch_exporter "$@"
  wait_for 20 fetch readyz || fail "not ready after 20 s"
}

# How often it compares itself with the interfaces; the earlier binary has another name for that.
interval_option=--Attach:CoverageInterval

# Without pins, unless they are asked for: all else ends with the process then.
launch_exporter() {
  rm -f "$exit_code" "$pid"
  (
    status=0
    "${unprivileged[@]}" "$exporter" --Drain:Interval=00:00:00.1 "$interval_option=00:00:01" --Bpf:PinDirectory= "$@" >>"$log" 2>&1 &
    echo $! >"$pid"
    wait $! || status=$?
    echo "$status" >"$exit_code"
  ) >/dev/null 2>&1 &
  wait_for 10 test -s "$pid" || fail "not started after 10 s"
}

fetch() {
  wget -q -T 5 -O "$page" "$url/$1" 2>/dev/null
}

# It was content all the time: a warning is a failure.
stop_exporter() {
  fetch metrics || fail "metrics cannot be read"
  kill -TERM "$(<"$pid")"
  wait_for 10 test -s "$exit_code" || fail "not stopped after 10 s"
  [[ $(<"$exit_code") == 0 ]] || fail "exit code $(<"$exit_code") after SIGTERM"
  ! grep -qE ' (warn|fail|crit): ' "$log" || fail "$(grep -m1 -oE '(warn|fail|crit): .*' "$log")"
}

kill_exporter() {
  kill -KILL "$(<"$pid")"
  wait_for 10 test -s "$exit_code" || fail "not gone 10 s after SIGKILL"
}

is_attached() {
  fetch metrics && grep -qFx 'podnet_exporter_interfaces{state="attached"} 1' "$page"
}

# Without its programs there can be no link, and without its filters nothing of clsact. Nobody else has kprobes here.
nothing_is_left() {
  bpftool prog show >/tmp/programs && ! grep -q podnet_ /tmp/programs &&
    bpftool map show >/tmp/maps && ! grep -qE "$own_maps" /tmp/maps &&
    [[ -z $(filters) && -z $(</sys/kernel/debug/kprobes/list) ]]
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
  local from=$1 deadline=$((SECONDS + 100))
  shift
  until "$from" timeout 200 iperf3 --client "$@" >/tmp/iperf3 2>&1; do
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

# What adds to the totals without being in them, and what should have been the same: nothing, if all is well. The kernel may leave a
# handshake's program out once (reinforce), which is no packet.
contradictions() {
  awk -v pod="pod=\"$pod\"" '
    /^podnet_exporter_(lost|unattributed)_|^podnet_exporter_(attach|drain)_errors_total/ && !/reason="missed"/ && $NF > 0
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

## Handshakes

# The exporter's hook, by the page.
handshake_hook() {
  sed -n 's/^podnet_exporter_hook_info{kind="handshake",hook="\(.*\)"} 1$/\1/p' "$page"
}

# Of the exporter that has this hook, where there are two. of HOOK COMMAND...
of() {
  local hook=$1 url=http://127.0.0.1:9969
  local log=$log-$hook page=$page-$hook mark=$mark-$hook pid=$pid-$hook exit_code=$exit_code-$hook
  [[ $hook == kprobe ]] || url=http://127.0.0.1:9970
  shift
  "$@"
}

of_each() {
  of kprobe "$@"
  of tracepoint "$@"
}

# From here on everything counts, or what is already counted does not.
set_mark() {
  fetch metrics || fail "metrics cannot be read"
  cp "$page" "$mark"
}

begin_both() {
  local other buckets
  if [[ ! -e $exit_code-tracepoint && -e $pid-tracepoint ]] && ip netns list | grep -q .; then
    of_each set_mark
    return
  fi
  # No bound where one of the two could see a duration a microsecond below and the other above.
  buckets='0.0002;0.0005;0.001;0.002;0.005;0.01;0.02;0.05;0.1;0.2;0.7;5'
  of kprobe start_exporter --Handshake:Hook=kprobe --Handshake:Buckets="$buckets" &
  other=$!
  of tracepoint start_exporter --Handshake:Hook=tracepoint --Handshake:Buckets="$buckets" --Server:Urls=http://127.0.0.1:9970 --Attach:Priority=11
  wait "$other" || exit
  of kprobe add_pod veth
  of tracepoint wait_for 10 is_attached || fail "the second exporter does not attach after 10 s"
  serve_connections in_pod
  of tracepoint reinforce
  of_each set_mark
}

# serve_connections on_host|in_pod. 7001 is IPv4's, the others are both's. Nobody listens on 7010 to 7019.
serve_connections() {
  "$1" connections serve 0.0.0.0 7001 >/dev/null 2>&1 &
  "$1" connections serve :: 7002 7003 7004 7005 >/dev/null 2>&1 &
  wait_for 10 is_listening "$1" 7001 7005 || fail "the servers for connections do not listen after 10 s"
}

# is_listening on_host|in_pod PORT PORT
is_listening() {
  "$1" ss -Hltn "sport = $2 or sport = $3" >/tmp/listening && (($(wc -l </tmp/listening) == 2))
}

# make on_host|in_pod MODE ADDRESS_PREFIX PORT OPTION...: connections to the other end, in the background.
makers=()
make() {
  local to=2
  [[ $1 == on_host ]] || to=1
  "$1" connections "$2" "$3$to" "${@:4}" >"/tmp/made-$1-${#makers[@]}" 2>>/tmp/errors &
  makers+=($!)
}

# make_each MODE PORT OPTION...: from both ends, with IPv4 and IPv6.
make_each() {
  local from prefix
  for from in on_host in_pod; do
    for prefix in 10.0.0. fd00::; do
      make "$from" "$1" "$prefix" "${@:2}"
    done
  done
}

# Waits for them, and leaves what they said in /tmp/on_host and /tmp/in_pod.
wait_for_made() {
  local maker
  for maker in "${makers[@]}"; do
    wait "$maker" || fail "connections: $(tail -n 1 /tmp/errors)"
  done
  makers=()
  for maker in on_host in_pod; do
    cat "/tmp/made-$maker"-* >"/tmp/$maker" 2>/dev/null || :
  done
  rm /tmp/made-*
}

# What the sockets say has to be counted, of those who were connected.
know() {
  awk '
    $1 == "connected" {
      client = FILENAME ~ /on_host/ ? "__host__" : "pod"
      print client, "client", $2
      print client == "pod" ? "__host__" : "pod", "server", $3
    }
  ' /tmp/on_host /tmp/in_pod >>"$known"
}

# summed_up on_host|in_pod COLUMN
summed_up() {
  awk -v column="$2" '{ sum += $column } END { printf "%.0f\n", sum }' "/tmp/$1"
}

# What was counted since the mark: "POD ROLE WHAT NUMBER", sorted, without zeros, and without what tracepoints tell late.
handshakes_counted() {
  local late=none
  [[ ! -e $owed || $(handshake_hook) != tracepoint ]] || late="server timed_out"
  awk -v late="$late" '
    function label(name) {
      return match($1, name "=\"[^\"]*") ? substr($1, RSTART + length(name) + 2, RLENGTH - length(name) - 2) : ""
    }
    /^podnet_tcp_handshake_(failures|retransmits)_total|^podnet_tcp_handshake_duration_seconds_count/ {
      what = /_count/ ? "completed" : /retransmits/ ? "retransmits" : label("reason")
      if (label("role") " " what == late)
        next
      counted[label("pod") " " label("role") " " what] += FILENAME == ARGV[1] ? -$NF : $NF
    }
    END { for (key in counted) if (counted[key]) print key, counted[key] }
  ' "$mark" "$page" | sort
}

# The sum of the durations since the mark in microseconds. duration_of POD ROLE
duration_of() {
  awk -v labels="pod=\"$1\",role=\"$2\"" '
    /^podnet_tcp_handshake_duration_seconds_sum/ && index($1, labels) { sum += FILENAME == ARGV[1] ? -$NF : $NF }
    END { printf "%.0f\n", sum * 1000000 }
  ' "$mark" "$page"
}

# Where histograms differ from what is known, and what was lost: nothing, if all is well.
handshake_differences() {
  awk '
    FILENAME == ARGV[3] {
      key = $1 " " $2
      keys[key]
      known_sum[key] += $3
      for (i = 1; i < bounds && $3 > bound[i]; i++);
      known[key, i]++
      next
    }
    { sign = FILENAME == ARGV[1] ? -1 : 1 }
    /^podnet_exporter_(lost|unattributed)_handshakes_total/ { lost[$1] += sign * $NF }
    /^podnet_tcp_handshake_duration_seconds_(bucket|sum)/ {
      split($1, part, "\"")
      key = part[4] " " part[6]
      keys[key]
      if (/_sum/) {
        sum[key] += sign * $NF * 1000000
      } else {
        if (!(part[8] in index_of)) {
          index_of[part[8]] = ++bounds
          bound[bounds] = part[8] * 1000000 + 0.001
        }
        counted[key, index_of[part[8]]] += sign * $NF
      }
    }
    END {
      for (key in lost) if (lost[key]) print key, lost[key]
      for (key in keys) {
        total = 0
        worst = ""
        for (i = 1; i <= bounds; i++) {
          total += known[key, i]
          if (counted[key, i] != total)
            worst = key " " counted[key, i] + 0 " of " total " up to " bound[i] " us"
        }
        if (worst)
          print worst
        if (sum[key] - known_sum[key] > 0.5 || known_sum[key] - sum[key] > 0.5)
          print key, sum[key], "us of", known_sum[key]
      }
    }
  ' "$mark" "$page" "$known"
}

is_known() {
  fetch metrics && [[ -z $(handshake_differences) ]]
}

expect_known() {
  wait_for 5 is_known && return
  sort "$known" | awk '{ print $1, $2, "completed" }' | uniq -c | awk '{ print $2, $3, $4, $1 }' >/tmp/wanted
  are_few_missed || fail "$(handshake_hook) $*: $(handshake_differences)"
}

# The kernel leaves a kprobe's program out while the CPU is in another one's, or in an operation on a map, and tells of it from 6.7 on only:
# with kprobes nothing counts twice or as something else, and one in four may be missing, but of nothing more than half.
are_few_missed() {
  [[ $(handshake_hook) == kprobe ]] || return
  handshakes_counted >/tmp/counted
  awk '
    FILENAME == ARGV[1] { wanted[$1, $2, $3] = $4; total += $4; next }
    { counted[$1, $2, $3] = $4 }
    END {
      for (key in counted) if (counted[key] > wanted[key]) bad = 1
      for (key in wanted) {
        sum += counted[key]
        if (counted[key] < wanted[key] / 2) bad = 1
      }
      exit bad || sum < total * 0.75
    }
  ' /tmp/wanted /tmp/counted || return
  echo "kprobes missed $(awk '{ sum += FILENAME == ARGV[1] ? $4 : -$4 } END { print sum }' /tmp/wanted /tmp/counted)"
}

# expect_counted WANTED WHAT: what handshakes_counted is.
expect_counted() {
  wait_for 5 is_counted "$1" && return
  echo "$1" >/tmp/wanted
  handshakes_counted >/tmp/counted
  are_few_missed || fail "$(handshake_hook) $2: $(diff /tmp/wanted /tmp/counted | grep '^[-+][^-+]')"
}

is_counted() {
  fetch metrics && [[ $(handshakes_counted) == "$1" ]]
}

# Within two per cent. Sets $far to what is not. is_near NUMBER WANTED WHAT
is_near() {
  far="$(handshake_hook), $3: $1 us, by the clock $2"
  awk -v number="$1" -v wanted="$2" 'BEGIN { exit !(number >= wanted * 0.98 && number <= wanted * 1.02) }'
}

# A program that has to wait for a CPU reads its clock too late, and kprobes miss some, which need not happen again.
# often COMMAND...: until it is near.
often() {
  local times=1
  until "$@"; do
    ((times++ < 5)) || fail "$far"
  done
}

# Until the kernel has left a program out, and the exporter has attached the second: from then on none is missed. The packets come in a
# timer's interrupts. Kernels before 6.1 leave none out.
reinforce() {
  local round
  delay 1ms 1ms
  for round in 1 2 3 4 5 6 7 8; do
    make_many 50
    fetch metrics || fail "metrics cannot be read"
    ! is_reinforced "$page" || break
  done
  undelay
}

# Whether the second program is in these metrics. is_reinforced PAGE
is_reinforced() {
  grep -q 'program="podnet_tp_state2"' "$1"
}

# Those that are remembered: none, when all have ended. With tracepoints a server's failed ones, of another feature too, end by their silence.
expect_none_late() {
  wait_for 60 are_none_late || fail "left in handshakes_late: $(grep -c key /tmp/late), $(grep 'bpf_map_entries{map="handshakes_late"}' "$page")"
}

are_none_late() {
  bpftool map dump name handshakes_late >/tmp/late
  fetch metrics && ! grep -q key /tmp/late && ! grep -q 'bpf_map_entries{map="handshakes_late"} [^0]' "$page"
}

# ActiveOpens and PassiveOpens. opens on_host|in_pod
opens() {
  "$1" cat /proc/net/snmp | awk '/^Tcp:/ && n++ { print $6, $7 }'
}

# Rules for what comes in at both ends; those from before go. rules [RULES]
rules() {
  local from table="table inet handshakes"
  for from in on_host in_pod; do
    "$from" nft -f - <<<"$table
      delete $table
      $table {
        chain input {
          type filter hook input priority 0
          ${1:-}
        }
      }"
  done
}

# delay DELAY [DELAY]: of what goes to the pod, and of what comes from it.
delay() {
  tc qdisc replace dev "$host" root netem delay "$1"
  [[ ! ${2:-} ]] || in_pod tc qdisc replace dev eth0 root netem delay "$2"
}

undelay() {
  tc qdisc del dev "$host" root
  ! in_pod tc qdisc show dev eth0 | grep -q netem || in_pod tc qdisc del dev eth0 root
}

## Features

check() {
  "$exporter" check >/tmp/check 2>&1 || fail "exit code $?: $(tail -n 1 /tmp/check)"
  grep -qFx "handshakes     tracepoint will be used, and kprobes for servers' failed requests" /tmp/check || fail "$(grep -A2 ^handshakes /tmp/check)"
  sed -n 's/^hook  *//p; s/^handshakes  */handshakes: /p' /tmp/check
  check_without_classifier
}

# Without the classifier no filter can be attached, and nothing else would say so before the first pod is there.
check_without_classifier() {
  local module=(/modules/*-cls_bpf.ko) status=0
  [[ -e ${module[0]} ]] || return 0
  rmmod cls_bpf || fail "cls_bpf cannot be removed"
  "$exporter" check --Attach:Hook=clsact >/tmp/check 2>&1 || status=$?
  insmod "${module[0]}"
  ((status != 0)) || fail "check ends with 0 without cls_bpf"
  grep -q '^Missing: the classifier bpf.*modprobe cls_bpf' /tmp/check || fail "$(tail -n 1 /tmp/check)"
  [[ $(tc qdisc show dev lo) != *clsact* ]] || fail "check left a qdisc"
  "$exporter" check --Attach:Hook=clsact >/tmp/check 2>&1 || fail "exit code $?: $(tail -n 1 /tmp/check)"
  echo "without cls_bpf check says so"
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
  grep -qE '^Uid:\s+65534' "/proc/$(<"$pid")/status" || fail "does not run as uid 65534"
  # CAP_NET_ADMIN is bit 12, CAP_PERFMON 38, CAP_BPF 39.
  grep -qE '^CapEff:\s+000000c000001000' "/proc/$(<"$pid")/status" || fail "has other capabilities than its three"
  fetch healthz || fail "/healthz is not well"
  stop_exporter
  detail+=", ready after $(awk "BEGIN { print $to - $from }") s"
  echo "$detail, handshakes by $(handshake_hook) with kernel.perf_event_paranoid=$(sysctl -n kernel.perf_event_paranoid)"
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

# Every packet that the pod's counters have is in a record, and in an edge; and the pod's sockets have round-trip times.
flows() {
  local type types=(veth) shown='' records=/tmp/flows/flows.json
  if ip link add probe0 type netkit 2>/dev/null; then
    ip link delete probe0
    types+=("netkit mode l2" "netkit mode l3")
  fi
  for type in "${types[@]}"; do
    rm -rf /tmp/flows
    mkdir -m 777 /tmp/flows
    start_exporter --Flows:Enabled=true --Flows:Interval=00:00:01 --Edges:Level=workload --Edges:Classes='pods=10.0.0.0/24,fd00::/64' \
      --Export:Sinks=file --File:Path="$records"
    # shellcheck disable=SC2086 # a list
    add_pod $type
    both_ways 10.0.0. --bytes 20M
    both_ways fd00:: --bytes 5M
    both_ways 10.0.0. --udp --bitrate 0 --length 1000 --bytes 2M
    ping -q -c 20 -i 0.01 10.0.0.2 >/dev/null
    expect_flows "$type" "$records"
    stop_exporter
    "$exporter" flows verify --from="$records" >/tmp/verified 2>&1 || fail "$type, after the end: $(grep -hE '^(problem|note): ' /tmp/verified | head -n 3)"
    grep '"transport":"tcp"' "$records" | grep '"observer":"source"' | grep -q '"smoothed":[1-9]' || fail "$type: no round-trip time of the pod's own connections"
    shown+="${shown:+, }$type $(grep -c '"dataset":"podnet.flow"' "$records") records"
    remove_pod
  done
  echo "$shown"
}

# expect_flows WHAT FILE: the pod's metrics, the records and the edges equal the interface.
expect_flows() {
  expect_exact "$1"
  wait_for 10 is_recorded "$2" || fail "$1: records and counters differ: $(grep -hE '^(problem|note): ' /tmp/verified | head -n 3)"
  wait_for 10 edges_are_exact || fail "$1: edges have $(edge_total transmit) and $(edge_total receive) bytes of $(total transmit bytes) and $(total receive bytes)"
}

# The metrics are of before the records, which have them all once an interval has ended without traffic.
is_recorded() {
  fetch metrics && "$exporter" flows verify --from="$1" --metrics="$page" >/tmp/verified 2>&1
}

edges_are_exact() {
  fetch metrics && [[ $(edge_total transmit) == "$(total transmit bytes)" && $(edge_total receive) == "$(total receive bytes)" ]]
}

# edge_total DIRECTION
edge_total() {
  awk -v family="podnet_edge_$1_bytes_total{" 'index($1, family) == 1 { sum += $NF } END { printf "%.0f\n", sum }' "$page"
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

# What has no room in a map is lost as that, and as nothing else.
map_full() {
  start_exporter --Bpf:MaxInterfaces=1
  add_pod veth
  ip link add host1 type veth peer name eth1 netns "$pod"
  ip addr add 10.0.1.1/24 dev host1
  in_pod ip addr add 10.0.1.2/24 dev eth1
  in_pod ip link set eth1 up
  ip link set host1 up
  wait_for 10 both_are_attached || fail "the second interface is not attached after 10 s"
  serve_connections in_pod
  wait_for 20 is_full lost_packets ping_both || fail "packets: $(grep ^podnet_exporter_lost_packets "$page" | tr '\n' ',')"
  wait_for 20 is_full lost_handshakes connect_once || fail "handshakes: $(grep ^podnet_exporter_lost_handshakes "$page" | tr '\n' ',')"
  ! grep -E '^podnet_exporter_lost_.*reason="map_(error|busy)"\} [^0]' "$page" || fail "not all is lost as map_full"
  kill_exporter
  ip link delete host1
  grep -hE '^podnet_exporter_lost_(packets|handshakes)_total.*map_full' "$page"
}

both_are_attached() {
  fetch metrics && grep -qFx 'podnet_exporter_interfaces{state="attached"} 2' "$page"
}

# is_full FAMILY COMMAND: once more.
is_full() {
  "$2" && fetch metrics && grep -qE "^podnet_exporter_$1_total\{.*reason=\"map_full\".*\} [^0]" "$page"
}

ping_both() {
  ping -q -c 1 10.0.0.2 >/dev/null && ping -q -c 1 10.0.1.2 >/dev/null
}

connect_once() {
  on_host connections connect 10.0.0.2 7001 1 >/dev/null
}

# Both ends at once, so that both CPUs have something to do while the exporter drains.
handshakes() {
  local hook=$1 count before after missed
  count=$(</payload/connections)
  start_exporter "--Handshake:Hook=$hook"
  fetch metrics
  [[ $(handshake_hook) == "$hook" ]] || fail "uses $(handshake_hook)"
  add_pod veth
  serve_connections in_pod
  [[ $hook != tracepoint ]] || reinforce
  count_all "$count" "of $((count * 6))"
  opened_as "$before" "$after"
  expect_counted "$opened" "against ActiveOpens and PassiveOpens"
  if [[ $hook == tracepoint ]]; then
    # In interrupts.
    delay 1ms 1ms
    count_all 100 "of 600, delayed"
    undelay
    expect_none_late
  fi
  missed=$(sed -nE 's/^podnet_exporter_bpf_program_misses_total.*program="(.*)"\} ([1-9].*)/\2 of \1/p' "$page")
  end
  echo "$((count * 6)) connections, misses: ${missed:-none}"
}

# Makes many and expects all of them. The first that the kernel skips is lost, and has the exporter attach the second program: then as many
# are made again. count_all COUNT WHAT
count_all() {
  count_many "$1"
  if [[ $(handshake_hook) == tracepoint ]] && ! wait_for 5 is_known && is_reinforced "$page" && ! is_reinforced "$mark"; then
    count_many "$1"
  fi
  expect_known "$2"
}

# Makes many, between the mark and the moment when they are known; sets $before and $after. count_many COUNT
count_many() {
  set_mark
  before="$(opens on_host) $(opens in_pod)"
  make_many "$1"
  after="$(opens on_host) $(opens in_pod)"
  : >"$known"
  know
  (($(wc -l <"$known") == $1 * 12)) || fail "$(grep -vhm1 ^connected /tmp/on_host /tmp/in_pod)"
}

# make_many COUNT: of each of IPv4, IPv6 and IPv4 by an IPv6 socket from both ends.
make_many() {
  local from to
  for from in on_host in_pod; do
    to=2
    [[ $from == on_host ]] || to=1
    (
      "$from" connections connect "10.0.0.$to" 7001 "$1" &&
        "$from" connections connect "fd00::$to" 7002 "$1" &&
        "$from" connections connect "::ffff:10.0.0.$to" 7002 "$1"
    ) >"/tmp/made-$from-many" 2>>/tmp/errors &
    makers+=($!)
  done
  wait_for_made
}

# Sets $opened to what handshakes_counted has to be. opened_as BEFORE AFTER
opened_as() {
  local before after
  read -ra before <<<"$1"
  read -ra after <<<"$2"
  opened="__host__ client completed $((after[0] - before[0]))
__host__ server completed $((after[1] - before[1]))
pod client completed $((after[2] - before[2]))
pod server completed $((after[3] - before[3]))"
}

# Every failure happens at both ends, with IPv4 and IPv6 twice each: four times.
handshake_failures() {
  local pod_name wanted='' end
  begin_both
  for end in on_host in_pod; do
    "$end" sysctl -q net.ipv4.tcp_syn_retries=1 net.ipv4.tcp_synack_retries=1
    # Since Linux 6.5, in addition.
    "$end" sysctl -q net.ipv4.tcp_syn_linear_timeouts=0 2>/dev/null || :
  done
  # Long enough to close a socket before the answer. One that comes before connect() has let its socket go is no failure yet.
  delay 300ms
  rules '
    tcp dport 7011 drop
    tcp dport 7012 meta nfproto ipv4 reject with icmp type host-unreachable
    tcp dport 7012 meta nfproto ipv6 reject with icmpv6 type addr-unreachable
    tcp dport 7013 meta nfproto ipv4 reject with icmp type net-unreachable
    tcp dport 7013 meta nfproto ipv6 reject with icmpv6 type no-route
    tcp sport 7003 tcp flags & (syn | ack) == syn | ack limit rate 1/day burst 4 packets drop
    tcp dport 7004 tcp flags & (syn | ack) != syn drop'
  make_each together 7010 2     # refused
  make_each together 7011 2     # timed out
  make_each together 7012 2     # host unreachable
  make_each together 7013 2     # network unreachable
  make_each abandon 7011 2 300  # aborted, and nobody answers
  make_each abandon 7003 2 300  # aborted, and the server's second answer is reset
  make_each abandon 7002 2 0    # aborted, and the server's first answer is reset
  make_each hold 7004 2 4500    # connected, of which the server does not hear
  wait_for_made
  rules
  undelay
  on_host sysctl -q net.ipv4.tcp_syn_retries=6 net.ipv4.tcp_synack_retries=5

  for pod_name in __host__ pod; do
    wanted+="$pod_name client aborted 12
$pod_name client completed 4
$pod_name client host_unreachable 4
$pod_name client net_unreachable 4
$pod_name client refused 4
$pod_name client retransmits 4
$pod_name client timed_out 4
$pod_name server half_open 8
$pod_name server retransmits 8
$pod_name server timed_out 4
"
  done
  wanted=${wanted%$'\n'}
  # Of those that were sent again tracepoints find the end by their silence, later; of others there is nothing to see.
  printf '%s server timed_out 8\n' __host__ pod >"$owed"
  of kprobe expect_counted "$wanted" failures
  of tracepoint expect_counted "$(grep -vE 'server (half_open|timed_out)' <<<"$wanted")" failures
  echo "tracepoints see none of a server's half-open handshakes, and take 4 of the 8 for timed_out"
}

handshake_delay() {
  local ms
  begin_both
  : >"$known"
  for ms in 1 10 100; do
    delay "${ms}ms"
    make_each together 7002 8
    wait_for_made
    know
    awk -v least="$((ms * 1000 - 1))" '$1 != "connected" || $2 < least || $3 < least { exit 1 }' /tmp/on_host /tmp/in_pod ||
      fail "not delayed by $ms ms: $(sort -nk 2 /tmp/on_host /tmp/in_pod | head -n 1)"
    of_each expect_known "$ms ms"
    echo "$ms ms: $(awk '{ sum += $2 + $3 } END { printf "%.1f", sum / 2000 / NR }' /tmp/on_host /tmp/in_pod)"
  done
  undelay
  lose_some
  echo "sent again: $(awk '{ sum += $4 } END { printf "%.1f", sum / 1000 / NR }' /tmp/on_host /tmp/in_pod)"
}

# The first SYN of each; then the first SYN-ACK of each, and the client's next SYN with it: the server is to send again.
lose_some() {
  often lose client 'tcp dport 7005 tcp flags & (syn | ack) == syn limit rate 1/day burst 8 packets drop'
  often lose server '
    tcp sport 7005 tcp flags & (syn | ack) == syn | ack limit rate 1/day burst 8 packets drop
    tcp dport 7005 tcp flags & (syn | ack) == syn limit rate over 1/day burst 8 packets drop'
}

# lose ROLE RULES: eight that it has to send again, at each end. Returns whether the durations are near.
lose() {
  of_each set_mark
  rules "$2"
  make_each together 7005 4
  wait_for_made
  rules
  of tracepoint are_resent "$1" && of kprobe are_resent "$1"
}

are_resent() {
  local role=$1 name made_here made_there
  wait_for 5 are_resent_counted "$role" || {
    far="$(handshake_hook), by the $role: $(handshakes_counted)"
    [[ $(handshake_hook) == kprobe ]] || fail "$far"
    return 1
  }
  for name in __host__ pod; do
    made_here=on_host made_there=in_pod
    [[ $name == __host__ ]] || made_here=in_pod made_there=on_host
    is_near "$(duration_of "$name" client)" "$(summed_up "$made_here" 4)" "$name as client, sent again by the $role" || return
    if [[ $role == server ]]; then
      is_near "$(duration_of "$name" server)" "$(summed_up "$made_there" 4)" "$name as server, sent again by the $role" || return
    else
      # It was asked once only.
      [[ $(duration_of "$name" server) == "$(summed_up "$made_there" 3)" ]] ||
        fail "$(handshake_hook), $name as server: $(duration_of "$name" server) us of $(summed_up "$made_there" 3)"
    fi
  done
}

# The client's timer and the server's are set to the same moment: what the client does then does not matter.
are_resent_counted() {
  local name wanted=
  for name in __host__ pod; do
    wanted+="$name client completed 8"$'\n'
    [[ $1 == server ]] || wanted+="$name client retransmits 8"$'\n'
    wanted+="$name server completed 8"$'\n'
    [[ $1 == client ]] || wanted+="$name server retransmits 8"$'\n'
  done
  fetch metrics
  if [[ $1 == server ]]; then
    handshakes_counted | grep -v 'client retransmits'
  else
    handshakes_counted
  fi >/tmp/counted
  [[ $(</tmp/counted) == "${wanted%$'\n'}" ]]
}

handshake_crossed() {
  local end before
  begin_both

  delay 300ms 300ms
  ping -q -c 1 10.0.0.2 >/dev/null
  often cross
  undelay
  echo "SYNs that cross: a client's at both ends"

  # The first fetches a cookie, of the others the SYN waits for data: 200 ms, or for good. The server has accepted them, and
  # answered, when the last packet of the handshake comes.
  of_each set_mark
  delay 20ms
  for end in on_host in_pod; do
    "$end" sysctl -q net.ipv4.tcp_fastopen=3
  done
  make on_host defer 10.0.0. 7001 4 200
  make in_pod defer 10.0.0. 7001 4 200
  wait_for_made
  undelay
  (($(grep -hc ^deferred /tmp/on_host) == 3 && $(grep -hc ^deferred /tmp/in_pod) == 3)) || fail "not deferred: $(cat /tmp/on_host)"
  for end in kprobe tracepoint; do
    of "$end" wait_for 5 have_counted "__host__ client completed 4" "pod client completed 4" || fail "$end, Fast Open: $(of "$end" handshakes_counted)"
    (($(of "$end" duration_of pod client) <= $(summed_up in_pod 4))) ||
      fail "$end, Fast Open: $(of "$end" duration_of pod client) us, by the clock $(summed_up in_pod 4)"
    (($(of "$end" duration_of __host__ client) <= $(summed_up on_host 4))) ||
      fail "$end, Fast Open: $(of "$end" duration_of __host__ client) us, by the clock $(summed_up on_host 4)"
    ! of "$end" handshakes_counted | grep -E 'server (reset|half_open|timed_out|aborted)' || fail "$end, Fast Open: a connection that came counts as a failure"
    echo "Fast Open with ${end}s, of 4 each: $(of "$end" handshakes_counted | tr '\n' ',')"
  done
  of_each set_mark
  make on_host defer 10.0.0. 7001 4 0
  wait_for_made
  sleep 0.3
  of_each expect_counted "" "Fast Open without data"
  on_host sysctl -q net.ipv4.tcp_fastopen=1
  of_each set_mark
  in_pod sysctl -q net.ipv4.tcp_syncookies=2
  before=$(cookies)
  make on_host together 10.0.0. 7002 4
  make on_host together fd00:: 7002 4
  wait_for_made
  (($(cookies) - before == 8)) || fail "$(($(cookies) - before)) SYN cookies of 8"
  in_pod sysctl -q net.ipv4.tcp_syncookies=1
  of_each wait_for 5 have_counted "__host__ client completed 8" || fail "SYN cookies: the client's are not counted"
  for end in kprobe tracepoint; do
    echo "8 SYN cookies with ${end}s: $(of "$end" handshakes_counted | tr '\n' ','), untimed $(of "$end" untimed), us of servers $(of "$end" duration_of pod server) where clients had $(summed_up on_host 2)"
  done
}

# The pod's connections to ports 7020 to 7022 of the host stay in the pod: netfilter gives their packets a mark, and that a route to lo, as
# for a mesh's transparent proxy. It listens on 7020.
handshake_redirected() {
  local family
  begin_both
  for family in -4 -6; do
    in_pod ip "$family" rule add fwmark 1 lookup 100
    in_pod ip "$family" route add local default dev lo table 100
  done
  in_pod nft -f - <<<'table inet redirected {
      chain output {
        type route hook output priority -150
        tcp dport 7020-7022 meta mark set 1
      }
    }'
  in_pod connections take :: 7020 >/dev/null 2>&1 &
  wait_for 10 takes || fail "the pod's proxy does not listen after 10 s"
  often redirect
  in_pod nft delete table inet redirected
  for family in -4 -6; do
    in_pod ip "$family" rule del fwmark 1
    in_pod ip "$family" route del local default dev lo table 100
  done
  of tracepoint expect_none_late
  echo "16 connections, 8 refused, 4 given up"
}

takes() {
  in_pod ss -Hltn 'sport = 7020' | grep -q .
}

# Two that leave the pod among those that do not. Returns whether these two are all that counts.
redirect() {
  local wanted="__host__ server completed 2
pod client completed 2"
  of_each set_mark
  # The first four SYNs are sent again.
  rules 'tcp dport 7022 drop
    tcp dport 7020 tcp flags & (syn | ack) == syn limit rate 1/day burst 4 packets drop'
  make in_pod together 10.0.0. 7020 8
  make in_pod together fd00:: 7020 8
  # IPv4 sends no reset from an address that is not its own.
  make in_pod together fd00:: 7021 8
  make in_pod abandon 10.0.0. 7022 2 100
  make in_pod abandon fd00:: 7022 2 100
  make in_pod together 10.0.0. 7001 1
  make in_pod together fd00:: 7002 1
  wait_for_made
  rules
  (($(grep -c ^connected /tmp/in_pod) == 18 && $(grep -c ^ECONNREFUSED /tmp/in_pod) == 8)) || fail "not redirected: $(sort /tmp/in_pod | cut -d ' ' -f 1 | uniq -c)"
  of tracepoint expect_counted "$wanted" redirected
  of kprobe wait_for 5 is_counted "$wanted" || {
    far="kprobe: $(of kprobe handshakes_counted)"
    return 1
  }
}

# Each end's SYN is on its way while the other's is. Returns whether the durations are near.
cross() {
  local port at said
  of_each set_mark
  # A second from now, by both.
  at=$(awk '{ printf "%d\n", $1 * 1000 + 1000 }' /proc/uptime)
  for port in 7014 7015 7016; do
    make on_host cross 10.0.0. "$port" "$at"
    make in_pod cross 10.0.0. "$port" "$at"
  done
  wait_for_made
  ! grep -v ^connected /tmp/on_host /tmp/in_pod || fail "did not cross"
  said=$(of_each expect_counted "__host__ client completed 3
pod client completed 3" "SYNs that cross") || fail "$said"
  of tracepoint are_near_crossed && of kprobe are_near_crossed
}

are_near_crossed() {
  is_near "$(duration_of pod client)" "$(summed_up in_pod 4)" "pod's SYNs that cross" &&
    is_near "$(duration_of __host__ client)" "$(summed_up on_host 4)" "host's SYNs that cross"
}

have_counted() {
  local line
  fetch metrics && handshakes_counted >/tmp/counted || return
  for line in "$@"; do
    grep -qFx "$line" /tmp/counted || return
  done
}

# That were accepted in the pod.
cookies() {
  in_pod cat /proc/net/netstat | awk '/^TcpExt:/ { for (i = 2; i <= NF; i++) if (name[i] == "SyncookiesRecv") print $i; else name[i] = $i }'
}

untimed() {
  awk '/^podnet_exporter_lost_handshakes_total.*untimed/ { sum += FILENAME == ARGV[1] ? -$NF : $NF } END { print sum + 0 }' "$mark" "$page"
}

handshake_agree() {
  begin_both
  often agree
  wait_for 20 is_paid || fail "tracepoints' failures of servers: $(of tracepoint failed_requests)"
  expect_none_late
  of_each stop_exporter
  remove_pod
  echo "$(wc -l </tmp/comparable-kprobe) samples, $(awk '/_count/ { sum += $2 } END { print sum }' /tmp/comparable-kprobe) completed"
}

# Some connections, of which some are sent again, by both exporters. Returns whether they have counted the same.
agree() {
  of_each set_mark
  make_many 20
  : >"$known"
  know
  make_each together 7010 2
  rules 'tcp dport 7005 tcp flags & (syn | ack) == syn limit rate 1/day burst 8 packets drop'
  make_each together 7005 4
  wait_for_made
  rules
  of tracepoint wait_for 5 have_counted "__host__ client refused 4" "pod client refused 4" "__host__ client completed 68" "pod client completed 68" ||
    fail "tracepoint: $(of tracepoint handshakes_counted)"
  of kprobe wait_for 5 have_counted "__host__ client refused 4" "pod client refused 4" "__host__ client completed 68" "pod client completed 68" || :
  of_each comparable
  diff /tmp/comparable-kprobe /tmp/comparable-tracepoint >/tmp/differences || {
    far="kprobe -, tracepoint +: $(grep '^[-+<>]' /tmp/differences | head -n 6)"
    return 1
  }
}

is_paid() {
  of tracepoint fetch metrics && [[ $(of tracepoint failed_requests) == "$(cat "$owed" 2>/dev/null)" ]]
}

failed_requests() {
  sed -nE 's/^podnet_tcp_handshake_failures_total.*pod="(.*)",role="server",reason="(.*)"\} /\1 server \2 /p' "$page" | sort
}

# What was counted since the mark, bucket by bucket. Servers' failures are not the same, and the sums of those that were sent again differ by
# what passes between the two programs.
comparable() {
  fetch metrics
  awk '
    /^podnet_tcp_handshake_/ && !/role="server",reason|_sum/ { counted[$1] += FILENAME == ARGV[1] ? -$2 : $2 }
    END { for (sample in counted) if (counted[sample]) print sample, counted[sample] }
  ' "$mark" "$page" | sort >"/tmp/comparable-$hook"
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

# With pins: killed at any moment under load, every packet is counted once, and what was shown does not become less.
continuity() {
  local hook=$1 kills kill shown=(0 0 0 0) load
  kills=$(</payload/kills)
  pinned "$hook"
  add_pod veth
  rm -f /tmp/enough
  keep_sending >/tmp/sent 2>&1 &
  load=$!
  for ((kill = 1; kill <= kills; kill++)); do
    sleep "0.$((RANDOM % 10))"
    kill_exporter
    if ((kill % 2)); then
      # Somewhere in its start.
      launch_exporter "--Attach:Hook=$hook" "--Bpf:PinDirectory=$pins"
      continue
    fi
    pinned "$hook"
    expect_onward "after SIGKILL $kill"
  done
  touch /tmp/enough
  wait "$load" || fail "$(</tmp/sent)"
  both_ways 10.0.0. --bytes 1M
  expect_exact "$hook after $kills SIGKILLs"
  summary "$hook, $kills SIGKILLs,"
  uninstall
}

# With pins: neither what is counted nor what is kept depends on the clock, and the records of flows add up.
clock() {
  local hook=$1 jump records=/tmp/clock/flows.json
  local flows=(--Flows:Enabled=true --Flows:Interval=00:00:01 --Edges:Level=workload --Edges:Classes='pods=10.0.0.0/24,fd00::/64' --Export:Sinks=file --File:Path="$records")
  mkdir -m 777 /tmp/clock
  pinned "$hook" "${flows[@]}"
  add_pod veth
  for jump in 1000000 -2000000 1000000; do
    both_ways 10.0.0. --bytes 1M
    date -s "@$(($(date +%s) + jump))" >/dev/null
    both_ways 10.0.0. --bytes 1M
    expect_flows "$hook, the clock set by $jump s" "$records"
    kill_exporter
    both_ways 10.0.0. --bytes 1M
    pinned "$hook" "${flows[@]}"
    expect_flows "$hook, killed after the clock was set by $jump s" "$records"
  done
  summary "$hook"
  uninstall
}

# With pins, from an earlier version to this one under load, back and to this one again. Totals equal the interface; rolled back, those of either
# version are without what the other has counted.
upgrade() {
  local hook=$1 shown=(0 0 0 0) load between
  [[ -x $earlier ]] || absent "there is no earlier binary"
  pinned_earlier "$hook"
  add_pod veth
  rm -f /tmp/enough
  keep_sending >/tmp/sent 2>&1 &
  load=$!
  wait_for 20 has_counted 1000 || fail "the earlier version counts $(exporter_counted) after 20 s"
  expect_onward "by the earlier version"
  kill_exporter
  pinned "$hook"
  expect_onward "after the upgrade"
  touch /tmp/enough
  wait "$load" || fail "$(</tmp/sent)"
  expect_exact "$hook after the upgrade"
  expect_onward "after the upgrade"
  summary "$hook, upgraded,"
  stop_exporter

  # From here on the earlier version counts.
  read -ra base <<<"$(interface_counted)"
  both_ways 10.0.0. --bytes 1M
  pinned_earlier "$hook"
  grep -q 'warn: .*later version' "$log" || fail "no warning of a later version's totals"
  both_ways 10.0.0. --bytes 1M
  wait_for 5 is_all_counted || fail "$hook, rolled back: $(exporter_counted), unattributed $(unattributed), of the interface $(interface_counted)"
  read -ra between <<<"$(interface_counted)"
  echo "unattributed $(unattributed)"
  kill_exporter
  # The warning was expected.
  : >"$log"

  base=("${between[@]}")
  both_ways 10.0.0. --bytes 1M
  pinned "$hook"
  expect_exact "$hook, upgraded again"
  expect_onward "after the roll-back"
  summary "$hook, upgraded again,"
  uninstall
  base=(0 0 0 0)
}

pinned_earlier() {
  local exporter=$earlier interval_option=--Attach:CheckInterval
  pinned "$1"
}

# The earlier version has no record of the interface: the packets from before its first round have no pod.
is_all_counted() {
  local counted unattributed
  fetch metrics
  read -ra counted <<<"$(exporter_counted)"
  read -ra unattributed <<<"$(unattributed)"
  [[ "$((counted[0] + unattributed[0])) $((counted[1] + unattributed[1])) $((counted[2] + unattributed[2])) $((counted[3] + unattributed[3]))" == "$(interface_counted)" ]]
}

# As exporter_counted, of no pod.
unattributed() {
  awk '
    /^podnet_exporter_unattributed_(packets|bytes)_total/ { counted[$1 ~ /transmit/, $1 ~ /packets/] += $NF }
    END { printf "%.0f %.0f %.0f %.0f\n", counted[1, 1], counted[1, 0], counted[0, 1], counted[0, 0] }
  ' "$page"
}

# has_counted PACKETS
has_counted() {
  fetch metrics && (($(total receive packets) >= $1))
}

# No total is less than when this was called before. Uses and sets $shown.
expect_onward() {
  local counted index
  fetch metrics || fail "metrics cannot be read $*"
  read -ra counted <<<"$(exporter_counted)"
  for index in 0 1 2 3; do
    ((counted[index] >= shown[index])) || fail "$* ${counted[*]}, before it ${shown[*]}"
  done
  shown=("${counted[@]}")
}

pinned() {
  start_exporter "--Attach:Hook=$1" "--Bpf:PinDirectory=$pins" "${@:2}"
}

# Until somebody has had enough.
keep_sending() {
  while [[ ! -e /tmp/enough ]]; do
    both_ways 10.0.0. --bytes 1M
    both_ways 10.0.0. --udp --bitrate 0 --length 100 --bytes 100K
  done
}

# What outlives the exporter is there until it is removed.
uninstall() {
  stop_exporter
  ! nothing_is_left || fail "nothing has outlived the exporter"
  "${unprivileged[@]}" "$exporter" uninstall "--Bpf:PinDirectory=$pins" >/tmp/uninstalled 2>&1 || fail "$(</tmp/uninstalled)"
  [[ ! -e $pins ]] || fail "$pins is still there"
  wait_for 5 nothing_is_left || fail "left by uninstall: $(filters) $(grep podnet_ /tmp/programs) $(grep -E "$own_maps" /tmp/maps)"
  remove_pod
}

unload() {
  begin "$1"
  both_ways 10.0.0. --bytes 1M
  expect_exact "$1"
  ! nothing_is_left || fail "what is there while it runs cannot be seen"
  stop_exporter
  wait_for 5 nothing_is_left || fail "left with $1: $(filters) $(grep podnet_ /tmp/programs) $(grep -E "$own_maps" /tmp/maps) $(</sys/kernel/debug/kprobes/list)"
  remove_pod
  echo "$1"
}

## Uplinks

# The two interfaces of virtio_net are on one wire: the second one is the world outside, in the pod's namespace.
uplink=eth0 outside=eth1

lay_wire() {
  [[ -e /sys/class/net/$uplink && -e /sys/class/net/$outside ]] || absent "this kernel has no virtio_net"
  ip netns add "$pod"
  ip link set "$outside" netns "$pod"
  # Without IPv6 nothing is sent but what is meant to be.
  sysctl -q "net.ipv6.conf.$uplink.disable_ipv6=1"
  in_pod sysctl -q "net.ipv6.conf.$outside.disable_ipv6=1"
  in_pod ip link set lo up
  in_pod ip addr add 10.0.7.2/24 dev "$outside"
  in_pod ip link set "$outside" up
  in_pod iperf3 --server >/dev/null 2>&1 &
}

take_wire_up() {
  in_pod ip link set "$outside" netns 1
  remove_pod || true
  ip addr flush dev "$uplink"
  ip link set "$uplink" down
}

# uplink_total DIRECTION UNIT
uplink_total() {
  awk -v family="podnet_uplink_$1_$2_total{" -v interface="interface=\"$uplink\"" '
    index($1, family) == 1 && index($1, interface) { sum += $NF }
    END { printf "%.0f\n", sum }
  ' "$page"
}

uplink_is_exact() {
  fetch metrics && [[ "$(uplink_total receive packets) $(uplink_total receive bytes) $(uplink_total transmit packets) $(uplink_total transmit bytes)" == "$(uplink_counted)" ]]
}

uplink_counted() {
  local at=/sys/class/net/$uplink/statistics name values=()
  for name in rx_packets rx_bytes tx_packets tx_bytes; do
    values+=("$(($(<"$at/$name") - before[${#values[@]}]))")
  done
  echo "${values[*]}"
}

uplink_is() {
  fetch metrics && grep -qFx "podnet_exporter_uplinks{state=\"$1\"} 1" "$page"
}

# By each hook, native XDP among them, the frames are those that the driver counts. Where the driver refuses XDP, the log says why.
uplink() {
  local hook state before shown=()
  lay_wire
  ip addr add 10.0.7.1/24 dev "$uplink"
  for hook in "${hooks[@]}" xdp xdp-generic; do
    ip link set "$uplink" down
    before=(0 0 0 0)
    read -ra before <<<"$(uplink_counted)"
    case $hook in
      xdp*) start_exporter --Identity:Source=standalone --Uplinks:Interfaces="$uplink" --Uplinks:Hook="$hook" ;;
      *) start_exporter --Identity:Source=standalone --Uplinks:Interfaces="$uplink" --Attach:Hook="$hook" ;;
    esac
    state=counted
    wait_for 5 uplink_is counted || state=fallback
    uplink_is "$state" || fail "$hook: neither counted nor counted by TC: $(grep -o 'uplink.*' "$log" | tail -n 1)"
    [[ $hook == xdp || $state == counted ]] || fail "$hook: $(grep -o 'uplink.*' "$log" | tail -n 1)"
    ip link set "$uplink" up
    wait_for 10 ping -q -c 1 -W 1 10.0.7.2 >/dev/null || fail "$hook: nothing comes through the wire"
    send on_host 10.0.7.2 --bytes 5M
    send on_host 10.0.7.2 --udp --bitrate 0 --length 1000 --bytes 1M
    wait_for 5 uplink_is_exact ||
      fail "$hook: received packets and bytes, sent packets and bytes are $(uplink_total receive packets) $(uplink_total receive bytes) $(uplink_total transmit packets) $(uplink_total transmit bytes), of the driver $(uplink_counted)"
    if [[ $state == counted ]]; then
      grep -qF "podnet_exporter_hook_info{kind=\"uplink\",hook=\"$hook\"} 1" "$page" || fail "$hook is not in use: $(grep kind=.uplink "$page")"
      shown+=("$hook $(uplink_total receive packets)")
      stop_exporter
    else
      shown+=("$hook refused: $(grep -oE 'wants: .*; TC' "$log" | head -n 1)")
      kill_exporter
    fi
  done
  take_wire_up
  echo "${shown[*]}"
}

# The slave of a bond with the default route is counted while it is one.
uplink_bond() {
  local before=(0 0 0 0)
  ip link add bond9 type bond 2>/tmp/errors || absent "this kernel has no bonds: $(head -n 1 /tmp/errors)"
  lay_wire
  ip link set "$uplink" down
  ip link set "$uplink" master bond9
  ip addr add 10.0.7.1/24 dev bond9
  ip link set bond9 up
  ip route add default via 10.0.7.2
  start_exporter --Identity:Source=standalone --Uplinks:Interfaces=auto
  wait_for 10 uplink_is counted || fail "no slave is counted: $(grep -o 'uplink.*' "$log" | tail -n 1)"
  ping -q -c 5 -i 0.2 10.0.7.2 >/dev/null || fail "nothing comes through the bond"
  fetch metrics || fail "metrics cannot be read"
  (($(uplink_total receive packets) >= 5)) || fail "the slave is not counted"
  ip link set "$uplink" nomaster
  # Without a slave the bond itself is the interface of the route.
  wait_for 10 has_uplink bond9 || fail "the slave that has gone is still counted"
  kill_exporter
  ip link delete bond9
  take_wire_up
}

has_uplink() {
  wget -q -T 5 -O /tmp/uplinks "$url/api/v1/uplinks" 2>/dev/null && grep -q "\"name\":\"$1\"" /tmp/uplinks
}

main
