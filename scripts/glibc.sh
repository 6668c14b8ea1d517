#!/usr/bin/env bash
# glibc.sh BINARY: fails where the binary needs a newer glibc than docs/compatibility.md says, and names the functions that need it.
set -euo pipefail

binary=$1
page=$(cd "$(dirname "$0")/.." && pwd)/docs/compatibility.md

stated=$(sed -n 's/.*glibc \([0-9]*\.[0-9]*\) or newer.*/\1/p' "$page" | head -n 1)
[[ -n $stated ]] || { echo "glibc.sh: $page does not say which glibc is the oldest" >&2 && exit 1; }

# NAME VERSION of each function that is not in the binary.
symbols=$(objdump --dynamic-syms "$binary" | sed -n 's/.*\*UND\*.*(GLIBC_\([0-9.]*\))  *\([^ ]*\)$/\2 \1/p')
[[ -n $symbols ]] || { echo "glibc.sh: $binary needs no function of glibc, or is not a program" >&2 && exit 1; }
newest=$(cut -d ' ' -f 2 <<<"$symbols" | sort --version-sort | tail -n 1)
if [[ $(printf '%s\n' "$stated" "$newest" | sort --version-sort | tail -n 1) != "$stated" ]]; then
	functions=$(awk -v newest="$newest" '$2 == newest { print $1 }' <<<"$symbols" | sort -u | paste -s -d ' ')
	echo "glibc.sh: $binary needs glibc $newest, for $functions; docs/compatibility.md says $stated. Build it on an older system, or state $newest there." >&2
	exit 1
fi
echo "$newest"
