# docker buildx build --platform linux/amd64,linux/arm64 --tag REGISTRY/podnet-exporter:0.1.0 --push .
#
# `make image` makes the same root file system without a daemon. For builds that can be repeated give SDK with a digest, as NAME@sha256:...

ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0-noble

FROM ${SDK} AS build
WORKDIR /source
COPY scripts/install-deps.sh scripts/
RUN scripts/install-deps.sh build image
COPY . .
RUN make build && scripts/image-root.sh artifacts/podnet-exporter /image

FROM scratch
LABEL org.opencontainers.image.title="podnet-exporter"
LABEL org.opencontainers.image.description="Bytes, packets and TCP handshakes of every pod of a node, for Prometheus"
LABEL org.opencontainers.image.version="0.1.0"
LABEL org.opencontainers.image.licenses="Apache-2.0 AND GPL-2.0-only"
COPY --from=build /image/ /
# Root without privileges: added capabilities reach the program of another user only as ambient ones, which Kubernetes does not set, and
# capabilities of a file are void where privileges cannot be escalated.
USER 0
EXPOSE 9969
ENTRYPOINT ["/usr/bin/podnet-exporter"]
