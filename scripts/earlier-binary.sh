#!/usr/bin/env bash
# earlier-binary.sh COMMIT TARGET: builds the native binary of an earlier commit of this repository, unless TARGET is there already. The commit's
# files are beside TARGET while it is built, and are removed however that ends; those that a SIGKILL has left, by the next build.
set -euo pipefail
cd "$(dirname "$0")/.."

commit=$1 target=$2
[[ ! -x $target ]] || exit 0
git cat-file -e "$commit^{commit}" 2>/dev/null || {
	echo "earlier-binary.sh: the commit $commit is not in this repository's history (a shallow clone has only the last ones)" >&2
	exit 1
}

mkdir -p "$(dirname "$target")"
files=$(realpath "$(dirname "$target")")/source build=
clean_up() {
	[[ ! $build ]] || kill -- "-$build" 2>/dev/null || true
	wait
	rm -rf "$files"
}
# A second build of the same waits, and finds the target. What the build starts does not inherit the lock.
exec {lock}<"$(dirname "$target")"
flock "$lock"
[[ ! -x $target ]] || exit 0
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

rm -rf "$files"
mkdir "$files"
git archive "$commit" | tar -x -C "$files"
echo "Building $commit, which takes some minutes" >&2
# No server of the build outlives it: it would hold on to files that are removed.
MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false setsid make -C "$files" build >"$files.log" 2>&1 </dev/null {lock}<&- &
build=$!
wait "$build" || {
	tail -n 20 "$files.log" >&2
	exit 1
}
build=
# In one step: what is killed while it copies leaves no target.
cp "$files/artifacts/podnet-exporter" "$target.new"
mv "$target.new" "$target"
