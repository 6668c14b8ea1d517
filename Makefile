# The verbs of this repository. Those that need tools install what is missing (Debian and Ubuntu, as root).

CONFIGURATION ?= Release
ARCH := $(shell uname -m)
RID := $(if $(filter aarch64,$(ARCH)),linux-arm64,linux-x64)
BINARY := artifacts/podnet-exporter
# The commit whose binary upgrades are tested with.
EARLIER := 21bd558
EARLIER_BINARY = $(CURDIR)/artifacts/earlier/$(EARLIER)/podnet-exporter
SOURCES := $(shell find bpf exporter -type f -not -path '*/bin/*' -not -path '*/obj/*') Directory.Build.props Directory.Packages.props

.DELETE_ON_ERROR:
.PHONY: help build demo demo-flows test vm-test upgrade-test engine-test bench image chart lint docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: deps-build $(BINARY) ## artifacts/podnet-exporter, the native binary

$(BINARY): $(SOURCES) | deps-build
	dotnet publish exporter/Exporter -c $(CONFIGURATION) -r $(RID) -o artifacts/publish
	cp --remove-destination artifacts/publish/librdkafka.so artifacts/publish/librdkafka.LICENSES.txt artifacts/
	cp --remove-destination artifacts/publish/podnet-exporter $@

demo: build deps-demo ## three namespaces with traffic between them, and the exporter in front of you
	@scripts/demo.sh $(BINARY)

demo-flows: build deps-demo deps-engine ## records of flows on their way through Kafka, a Flink job that finds a port scan, and OpenSearch, all on this machine
	@scripts/demo-flows.sh $(BINARY)

test: build deps-test deps-vm deps-image deps-chart deps-container deps-engine ## every test that this machine can run
	@scripts/test.sh

vm-test: build deps-vm ## the same binary on Debian's kernels 5.10, 6.1, 6.12 and 7.x, in virtual machines
	@tests/vm/test.sh

upgrade-test: build deps-test deps-vm $(EARLIER_BINARY) ## from the binary of an earlier commit to this one and back, here and on those kernels; EARLIER=COMMIT for another
	@dotnet build tests/Exporter.Kernel.Tests -c Release --nologo --verbosity quiet
	@PODNET_EARLIER=$(EARLIER_BINARY) scripts/isolated.sh tests/Exporter.Kernel.Tests/bin/Release/net10.0/Exporter.Kernel.Tests -noColor -noLogo -class '*.UpgradeTests'
	@PODNET_EARLIER=$(EARLIER_BINARY) tests/vm/test.sh --only=upgrade

engine-test: build deps-test deps-engine ## export and jobs on real Kafka, Flink, Spark and OpenSearch; their packs are found, or fetched, by scripts/engines
	@dotnet build tests/Exporter.Engine.Tests -c Release --nologo --verbosity quiet
	@tests/Exporter.Engine.Tests/bin/Release/net10.0/Exporter.Engine.Tests -noColor -noLogo
	@dotnet build tests/Exporter.Kernel.Tests -c Release --nologo --verbosity quiet
	@if [ "$$(id -u)" = 0 ]; then \
		scripts/isolated.sh tests/Exporter.Kernel.Tests/bin/Release/net10.0/Exporter.Kernel.Tests -noColor -noLogo -class '*.FlowKafkaTests' -class '*.FlowSearchTests'; \
	else \
		echo 'The tests of the binary beside Kafka and OpenSearch need root, and did not run.' >&2; \
	fi

$(EARLIER_BINARY): | deps-build
	scripts/earlier-binary.sh $(EARLIER) $@

bench: build deps-test $(if $(filter sinks search,$(BENCH)),deps-engine) ## the tables of docs/performance.md; BENCH=packets, flows, records, flow-footprint, uplinks, handshakes, drain, footprint, series, attach, naming, fleet, continuity, server for one, sinks, search and soak too, the first and the last of which take a quarter and half an hour; AGAINST=binary compares with another
	@dotnet build tests/Exporter.Benchmarks -c Release --nologo --verbosity quiet
	@AGAINST=$(AGAINST) scripts/isolated.sh dotnet tests/Exporter.Benchmarks/bin/Release/net10.0/Exporter.Benchmarks.dll $(BENCH)

image: build deps-image ## artifacts/podnet-exporter-image.tar, the image as an OCI archive, and its bill of materials
	@scripts/image.sh $(BINARY) artifacts/podnet-exporter-image.tar
	@scripts/sbom.sh artifacts/podnet-exporter-image.tar artifacts/podnet-exporter-image.cdx.json

chart: deps-chart ## artifacts/podnet-exporter-VERSION.tgz, the Helm chart as a package
	@scripts/chart.sh artifacts

lint: deps-build deps-lint ## formatting, warnings, and phrases that are hard to read
	@scripts/lint.sh

docs: build ## the parts of docs/metrics.md, docs/options.md, docs/flows.md, chart/values.schema.json, chart/options.yaml and jobs/spark/schema.sql that the program itself knows
	@for part in metrics options 'flows schema --for=fields'; do \
		page=docs/$${part%% *}.md; \
		sed -i '/^<!-- From here on/q' "$$page" && printf '\n' >>"$$page" && $(BINARY) $$part >>"$$page" || exit; \
	done
	@$(BINARY) flows schema --for=spark >jobs/spark/schema.sql
	@$(BINARY) options --schema >artifacts/options.schema
	@sed -i -e '/^    "options": {$$/,/^    },$$/{/^    },$$/r artifacts/options.schema' -e 'd}' chart/values.schema.json
	@scripts/chart-options.sh >chart/options.yaml

deps-%:
	@scripts/install-deps.sh $*

clean: ## everything that was built
	rm -rf artifacts
	find exporter tests -type d \( -name bin -o -name obj \) -prune -exec rm -rf {} +
