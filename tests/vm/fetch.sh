#!/usr/bin/env bash
# Fetches the kernels of kernels.txt, and the tools their guests use, into a cache outside the tree.
# Prints one line per kernel, "NAME ready DIRECTORY" or "NAME missing REASON", and exits with 0 either way.
#
# Usage: fetch.sh [NAME...]
# Debian packages needed: kmod xz-utils zstd
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${PODNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/podnet-exporter}/vm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

tools_suite=trixie
tools_packages=(bash-static busybox-static iproute2 nftables)
tools_programs=(bridge ip nft ss tc)

# What a kernel has built in, or does not have at all, is left out.
modules=(
  veth netkit dummy bridge 8021q sctp bonding virtio_pci virtio_net
  sch_ingress cls_bpf sch_netem
  nf_tables nft_counter nft_ct nft_limit nft_numgen nft_quota nft_reject_inet
)

main() {
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  flock 9
  work=$(mktemp -d "$cache/.fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT

  ensure tools "$tools_suite ${tools_packages[*]} ${tools_programs[*]}" \
    fetch_tools "$tools_suite"
  local tools_reason=$reason

  local line name
  while read -ra line; do
    name=${line[0]:-#}
    [[ $name == '#'* ]] && continue
    [[ $# -gt 0 && " $* " != *" $name "* ]] && continue
    reason=${tools_reason:+the tools of the guest: $tools_reason}
    if [[ -z $reason ]]; then
      ensure "$name" "${line[*]:1} ${modules[*]}" fetch_kernel "${line[@]:1}"
    fi
    if [[ -z $reason ]]; then
      echo "$name ready $cache/$name"
    else
      echo "$name missing $reason"
    fi
  done <"$here/kernels.txt"
}

# ensure NAME RECIPE COMMAND...: unless the cache holds NAME made by this very recipe, runs COMMAND, which fills
# $result. Sets $reason to why that failed, or to nothing.
ensure() {
  local name=$1 recipe=$2 status
  shift 2
  reason=
  if [[ -f $cache/$name/recipe && $(<"$cache/$name/recipe") == "$recipe" ]]; then
    return
  fi

  echo "fetching $name" >&2
  scratch=$work/$name result=$work/$name/result
  mkdir -p "$result"
  # `set -e` does not work inside a function that is called as a condition, hence the plain subshell.
  set +e
  (set -e; "$@") >"$scratch/log" 2>&1 9>&-
  status=$?
  set -e

  if [[ $status == 0 ]]; then
    echo "$recipe" >"$result/recipe"
    rm -rf "${cache:?}/$name"
    mv "$result" "$cache/$name"
  else
    # The first complaint is the cause, the later ones are its consequences.
    reason=$(grep -m1 -E '^[EW]: ' "$scratch/log" || tail -n1 "$scratch/log")
    reason=${reason#[EW]: }
    reason=${reason:-failed with status $status}
  fi
  rm -rf "$scratch"
}

die() {
  echo "E: $*"
  exit 1
}

fetch_tools() {
  local suite=$1 root=$scratch/root program loader library_path

  open_suite "$suite"
  private apt-get install --yes --download-only --no-install-recommends "${tools_packages[@]}"
  unpack "$root"

  mkdir -p "$result"/{bin,lib,libexec}
  cp "$(find "$root" -type f -path '*bin/busybox')" "$result/bin/busybox"
  cp "$(find "$root" -type f -path '*bin/bash-static')" "$result/bin/bash"
  loader=$(find "$root" -name ld-linux-x86-64.so.2 | head -n1)
  library_path=$(find "$root" -type d -name x86_64-linux-gnu -path '*/lib/*' | paste -sd:)
  for program in "${tools_programs[@]}"; do
    cp "$(find "$root" -type f -path "*bin/$program")" "$result/libexec/"
    "$loader" --inhibit-cache --library-path "$library_path" --list "$result/libexec/$program" |
      awk '$3 ~ /^\// { print $3 }' | xargs cp -Lt "$result/lib"
    ln -s ../tool "$result/bin/$program"
  done
  cp -L "$loader" "$result/lib/"

  # The tools run on their own libc, so that the payload's can be an older one or a newer one.
  cat >"$result/tool" <<'EOF'
#!/bin/sh
exec /tools/lib/ld-linux-x86-64.so.2 --library-path /tools/lib "/tools/libexec/${0##*/}" "$@"
EOF
  chmod +x "$result/tool"
}

fetch_kernel() {
  local suite=$1 root=$scratch/root pattern package packages=() tree release module file number=100
  shift

  open_suite "$suite"
  for pattern in "$@"; do
    package=$(private apt-cache pkgnames linux- | grep -xE "$pattern" | sort -V | tail -n1) ||
      die "no package in $suite is named $pattern"
    packages+=("$package")
  done
  (cd "$scratch/apt/archives" && private apt-get download "${packages[@]}")
  unpack "$root"

  cp "$(find "$root" -type f -name 'vmlinuz*')" "$result/vmlinuz"

  tree=$(find "$root" -type d -path '*/lib/modules/*/kernel' -prune)
  release=$(basename "${tree%/kernel}")
  tree=${tree%/lib/modules/*}
  depmod --basedir "$tree" "$release"
  mkdir "$result/modules"
  for module in "${modules[@]}"; do
    modprobe --config /dev/null --dirname "$tree" --set-version "$release" --show-depends "$module" || true
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$scratch/insmod-order"
  while read -r file; do
    module=$(basename "$file")
    decompress "$file" >"$result/modules/$number-${module%.ko*}.ko"
    number=$((number + 1))
  done <"$scratch/insmod-order"
}

decompress() {
  case $1 in
    *.xz) xz -dc "$1" ;;
    *.zst) zstd -qdc "$1" ;;
    *) cat "$1" ;;
  esac
}

# Unpacks what apt downloaded.
unpack() {
  local deb
  mkdir -p "$1"
  for deb in "$scratch"/apt/archives/*.deb; do
    dpkg -x "$deb" "$1"
  done
}

# Sets up an apt that knows this one suite and nothing else: the system's own lists are neither read nor changed.
open_suite() {
  local suite=$1 apt=$scratch/apt mirrors mirror

  [[ $(dpkg --print-architecture) == amd64 ]] || die "the kernels are for amd64"
  [[ -f $keyring ]] || die "$keyring is not there (package debian-archive-keyring)"
  mirrors=$(mirrors_like "$suite")
  [[ -n $mirrors ]] || die "the system's apt sources name no Debian mirror"

  mkdir -p "$apt"/{archives,lists}/partial
  : >"$apt/status"
  for mirror in $mirrors; do
    echo "deb [signed-by=$keyring] $mirror $suite main"
  done >"$apt/sources.list"
  cat >"$apt/apt.conf" <<EOF
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$apt/lists";
Dir::State::Status "$apt/status";
Dir::Cache "$apt";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
APT::Sandbox::User "";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
EOF
  # A source that does not know the suite makes this fail while the other sources are usable.
  private apt-get update || true
}

private() {
  "$1" --config-file="$scratch/apt/apt.conf" "${@:2}"
}

# The mirrors from which this system gets its own release, or its own security updates if the suite is of that kind.
mirrors_like() {
  local release
  # shellcheck source=/dev/null
  release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  [[ $1 == *-security ]] && release+=-security
  apt-get update --print-uris | sed -nE "s%^'(.*/)dists/($release|unstable|sid)/InRelease'.*%\1%p" | sort -u
}

main "$@"
