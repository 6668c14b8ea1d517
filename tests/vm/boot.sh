#!/usr/bin/env bash
# Runs PAYLOAD_DIR/run.sh as root in a virtual machine with the kernel NAME of kernels.txt, shows its output and
# exits with its exit code; with 124 if the guest prints nothing for SILENCE_S seconds, with 125 if the guest or this script fails,
# with 126 if the emulation does.
#
# Usage: boot.sh NAME PAYLOAD_DIR [SILENCE_S]
# Environment: PODNET_VM_CPUS (2), PODNET_VM_APPEND (more for the kernel's command line, such as lockdown=integrity)
# Debian packages needed: qemu-system-x86 cpio
set -Eeuo pipefail
trap 'exit 125' ERR

here=$(cd "$(dirname "$0")" && pwd)
cache=${PODNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/podnet-exporter}/vm

main() {
  [[ $# == 2 || $# == 3 ]] || die "usage: boot.sh NAME PAYLOAD_DIR [SILENCE_S]"
  local name=$1 payload=$2 silence_s=${3:-900} reader status=0

  [[ -f $cache/$name/recipe ]] || die "kernel $name is not in $cache: run fetch.sh"
  [[ -x $payload/run.sh ]] || die "$payload/run.sh is not an executable file"

  work=$(mktemp -d)
  qemu=
  trap '[[ -z $qemu ]] || { kill "$qemu"; wait "$qemu"; } || true; rm -rf "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM

  build_initramfs "$name" "$payload"

  # Given our own stdout, QEMU would make it non-blocking for everyone who shares it. Hence a pipe.
  mkfifo "$work/output"
  tee "$work/printed" <"$work/output" &
  reader=$!

  # The guest's clock advances by 8 ns with each instruction and jumps over idle time, so a guest on a busy machine runs longer but
  # never sees a time-out that a guest on an idle one would not. That needs one thread for all of the guest's CPUs. Linux before 6.5
  # waits for its second CPU in a loop that does not end with that clock.
  local clock=(-icount "shift=3,sleep=off")
  [[ $(printf '%s\n' 6.5 "$name" | sort --version-sort | head -n 1) == 6.5 ]] || clock=()

  # Two interfaces of virtio_net on one wire are the guest's own way to have an uplink.

  # The cmpxchg16b that QEMU 7.2 emulates leaves garbage in the flags register, and kernels, which use it to allocate
  # memory, crash of that sooner or later. clearcpuid=141 makes the kernel do without it. Taking it out of the CPU
  # (-cpu max,-cx16) would take it from the programs too, and .NET's need it.
  qemu-system-x86_64 \
    -accel tcg,thread=single ${clock[@]+"${clock[@]}"} -cpu max -smp "${PODNET_VM_CPUS:-2}" -m 1024 -nodefaults -display none -no-reboot \
    -netdev hubport,id=wire0,hubid=0 -device virtio-net-pci,netdev=wire0 -netdev hubport,id=wire1,hubid=0 -device virtio-net-pci,netdev=wire1 \
    -kernel "$cache/$name/vmlinuz" -initrd "$work/initramfs" \
    -append "console=ttyS0 quiet panic=-1 oops=panic clearcpuid=141 ${PODNET_VM_APPEND:-}" \
    -serial "file:$work/console" -serial "file:$work/output" -serial "file:$work/exit-code" \
    </dev/null &
  qemu=$!
  end_when_silent
  wait "$qemu" || status=$?
  qemu=

  # Had QEMU not come as far as opening the pipe, the reader would wait for it forever.
  : <>"$work/output"
  wait "$reader" || true

  if [[ -s $work/exit-code ]]; then
    exit "$(tr -dc '0-9' <"$work/exit-code")"
  fi
  [[ ! -f $work/console ]] || tail -n 120 "$work/console" | tr -d '\r' >&2
  [[ ! -e $work/silent ]] || die "kernel $name: the guest printed nothing for $silence_s s" 124
  # A kernel that patches its code while it runs (text_poke_bp) puts an int3 there for a moment. Emulated, another CPU may execute it
  # after the kernel has removed it, and no handler knows it then.
  if grep -q 'int3: 0000' "$work/console"; then
    die "kernel $name: the guest died of an int3 that it had taken away" 126
  fi
  die "kernel $name: the guest died (QEMU ended with $status)"
}

# Waits for QEMU to end, and ends it when the guest has printed nothing for too long.
end_when_silent() {
  local size last_size=-1 silent_since=$SECONDS
  while kill -0 "$qemu" 2>/dev/null; do
    sleep 1
    size=$({ cat "$work/console" "$work/printed" 2>/dev/null || true; } | wc -c)
    if ((size != last_size)); then
      last_size=$size silent_since=$SECONDS
    elif ((SECONDS - silent_since >= silence_s)); then
      : >"$work/silent"
      kill -KILL "$qemu"
    fi
  done
}

die() {
  echo "boot.sh: $1" >&2
  exit "${2:-125}"
}

build_initramfs() {
  local name=$1 payload=$2 root=$work/root

  mkdir -p "$root"/{bin,dev,etc,payload,proc,root,run,sys,tmp,usr}
  cp "$here/guest-init.sh" "$root/init"
  cp -r "$cache/tools" "$cache/$name/modules" "$root"
  # busybox's own shell would take its own ip and tc, whatever PATH says.
  ln -s /tools/bin/bash "$root/bin/bash"
  ln -s bash "$root/bin/sh"
  ln -s /bin "$root/usr/bin"
  echo "root:x:0:0:root:/root:/bin/sh" >"$root/etc/passwd"
  echo "127.0.0.1 localhost" >"$root/etc/hosts"

  cp -rL "$payload/." "$root/payload"
  add_libraries "$root"

  (cd "$root" && find . | cpio --quiet -o -H newc -R +0:+0) >"$work/initramfs"
}

# Adds what the payload's programs are linked with, at the paths where this system has it.
add_libraries() {
  local root=$1 libraries

  libraries=$(find "$root/payload" -type f -exec env LD_LIBRARY_PATH="$root/payload" ldd {} + 2>/dev/null || true)
  if grep 'not found' <<<"$libraries" >&2; then
    die "the payload needs libraries that are not here"
  fi
  # Lines are "NAME => PATH (ADDRESS)" or "PATH (ADDRESS)"; what comes with the payload is in its place already.
  awk -v root="$root/" '
    /^\t/ { path = $2 == "=>" ? $3 : $1; if (path ~ /^\// && index(path, root) != 1) print path }
  ' <<<"$libraries" | sort -u |
    xargs -r cp -L --parents -t "$root"
}

main "$@"
