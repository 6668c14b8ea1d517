#!/usr/bin/env bash
# The whole way of a record on this machine: the exporter counts traffic of namespaces that stand in for pods and sends the records to Kafka and to
# OpenSearch, and a Flink job finds the port scan that is in it. It ends by itself; Ctrl-C ends it earlier. Nothing of it stays.
set -euo pipefail

binary=$1
pods=(web api db scan)
scanned=10.99.69.3 # api
here=$(dirname "$0")
# shellcheck source=scripts/demo-pods.sh
source "$here/demo-pods.sh"

# How long the scan, the matrix and the documents may take.
patience=${PATIENCE:-300}

say() {
	printf '\n%3d s  %s\n' "$SECONDS" "$1"
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start NAME COMMAND...: in the background, its output in a file that is shown if it ends.
start() {
	"${@:2}" >"$folder/$1.log" 2>&1 </dev/null & jobs+=($!)
	started=$!
}

# wait_for NAME PROCESS COMMAND...: until the command succeeds. NAME is the process that it depends on.
wait_for() {
	local name=$1 process=$2 ends=$((SECONDS + patience))
	until "${@:3}" >/dev/null 2>&1; do
		if ! kill -0 "$process" 2>/dev/null || ((SECONDS > ends)); then
			printf '%s ended, or brought nothing in %d s:\n' "$name" "$patience" >&2
			tail -n 20 "$folder/$name.log" >&2
			exit 1
		fi
		sleep 0.5
	done
}

start_kafka() {
	local controller
	port=$(free_port) controller=$(free_port)
	brokers=127.0.0.1:$port
	cat >"$folder/server.properties" <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$controller
		listeners=PLAINTEXT://$brokers,CONTROLLER://127.0.0.1:$controller
		controller.listener.names=CONTROLLER
		log.dirs=$folder/kafka
		offsets.topic.replication.factor=1
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
	END
	java -cp "$kafka/*" kafka.tools.StorageTool format -t "$(python3 -c 'import base64, os; print(base64.urlsafe_b64encode(b"k" + os.urandom(15)).decode().rstrip("="))')" -c "$folder/server.properties" >"$folder/kafka.log" 2>&1
	start kafka java -Xmx384m -cp "$kafka/*" kafka.Kafka "$folder/server.properties"
	wait_for kafka "$started" bash -c "</dev/tcp/127.0.0.1/$port"
	"$binary" flows install --to=kafka "--brokers=$brokers" --partitions=2 --replication=1
}

start_opensearch() {
	search=http://127.0.0.1:$(free_port)
	mkdir "$folder/search"
	start opensearch java -Xmx512m -cp "$opensearch/*" "$here/OpenSearchNode.java" "$folder/search" "${search##*:}" "$(free_port)"
	wait_for opensearch "$started" curl -sf "$search"
	"$binary" flows install --to=opensearch "--url=$search" --no-lifecycle
}

start_exporter() {
	exporter_port=$(free_port)
	start exporter "$binary" --Bpf:PinDirectory= "--Server:Urls=http://127.0.0.1:$exporter_port" --Flows:Enabled=true --Flows:Interval=00:00:02 \
		--Edges:Classes=pods=10.99.69.0/24 --Export:Sinks=kafka,elasticsearch "--Kafka:Brokers=$brokers" "--Elasticsearch:Urls=$search"
	exporter=$started
	wait_for exporter "$exporter" curl -sf "http://127.0.0.1:$exporter_port/readyz"
}

# One connection to each of 400 ports of api, where nothing listens.
scan() {
	in_pod scan python3 - "$scanned" <<-'END'
		import socket, sys
		for port in range(1, 401):
		    with socket.socket() as probe:
		        probe.settimeout(1)
		        probe.connect_ex((sys.argv[1], port))
	END
}

# read_topic TOPIC: into a file of its name.
read_topic() {
	java -cp "$kafka/*" "$here/ReadTopic.java" "$brokers" "$1" >"$folder/$1" 2>"$folder/reader.log" & jobs+=($!)
}

show_scan() {
	python3 - "$folder/podnet.detections" <<-'END'
		import json, sys
		for line in open(sys.argv[1]):
		    found = json.loads(line)
		    if found["rule"]["name"] == "port_scan":
		        print(json.dumps(found, indent=2))
	END
}

show_matrix() {
	python3 - "$folder/podnet.matrix" <<-'END'
		import json, sys

		def name(end):
		    k8s = end.get("k8s", {})
		    return k8s.get("workload", k8s.get("pod", {})).get("name") or end.get("class", "?")

		print(f"  {'MINUTE':8} {'SOURCE':16} {'DESTINATION':16} {'SENT':>12} {'RECEIVED':>12} {'CONNECTIONS':>11}")
		for row in map(json.loads, open(sys.argv[1])):
		    print(f"  {row['@timestamp'][11:16]:8} {name(row['source']):16} {name(row['destination']):16} {row['source']['bytes']:12.0f} "
		          f"{row['destination']['bytes']:12.0f} {row['flow']['connections']:11.0f}")
	END
}

query='{"size": 0, "query": {"terms": {"flow.state": ["refused", "unanswered"]}},
 "aggs": {"source": {"terms": {"field": "source.k8s.pod.name"},
  "aggs": {"ports": {"cardinality": {"field": "destination.port"}}}}}}'

ask_search() {
	curl -sf "$search/podnet-flow/_search" -H 'Content-Type: application/json' -d "$query"
}

has_refused() {
	ask_search | grep -q "\"key\":\"${prefix}scan\""
}

make_pods
cat <<EOF

Traffic of ${#pods[@]} pods (${pods[*]/#/$prefix}), a port scan among it; its records go to Kafka, where a Flink job reads them, and to OpenSearch.
EOF
say "unpacking, or fetching, Kafka, Flink and OpenSearch"
folders=$("$here/engines" kafka flink opensearch)
mapfile -t folders <<<"$folders"
kafka=${folders[0]} opensearch=${folders[2]}
say "starting Kafka and OpenSearch"
start_kafka
start_opensearch
say "starting the exporter and the Flink job"
start_exporter
start flink "$here/../jobs/flink/run" "--brokers=$brokers" --lateness=10s
flink=$started
start_traffic
read_topic podnet.detections
read_topic podnet.matrix
say "${prefix}scan tries 400 ports of ${prefix}api ($scanned)"
scan &
wait "$!"
say "the job finds it when its minute is over, with records that are up to 10 s late"
wait_for flink "$flink" grep -q port_scan "$folder/podnet.detections"
say "found (topic podnet.detections):"
show_scan
wait_for flink "$flink" test -s "$folder/podnet.matrix"
say "who talked to whom in that minute (topic podnet.matrix):"
show_matrix
wait_for exporter "$exporter" has_refused
say "and of OpenSearch, which pods were refused, at how many ports:"
printf '\n  curl %s/podnet-flow/_search -H "Content-Type: application/json" -d '\''%s'\''\n\n' "$search" "$query"
ask_search | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["aggregations"], indent=2))'
kill "$exporter"
wait "$exporter" || true
say "no record is missing: podnet-exporter flows verify --from=podnet.flows --brokers=$brokers"
"$binary" flows verify --from=podnet.flows "--brokers=$brokers"
say "done"
