# docker buildx build --platform linux/amd64,linux/arm64 --tag REGISTRY/podnet-exporter:0.1.0 --push .
#
# `make image` makes the same root file system on a Debian 12 without a daemon. For builds that can be repeated give both images with their
# digests, as NAME@sha256:..., and SOURCE_DATE_EPOCH.

ARG DEBIAN=debian:bookworm-slim
ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0

FROM ${SDK} AS sdk

# The oldest supported Debian: what is linked with its libraries, and runs with them in the last stage, is what is tested.
FROM ${DEBIAN} AS build
ENV DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
COPY --from=sdk /usr/share/dotnet /usr/share/dotnet
RUN ln -s /usr/share/dotnet/dotnet /usr/local/bin/dotnet \
    && apt-get update && apt-get install --yes --no-install-recommends ca-certificates make
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
