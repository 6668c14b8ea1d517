#!/usr/bin/env bash
# chart-readme.sh [--print]: writes the table of values in chart/README.md anew from the comments in chart/values.yaml, or prints the file as it
# should be.
set -euo pipefail
cd "$(dirname "$0")/../chart"

# A comment "# -- text" is about the key under it and may go on in more lines. Its default is what follows the key on the line.
table() {
	awk '
		function path(indent, key,    i, result) {
			keys[indent] = key
			for (i = 0; i < indent; i += 2) {
				result = result keys[i] "."
			}
			return result key
		}
		/^ *# -- / {
			text = $0
			sub(/^ *# -- /, "", text)
			in_comment = 1
			next
		}
		/^ *# / && in_comment {
			more = $0
			sub(/^ *# /, "", more)
			text = text " " more
			next
		}
		/^ *[A-Za-z]+:/ {
			match($0, /^ */)
			indent = RLENGTH
			key = $0
			sub(/^ */, "", key)
			sub(/:.*/, "", key)
			name = path(indent, key)
			if (in_comment) {
				value = $0
				sub(/^[^:]*: */, "", value)
				gsub(/\|/, "\\|", text)
				printf "| `%s` | `%s` | %s |\n", name, value, text
				in_comment = 0
			}
		}
	' values.yaml
}

readme() {
	sed '/^<!-- values -->$/q' README.md
	echo
	echo "| value | default | |"
	echo "|--|--|--|"
	table
	echo
	sed -n '/^<!-- end of values -->$/,$p' README.md
}

if [[ ${1:-} == --print ]]; then
	readme
else
	readme >README.md.new
	mv README.md.new README.md
fi
