#!/usr/bin/env bash
# chart.sh DIRECTORY: checks the Helm chart and puts it there as a package.
set -euo pipefail

source=$(cd "$(dirname "$0")/.." && pwd)
helm=$("$source/tests/Exporter.Chart.Tests/Tools/fetch.sh")/helm

for values in "$source"/chart/ci/*-values.yaml; do
	"$helm" lint --strict --quiet "$source/chart" --values "$values"
done
mkdir -p "$1"
"$helm" package "$source/chart" --destination "$1"
