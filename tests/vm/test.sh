#!/usr/bin/env bash
# The VM ring: tries every feature of the built exporter on every kernel of kernels.txt, or on those that are named. Prints a
# table, what is behind each result that is not ok, and the line "N passed, N failed, N skipped". Progress goes to stderr.
#
# Usage: test.sh [NAME...]
# Debian packages needed: those of boot.sh and fetch.sh, bpftool ethtool iperf3 util-linux gcc libc6-dev
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
exporter=$here/../../artifacts/podnet-exporter

# What payload/run.sh reports, in its order.
features=(
  check start traffic-tcx traffic-clsact offload vlan sctp netkit percpu
  handshake-kprobe handshake-tracepoint handshake-failures handshake-delay handshake-crossed handshake-agree
  kill continuity clock unload
)
programs=(bpftool ethtool iperf3 setpriv)

# A minute is usual, and much longer where others keep the CPUs busy.
timeout_s=480

declare -A results=() details=()
kernels=() missing=() passed=0 failed=0 skipped=0

main() {
  [[ -x $exporter ]] || die "artifacts/podnet-exporter is missing: run 'make build'"
  command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86_64 is missing (package qemu-system-x86)"
  payload=$(mktemp -d)
  trap 'rm -rf "$payload"' EXIT
  fill_payload

  local list name state rest
  list=$("$here/fetch.sh" "$@")
  while read -r name state rest; do
    case $state in
      ready) try_kernel "$name" ;;
      missing) missing+=("$name: $rest") ;;
    esac
  done <<<"$list"

  report
  ((failed == 0))
}

die() {
  echo "test.sh: $1" >&2
  exit 1
}

fill_payload() {
  local program path
  cp "$here/payload/run.sh" "$exporter" "$payload"
  mkdir "$payload/bin"
  for program in "${programs[@]}"; do
    path=$(PATH=$PATH:/usr/sbin:/sbin command -v "$program") || die "$program is missing"
    cp -L "$path" "$payload/bin"
  done
  gcc -O2 -static -Wall -Wextra -o "$payload/bin/connections" "$here/payload/connections.c"
}

try_kernel() {
  local kernel=$1 feature attempt ended=''
  echo "== $kernel" >&2
  # Under QEMU's emulation a kernel with two CPUs crashes now and then while it patches its own code: mostly at boot, when nothing of ours has run,
  # and rarely later, where boot.sh knows it by the int3.
  for attempt in 1 2 3; do
    for feature in "${features[@]}"; do
      unset "results[$kernel $feature]"
    done
    run_guest "$kernel"
    [[ $ended == 126 || ($ended == 125 && ! ${results[$kernel ${features[0]}]:-}) ]] || break
    echo "the guest died of the emulation, attempt $attempt" >&2
  done

  kernels+=("$kernel")
  for feature in "${features[@]}"; do
    case ${results[$kernel $feature]:-none} in
      ok) passed=$((passed + 1)) ;;
      absent) skipped=$((skipped + 1)) ;;
      none)
        results[$kernel $feature]=failed
        details[$kernel $feature]="no result; boot.sh ended with $ended"
        failed=$((failed + 1))
        ;;
      *) failed=$((failed + 1)) ;;
    esac
  done
}

# Sets $ended to the exit code of boot.sh.
run_guest() {
  local kernel=$1 word feature result detail status
  while read -r word feature result detail; do
    case $word in
      feature)
        results[$kernel $feature]=$result
        details[$kernel $feature]=$detail
        ;;
      ended) ended=$feature ;;
    esac
    echo "$SECONDS s: $word $feature $result $detail" >&2
  done < <(
    status=0
    "$here/boot.sh" "$kernel" "$payload" "$timeout_s" </dev/null || status=$?
    echo "ended $status"
  )
}

report() {
  local kernel feature line
  if ((${#kernels[@]})); then
    printf '| feature |%s\n' "$(printf ' %s |' "${kernels[@]}")"
    printf '|--|%s\n' "$(printf -- '--|%.0s' "${kernels[@]}")"
    for feature in "${features[@]}"; do
      line="| $feature |"
      for kernel in "${kernels[@]}"; do
        line+=" ${results[$kernel $feature]} |"
      done
      echo "$line"
    done
    echo
    for kernel in "${kernels[@]}"; do
      for feature in "${features[@]}"; do
        [[ ${results[$kernel $feature]} == ok ]] ||
          echo "- $kernel $feature ${results[$kernel $feature]}: ${details[$kernel $feature]}"
      done
    done
  fi
  for line in ${missing[@]+"${missing[@]}"}; do
    echo "- kernel $line (skipped)"
    skipped=$((skipped + 1))
  done
  echo
  echo "$passed passed, $failed failed, $skipped skipped"
}

main "$@"
