#!/usr/bin/env bash
# Runs every ring that this machine can run, and ends with one line for all of them: N passed, N failed, N skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0 failed=0 skipped=0
reasons=() failures=()

# The counts that the test runner prints at the end of a run.
add_counts() {
	local log=$1
	passed=$((passed + $(sed -n 's/^ *succeeded: *//p' "$log" | tail -1 | grep . || echo 0)))
	failed=$((failed + $(sed -n 's/^ *failed: *//p' "$log" | tail -1 | grep . || echo 0)))
	skipped=$((skipped + $(sed -n 's/^ *skipped: *//p' "$log" | tail -1 | grep . || echo 0)))
}

# The tests that failed, each with the first lines of why.
find_failures() {
	awk -v ring="$1" -v lines=6 '
		/^failed / { print ring ": " substr($0, 8); left = lines; next }
		/^[^ ]/ || /^    at / { left = 0 }
		/^  from / { next }
		left > 0 { print "  " substr($0, 1, 400); left-- }' "$2"
}

# ring NAME PROJECT [COMMAND...]: the command, if any, is put before the test runner.
ring() {
	local name=$1 project=$2 log status=0
	shift 2
	log=$(mktemp)
	echo "== $name"
	"$@" dotnet test --project "tests/$project" --configuration Release --no-build --no-ansi --no-progress 2>&1 | tee "$log" || status=$?
	if ((status != 0)) && ! grep --quiet '^ *failed: *[1-9]' "$log"; then
		echo "$name did not run to its end (exit code $status)"
		failed=$((failed + 1))
	fi
	add_counts "$log"
	mapfile -t -O "${#failures[@]}" failures < <(find_failures "$name" "$log")
	rm -f "$log"
}

skip() {
	reasons+=("$1: $2")
	skipped=$((skipped + 1))
}

# In the background: start_ring NAME COMMAND... writes the output to a file, end_ring NAME shows it and adds its last line's counts.
declare -A ring_logs=() ring_pids=()
start_ring() {
	local name=$1
	ring_logs[$name]=$(mktemp)
	setsid "${@:2}" >"${ring_logs[$name]}" 2>&1 </dev/null &
	ring_pids[$name]=$!
}

end_ring() {
	local name=$1 status=0 counts more_passed more_failed more_skipped
	wait "${ring_pids[$name]}" || status=$?
	unset "ring_pids[$name]"
	echo "== $name"
	cat "${ring_logs[$name]}"
	counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "${ring_logs[$name]}" || echo "0 passed, $((status != 0)) failed, 0 skipped")
	read -r more_passed _ more_failed _ more_skipped _ <<<"$counts"
	passed=$((passed + more_passed)) failed=$((failed + more_failed)) skipped=$((skipped + more_skipped))
	mapfile -t -O "${#failures[@]}" failures < <(sed -n "s/^- \(.* failed: .*\)/$name: \1/p" "${ring_logs[$name]}" | cut -c1-400)
	rm -f "${ring_logs[$name]}"
}

stop_rings() {
	local name
	for name in "${!ring_pids[@]}"; do
		kill -- "-${ring_pids[$name]}" 2>/dev/null || true
		rm -f "${ring_logs[$name]}"
	done
}
trap stop_rings EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Needs no privileges, but the packages that only root installs. A guest keeps one CPU busy, and the other rings wait most of the time.
has_guests=
if command -v qemu-system-x86_64 >/dev/null; then
	has_guests=1
	start_ring "virtual machines" env PODNET_VM_JOBS=1 tests/vm/test.sh --short
else
	skip "virtual machines" "qemu-system-x86_64 is not installed"
fi

dotnet build Exporter.sln --configuration Release --nologo --verbosity quiet
dotnet tool restore >/dev/null

ring "unit" Exporter.Tests
if tools=$(tests/Exporter.Chart.Tests/Tools/fetch.sh); then
	ring "chart" Exporter.Chart.Tests
else
	skip "chart" "helm and the schemas of the Kubernetes API could not be fetched"
fi
ring "rules" Exporter.Rules.Tests env HELM="${tools:-}/helm"
if ((EUID != 0)); then
	skip "kernel" "needs root: it makes network namespaces and loads BPF programs"
else
	ring "kernel" Exporter.Kernel.Tests scripts/isolated.sh
fi
[[ ! $has_guests ]] || end_ring "virtual machines"

if ((${#reasons[@]})); then
	echo "Not run:"
	printf '  %s\n' "${reasons[@]}"
fi
if ((${#failures[@]})); then
	echo "Failed:"
	printf '  %s\n' "${failures[@]}"
fi
echo
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
