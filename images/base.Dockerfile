# A base image with meshim as its entrypoint, for applications that bring everything else
# themselves:
#   FROM registry.example/meshim-base:0.2.0
#   COPY app /app
#   CMD ["/app", "--port=8080"]
# What is in CMD is waited for and then started; MESHIM_* variables are the settings.
ARG BASE=scratch
ARG TARGETARCH=amd64

FROM scratch AS amd64
COPY target/x86_64-unknown-linux-musl/release/meshim /meshim

FROM scratch AS arm64
COPY target/aarch64-unknown-linux-musl/release/meshim /meshim

FROM ${TARGETARCH} AS binary

FROM ${BASE}
COPY --from=binary /meshim /meshim
# Nobody's ids in particular, and none that a mesh's proxy has.
USER 65532:65532
ENTRYPOINT ["/meshim", "--"]
