#!/usr/bin/env bash
# chart-options.sh: prints chart/options.yaml, the parts of the options that the chart's templates have to know, from the table in docs/options.md.
set -euo pipefail
cd "$(dirname "$0")/.."

# Prints key and values of each option, with a point for the colon in the key.
# shellcheck disable=SC2016 # the table has code in backticks
options() { sed -nE 's/^\| `([A-Za-z]+):([A-Za-z]+)` \| [^|]* \| ([^|]*) \| .*/\1.\2 \3/p' docs/options.md; }

cat <<'HEAD'
# Made by make docs.
# Options with the value off, which YAML reads as false.
withOff:
HEAD
options | sed -nE 's/^([A-Za-z.]+) ([a-z-]+, )*off(, [a-z-]+)*$/  - \1/p'
cat <<'HEAD'
# The shortest and the longest of each duration, which a schema cannot compare.
durations:
HEAD
options | sed -nE 's/^([A-Za-z.]+) ([0-9.:]*:[0-9.:]+) to ([0-9.:]*:[0-9.:]+)$/  \1: ["\2", "\3"]/p'
