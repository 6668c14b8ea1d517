#!/usr/bin/env bash
# image-root.sh BINARY DIRECTORY: puts the root file system of the image into the directory: the binary, librdkafka.so from beside it, the shared libraries
# that these are linked with or open later, as this Debian or Ubuntu has them, and nothing that could be run besides. The Dockerfile and image.sh both use it.
set -euo pipefail

binary=$1
root=$2
# Opened where Kafka is configured. It is of a NuGet package, not of Debian.
kafka=$(dirname "$binary")/librdkafka.so

# OpenSSL is opened when it is first needed: to ask the API server, to serve HTTPS, and with flows.
opened=(libssl.so.3)
# Their code is in the binary.
linked=(libbpf-dev libelf-dev)

die() {
	echo "image-root.sh: $1" >&2
	exit 1
}

# The paths of what a program or library needs, the loader included.
libraries_of() {
	local listed
	listed=$(ldd "$1")
	if grep 'not found' <<<"$listed" >&2; then
		die "$1 needs libraries that are not here"
	fi
	awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' <<<"$listed"
}

path_of() {
	local path
	path=$(/sbin/ldconfig -p | awk -v name="$1" '$1 == name { print $NF }' | grep "$(gcc -print-multiarch)" | head -n1)
	[[ -n $path ]] || die "$1 is not installed"
	echo "$path"
}

# The file behind the links, which is what a package has; in a merged /usr the package may name it without.
package_of() {
	local file
	file=$(readlink -f "$1")
	{ dpkg-query --search "$file" 2>/dev/null || dpkg-query --search "${file#/usr}"; } | head -n1 | cut -d: -f1
}

"$(dirname "$0")/glibc.sh" "$binary" >/dev/null
[[ -e $kafka ]] || die "$kafka is missing: 'make build' puts it there"
"$(dirname "$0")/glibc.sh" "$kafka" >/dev/null

mkdir -p "$root"
[[ -z $(ls -A "$root") ]] || die "$root is not empty"
mkdir -p "$root"/{dev,etc,proc,run,sys,tmp,usr/bin,usr/lib,usr/lib64,usr/share/doc/podnet-exporter,var/lib/dpkg/status.d}
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
ln -s /run "$root/var/run"

install -m 755 "$binary" "$root/usr/bin/podnet-exporter"
install -m 755 "$kafka" "$root/usr/bin/librdkafka.so"
install -D -m 644 "${kafka%.so}.LICENSES.txt" "$root/usr/share/doc/librdkafka/LICENSES.txt"
install -m 644 "$(dirname "$0")/../LICENSE" "$root/usr/share/doc/podnet-exporter/"

packages=("${linked[@]}")
needed=$(
	libraries_of "$binary"
	libraries_of "$kafka"
	for name in "${opened[@]}"; do
		path=$(path_of "$name")
		echo "$path"
		libraries_of "$path"
	done
)
while read -r path; do
	# Each is where it is looked for, and a file of its own: no links between versions.
	target=$root/usr${path#/usr}
	[[ ! -e $target ]] || continue
	mkdir -p "$(dirname "$target")"
	install -m 755 "$(readlink -f "$path")" "$target"
	packages+=("$(package_of "$path")")
done < <(sort -u <<<"$needed")

# What scanners of images look for: the packages' entries, as in Debian's distroless images, and whose packages they are. And their licences.
cp -L /etc/os-release "$root/etc/os-release"
printf '%s\n' "${packages[@]}" | sort -u | while read -r package; do
	dpkg-query --status "$package" | sed '/^Conffiles:/,/^[^ ]/{/^Conffiles:/d;/^ /d}' >"$root/var/lib/dpkg/status.d/$package"
	mkdir -p "$root/usr/share/doc/$package"
	cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
done
printf 'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
chmod -R u=rwX,go=rX "$root"
chmod 1777 "$root/tmp"
