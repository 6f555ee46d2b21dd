# The example application in an empty root: no shell, no curl, no passwd, no meshim. deploy/ hands
# it meshim.
ARG TARGETARCH=amd64

FROM scratch AS amd64
COPY target/x86_64-unknown-linux-musl/release/examples/hello-server /hello-server

FROM scratch AS arm64
COPY target/aarch64-unknown-linux-musl/release/examples/hello-server /hello-server

FROM ${TARGETARCH}
USER 65532:65532
ENTRYPOINT ["/hello-server"]
