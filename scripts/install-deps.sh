#!/usr/bin/env bash
# Installs the Debian packages that building and testing need, if they are missing. The .NET SDK is expected to be there.
set -euo pipefail

packages=(
	clang llvm clang-format libbpf-dev libelf-dev zlib1g-dev gcc libc6-dev # build
	iproute2 iputils-ping iperf3 curl ca-certificates                     # demo
	bpftool prometheus libcap2-bin util-linux                             # test
)

missing=()
for package in "${packages[@]}"; do
	if [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
		missing+=("$package")
	fi
done

if ((${#missing[@]})); then
	if ((EUID != 0)); then
		echo "These packages are missing and only root can install them: ${missing[*]}" >&2
		exit 1
	fi
	echo "Installing ${missing[*]}"
	apt-get update --quiet=2
	DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! command -v dotnet >/dev/null; then
	echo "The .NET 10 SDK is missing: https://dotnet.microsoft.com/download" >&2
	exit 1
fi
