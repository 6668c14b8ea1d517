#!/usr/bin/env bash
# sbom.sh ARCHIVE FILE: writes the image's bill of materials, in the CycloneDX format: the NuGet packages that the binary was built of, as
# the project's own tool finds them, and the Debian packages that the image lists. After a build, and the same for the same image.
set -euo pipefail

archive=$1
file=$(realpath "$2")
source=$(cd "$(dirname "$0")/.." && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/layout" "$work/root" "$work/nothing"
tar --extract --file "$archive" --directory "$work/layout"

blob() {
	echo "$work/layout/blobs/${1/://}"
}

manifest=$(blob "$(jq -r '.manifests[0].digest' "$work/layout/index.json")")
version=$(jq -r '.annotations["org.opencontainers.image.version"]' "$manifest")
tar --extract --gzip --file "$(blob "$(jq -r '.layers[0].digest' "$manifest")")" --directory "$work/root" ./var/lib/dpkg/status.d ./etc/os-release
release=$work/root/etc/os-release
distribution=$(sed -n 's/^ID=//p' "$release")-$(sed -n 's/^VERSION_ID="*\([^"]*\)"*$/\1/p' "$release")

# Everything is in NuGet's folder of packages after a build. The tool asks its registry all the same, unless that is a folder.
(
	cd "$source"
	dotnet tool restore >&2
	dotnet tool run dotnet-CycloneDX -- exporter/Exporter/Exporter.csproj --disable-package-restore --url "$work/nothing" --no-serial-number --output-format Json \
		--set-type Application --set-name podnet-exporter --set-version "$version" --output "$work" --filename nuget.json >&2
)
for status in "$work"/root/var/lib/dpkg/status.d/*; do
	jq -R -s --arg distribution "$distribution" '
		split("\n") | map(capture("^(?<key>[A-Za-z-]+): (?<value>.*)$")) | from_entries |
		"pkg:deb/\($distribution | split("-")[0])/\(.Package)@\(.Version | @uri)?arch=\(.Architecture)&distro=\($distribution)" as $purl |
		{type: "library", "bom-ref": $purl, name: .Package, version: .Version, purl: $purl}' "$status"
done | jq -s . >"$work/debian.json"
jq --slurpfile debian "$work/debian.json" 'del(.metadata.timestamp) | .components += $debian[0]' "$work/nuget.json" >"$file"
echo "$file $(jq '.components | length' "$file") components"
