# The example application in a root as distroless images have it (users, a home, /tmp, no shell),
# with meshim in it.
ARG TARGETARCH=amd64

FROM scratch AS amd64
COPY target/x86_64-unknown-linux-musl/release/examples/hello-server /app/hello-server
COPY target/x86_64-unknown-linux-musl/release/meshim /meshim

FROM scratch AS arm64
COPY target/aarch64-unknown-linux-musl/release/examples/hello-server /app/hello-server
COPY target/aarch64-unknown-linux-musl/release/meshim /meshim

FROM ${TARGETARCH}
COPY images/distroless-root /
USER 65532:65532
WORKDIR /home/nonroot
ENTRYPOINT ["/meshim", "--", "/app/hello-server"]
