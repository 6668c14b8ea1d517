#!/usr/bin/env bash
# install-deps.sh build|demo|test|lint...: installs the Debian packages that these need, if they are missing. The .NET SDK is
# expected to be there.
set -euo pipefail

declare -A groups=(
	[build]="clang llvm libbpf-dev libelf-dev gcc libc6-dev"
	[demo]="iproute2 iputils-ping iperf3 curl"
	[test]="iproute2 iputils-ping ethtool bpftool prometheus prometheus-alertmanager python3-prometheus-client util-linux nftables strace"
	[image]="jq libc-bin openssl"
	[chart]="unzip"
	[container]="containerd runc golang-github-containers-common"
	[vm]="qemu-system-x86 cpio kmod xz-utils zstd bpftool ethtool iperf3 util-linux"
	[engine]="openjdk-17-jdk-headless python3 util-linux xz-utils"
	[lint]="clang-format shellcheck"
)

# Node.js comes from elsewhere as often as from Debian.
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	groups[chart]+=" nodejs npm"
fi

# scripts/engines fetches the engines with them where it has no packs.
if [[ ! -d ${PODNET_ENGINES:-$(dirname "$0")/../../shared/engines} ]]; then
	groups[engine]+=" maven python3-pip"
fi

missing=()
for group in "$@"; do
	for package in ${groups[$group]}; do
		if [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
			missing+=("$package")
		fi
	done
done

if ((${#missing[@]})); then
	if ((EUID != 0)); then
		echo "These packages are missing, and only root can install them: ${missing[*]}" >&2
		exit 1
	fi
	echo "Installing ${missing[*]}"
	if [[ ! -e /usr/sbin/policy-rc.d ]]; then
		# Only the programs are wanted: Debian would start the Prometheus that it installs.
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
		chmod +x /usr/sbin/policy-rc.d
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	apt-get update --quiet=2
	DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! command -v dotnet >/dev/null; then
	echo "The .NET 10 SDK is missing: https://dotnet.microsoft.com/download" >&2
	exit 1
fi
