#!/usr/bin/env bash
# Runs every ring that this machine can run, and ends with one line for all of them: N passed, N failed, N skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0 failed=0 skipped=0
reasons=() failures=()

# count NAME LOG STATUS: the counts and the failures that a ring's output ends with.
count() {
	local name=$1 log=$2 status=$3 counts more_passed more_failed more_skipped
	# Of the test runner: " Exporter.Tests  Total: 9, Errors: 0, Failed: 1, Skipped: 2, Not Run: 0, Time: 1.2s". Of the VM ring: as at the end of this one.
	counts=$(awk '
		/^ +[A-Za-z.]+ +Total: [0-9]+, Errors: / { gsub(",", ""); print $3 - $7 - $9, $5 + $7, $9 }
		/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { print $1, $3, $5 }' "$log" | tail -1)
	read -r more_passed more_failed more_skipped <<<"${counts:-0 0 0}"
	if [[ ! $counts ]] || ((status != 0 && more_failed == 0)); then
		failures+=("$name: did not run to its end (exit code $status)")
		more_failed=$((more_failed + 1))
	fi
	passed=$((passed + more_passed)) failed=$((failed + more_failed)) skipped=$((skipped + more_skipped))
	mapfile -t -O "${#failures[@]}" failures < <(find_failures "$name" "$log")
	rm -f "$log"
}

# What failed, each test with the first lines of why.
find_failures() {
	awk -v ring="$1" -v lines=6 '
		/^- .* failed: / { print ring ": " substr($0, 3, 400) }
		/^    [^ ].* \[FAIL\]$/ { print ring ": " substr($0, 5, length($0) - 11); left = lines; next }
		/^    [^ ]/ || /^      (Stack Trace|Output):$/ { left = 0 }
		left > 0 { print substr($0, 5, 400); left-- }' "$2"
}

# ring NAME COMMAND...: runs it in the foreground.
ring() {
	local name=$1 log status=0
	log=$(mktemp)
	echo "== $name"
	"${@:2}" 2>&1 | tee "$log" || status=$?
	count "$name" "$log" "$status"
}

skip() {
	reasons+=("$1: $2")
	skipped=$((skipped + 1))
}

# In the background: start_ring NAME COMMAND... writes the output to a file, end_ring NAME waits for its end and shows it.
declare -A ring_logs=() ring_pids=()
start_ring() {
	local name=$1
	ring_logs[$name]=$(mktemp)
	setsid "${@:2}" >"${ring_logs[$name]}" 2>&1 </dev/null &
	ring_pids[$name]=$!
}

end_ring() {
	local name=$1 status=0
	wait "${ring_pids[$name]}" || status=$?
	unset "ring_pids[$name]"
	echo "== $name"
	cat "${ring_logs[$name]}"
	count "$name" "${ring_logs[$name]}" "$status"
}

# The tests' own program: to run it takes less time than `dotnet test` takes to find it.
tests() {
	echo "tests/$1/bin/Release/net10.0/$1"
}
quiet=(-noColor -noLogo)

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

# Runs without root; qemu has to be installed. A guest keeps one CPU busy, and the other rings wait most of the time.
has_guests=
if command -v qemu-system-x86_64 >/dev/null; then
	has_guests=1
	start_ring "virtual machines" env PODNET_VM_JOBS=1 tests/vm/test.sh --short
else
	skip "virtual machines" "qemu-system-x86_64 is not installed"
fi

# In the namespaces of the kernel ring nothing can be fetched.
engines_log=$(mktemp)
scripts/engines >/dev/null 2>"$engines_log" &
engines_pid=$!
dotnet build Exporter.sln --configuration Release --nologo --verbosity quiet
dotnet tool restore >/dev/null

has_engines=1
wait "$engines_pid" || has_engines=
cat "$engines_log" >&2
reason=$(tail -1 "$engines_log")
rm -f "$engines_log"

# The kernel ring waits most of the time, so it runs beside the others, and in two halves of about the same length, each in a network namespace
# of its own. Handshakes are seen of the whole machine: the classes that count them one by one are all in the first half.
kernel_rings=()
if ((EUID != 0)); then
	skip "kernel" "needs root: it makes network namespaces and loads BPF programs"
else
	others=(EdgeBudget FilterOwner FlowFlood FlowKill FlowLoss FlowService Image Kubernetes Lifecycle Monitoring OptionChange PinDirectory Prometheus Recording RemovedPins SharedFileSystem Unpin Uplink)
	kernel_rings=("kernel, first half" "kernel, second half")
	first=() second=()
	for class in "${others[@]}"; do
		first+=(-class- "Exporter.Kernel.Tests.${class}Tests")
		second+=(-class "Exporter.Kernel.Tests.${class}Tests")
	done
	start_ring "${kernel_rings[0]}" scripts/isolated.sh "$(tests Exporter.Kernel.Tests)" "${quiet[@]}" "${first[@]}"
	start_ring "${kernel_rings[1]}" scripts/isolated.sh "$(tests Exporter.Kernel.Tests)" "${quiet[@]}" "${second[@]}"
fi
ring "unit" "$(tests Exporter.Tests)" "${quiet[@]}"
if tools=$(tests/Exporter.Chart.Tests/Tools/fetch.sh); then
	ring "chart" "$(tests Exporter.Chart.Tests)" "${quiet[@]}"
else
	skip "chart" "helm and the schemas of the Kubernetes API could not be fetched"
fi
ring "rules" env HELM="${tools:-}/helm" "$(tests Exporter.Rules.Tests)" "${quiet[@]}"
# In CI the tests themselves fail for the want of an engine.
if [[ $has_engines || ${CI:-} ]]; then
	ring "engines, short form" "$(tests Exporter.Engine.Tests)" "${quiet[@]}" -trait Form=Short
else
	skip "engines" "$reason"
fi
for name in "${kernel_rings[@]}"; do
	end_ring "$name"
done
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
