#!/usr/bin/env bash
# image.sh BINARY ARCHIVE: writes the image as an OCI archive (a tar of an OCI image layout) that skopeo, ctr, podman and docker load, without a
# daemon and without a registry. What the Dockerfile says of the last stage is read from it. The same binary and packages give the same digest.
set -euo pipefail

binary=$1
archive=$2
source=$(cd "$(dirname "$0")/.." && pwd)
epoch=${SOURCE_DATE_EPOCH:-0}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
layout=$work/layout
blobs=$layout/blobs/sha256
mkdir -p "$blobs"

# A tar of a directory that says nothing of when and by whom it was made.
pack() {
	tar --create --directory "$1" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --format=gnu --file "$2" .
}

# Moves a file to its place among the blobs, and prints its descriptor.
blob() {
	local file=$1 type=$2 digest size
	digest=$(sha256sum "$file" | cut -d ' ' -f 1)
	size=$(stat --format=%s "$file")
	mv "$file" "$blobs/$digest"
	jq -n --arg type "$type" --arg digest "sha256:$digest" --argjson size "$size" '{mediaType: $type, digest: $digest, size: $size}'
}

# The words of an instruction of the Dockerfile's last stage.
instruction() {
	sed -n '/^FROM scratch/,$p' "$source/Dockerfile" | sed -n "s/^$1 //p"
}

case $(uname -m) in
	x86_64) architecture=amd64 ;;
	aarch64) architecture=arm64 ;;
	*) echo "image.sh: there is no image for $(uname -m)" >&2 && exit 1 ;;
esac

"$source/scripts/image-root.sh" "$binary" "$work/root"
pack "$work/root" "$work/layer.tar"
diff_id=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
gzip --no-name "$work/layer.tar"
layer=$(blob "$work/layer.tar.gz" application/vnd.oci.image.layer.v1.tar+gzip)

labels=$(instruction LABEL | jq -R 'capture("^(?<key>[^=]+)=(?<value>\".*\")$") | .value |= fromjson' | jq -s 'from_entries')
version=$(jq -r '."org.opencontainers.image.version"' <<<"$labels")
created=$(date --utc --date "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
jq -n --arg architecture "$architecture" --arg created "$created" --arg diff_id "sha256:$diff_id" --argjson labels "$labels" \
	--argjson entrypoint "$(instruction ENTRYPOINT)" --arg port "$(instruction EXPOSE)/tcp" --arg user "$(instruction USER)" '{
		architecture: $architecture, os: "linux", created: $created,
		config: {User: $user, Entrypoint: $entrypoint, ExposedPorts: {($port): {}}, WorkingDir: "/", Labels: $labels},
		rootfs: {type: "layers", diff_ids: [$diff_id]},
		history: [{created: $created, created_by: "scripts/image.sh"}]
	}' >"$work/config.json"
config=$(blob "$work/config.json" application/vnd.oci.image.config.v1+json)
jq -n --argjson config "$config" --argjson layer "$layer" --argjson annotations "$labels" \
	'{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: $config, layers: [$layer], annotations: $annotations}' >"$work/manifest.json"
manifest=$(blob "$work/manifest.json" application/vnd.oci.image.manifest.v1+json)
# The first name is for tools of the OCI's layout, the second for containerd, which wants a whole one.
jq -n --argjson manifest "$manifest" --arg version "$version" --arg architecture "$architecture" \
	'{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [$manifest + {
		platform: {architecture: $architecture, os: "linux"},
		annotations: {"org.opencontainers.image.ref.name": $version, "io.containerd.image.name": "docker.io/library/podnet-exporter:\($version)"}
	}]}' >"$layout/index.json"
echo '{"imageLayoutVersion": "1.0.0"}' >"$layout/oci-layout"
mkdir -p "$(dirname "$archive")"
pack "$layout" "$archive.new"
mv "$archive.new" "$archive"
echo "$archive $(jq -r .digest <<<"$manifest")"
