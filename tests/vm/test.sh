#!/usr/bin/env bash
# The VM ring: tries features of the built exporter on every kernel of kernels.txt, or on the named ones. Prints a
# table, the reason of each result that is not ok, and the line "N passed, N failed, N skipped". Progress goes to stderr.
#
# Usage: test.sh [--short | --only=FEATURE,...] [NAME...]
# --short: one short list of features for each kernel, as `make test` runs it.
# Environment: PODNET_EARLIER, an earlier binary, with which `upgrade` is among the features (scripts/earlier-binary.sh builds one);
# PODNET_VM_JOBS, the number of kernels that run at the same time (the number of CPUs; a kernel uses one)
# Debian packages needed: those of boot.sh and fetch.sh, bpftool ethtool iperf3 util-linux gcc libc6-dev libssl3
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
exporter=$here/../../artifacts/podnet-exporter
earlier=${PODNET_EARLIER:-}

# The features of payload/run.sh, in its order.
features=(
  check start traffic-tcx traffic-clsact offload vlan sctp netkit flows percpu map-full
  handshake-kprobe handshake-tracepoint handshake-failures handshake-delay handshake-crossed handshake-redirected handshake-agree
  kill continuity clock unload uplink uplink-bond
)
# The features that depend most on the kernel's version.
short_features=(check start traffic-tcx traffic-clsact percpu handshake-tracepoint continuity)
# How often the exporter is killed under load, and how many connections are made of each kind; fewer in the short list.
kills=20 connections=500
short_kills=6 short_connections=100
programs=(bpftool ethtool iperf3 setpriv)

main() {
  [[ ! $earlier ]] || features+=(upgrade)
  case ${1:-} in
    --short) features=("${short_features[@]}") kills=$short_kills connections=$short_connections && shift ;;
    --only=*) IFS=, read -ra features <<<"${1#--only=}" && shift ;;
  esac
  [[ -x $exporter ]] || die "artifacts/podnet-exporter is missing: run 'make build'"
  command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86_64 is missing (package qemu-system-x86)"
  work=$(mktemp -d)
  trap 'end_jobs; rm -rf "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  fill_payload

  local list name state rest kernels=() missing=()
  list=$("$here/fetch.sh" "$@")
  while read -r name state rest; do
    case $state in
      ready) kernels+=("$name") ;;
      missing) missing+=("$name: $rest") ;;
    esac
  done <<<"$list"

  try_all ${kernels[@]+"${kernels[@]}"}
  report
}

try_all() {
  local kernel jobs=${PODNET_VM_JOBS:-$(nproc)}
  for kernel in "$@"; do
    while (($(jobs -rp | wc -l) >= jobs)); do
      wait -n || true
    done
    try_kernel "$kernel" &
  done
  wait
}

end_jobs() {
  local pids
  pids=$(jobs -p)
  # shellcheck disable=SC2086 # a list
  [[ -z $pids ]] || kill $pids 2>/dev/null || true
  wait
}

die() {
  echo "test.sh: $1" >&2
  exit 1
}

fill_payload() {
  local program path
  payload=$work/payload
  mkdir "$payload"
  cp "$here/payload/run.sh" "$exporter" "$payload"
  [[ ! $earlier ]] || cp "$earlier" "$payload/earlier-exporter"
  printf '%s\n' "${features[@]}" >"$payload/features"
  echo "$kills" >"$payload/kills"
  echo "$connections" >"$payload/connections"
  mkdir "$payload/bin"
  for program in "${programs[@]}"; do
    path=$(PATH=$PATH:/usr/sbin:/sbin command -v "$program") || die "$program is missing"
    cp -L "$path" "$payload/bin"
  done
  # Flows have hashes and random numbers of OpenSSL.
  # To its end: a reader that ends before would have ldconfig killed (SIGPIPE), and with it this script.
  path=$(/sbin/ldconfig -p | awk '$1 == "libssl.so.3" && /x86-64/ && !found { found = $NF } END { print found }')
  [[ $path ]] || die "libssl.so.3 is missing (package libssl3)"
  cp -L "$path" "$payload"
  gcc -O2 -static -Wall -Wextra -o "$payload/bin/connections" "$here/payload/connections.c"
}

# Leaves the lines of the guest in $work/KERNEL, and the exit code of boot.sh in $work/KERNEL.ended.
try_kernel() {
  local kernel=$1 attempt boot status
  trap 'kill "$boot" 2>/dev/null; wait; exit 143' TERM
  # A guest that the emulation has killed is tried again: before the exporter ran, or as boot.sh recognizes it.
  for attempt in 1 2 3; do
    status=0
    "$here/boot.sh" "$kernel" "$payload" </dev/null > >(note_progress "$kernel") &
    boot=$!
    wait "$boot" || status=$?
    wait
    echo "$status" >"$work/$kernel.ended"
    [[ $status == 126 || ($status == 125 && ! -s $work/$kernel) ]] || break
    echo "$kernel: the guest died of the emulation, attempt $attempt" >&2
  done
}

# Lines of features go to $work/KERNEL, and all lines to stderr.
note_progress() {
  local kernel=$1 line
  : >"$work/$kernel"
  while IFS= read -r line; do
    [[ $line != 'feature '* ]] || echo "${line#feature }" >>"$work/$kernel"
    echo "$SECONDS s, $kernel: $line" >&2
  done
}

report() {
  local kernel feature passed=0 failed=0 skipped=0 line reasons=() result detail
  if ((${#kernels[@]})); then
    printf '| feature |%s\n' "$(printf ' %s |' "${kernels[@]}")"
    printf '|--|%s\n' "$(printf -- '--|%.0s' "${kernels[@]}")"
  fi
  for feature in "${features[@]}"; do
    line="| $feature |"
    for kernel in ${kernels[@]+"${kernels[@]}"}; do
      read -r result detail <<<"$(sed -n "s/^$feature //p" "$work/$kernel" | tail -n 1)" || true
      [[ $result ]] || result=failed detail="no result; boot.sh ended with $(<"$work/$kernel.ended")"
      case $result in
        ok) passed=$((passed + 1)) ;;
        absent) skipped=$((skipped + 1)) ;;
        *) failed=$((failed + 1)) ;;
      esac
      line+=" $result |"
      [[ $result == ok ]] || reasons+=("$kernel $feature $result: $detail")
    done
    ((${#kernels[@]} == 0)) || echo "$line"
  done
  for line in ${missing[@]+"${missing[@]}"}; do
    reasons+=("kernel $line (skipped)")
    skipped=$((skipped + 1))
  done
  echo
  ((${#reasons[@]} == 0)) || printf -- '- %s\n' "${reasons[@]}"
  echo
  echo "$passed passed, $failed failed, $skipped skipped"
  ((failed == 0))
}

main "$@"
