# A static binary and nothing else. Build it and run the demo:
#
#	docker build -t agentzero .
#	docker run --rm -p 127.0.0.1:42617:42617 agentzero gateway --demo
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/agentzero ./cmd/agentzero && \
    install -d -m 0700 -o 65532 -g 65532 /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/agentzero /agentzero
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
# Published ports and the containers of the same network reach this address;
# pairing is required there as everywhere. Which agent answers is told by the
# environment (AGENTZERO_AGENT__PROVIDER, ...) or by /data/agentzero.toml.
ENV AGENTZERO_DATA_DIR=/data \
    AGENTZERO_GATEWAY__HOST=0.0.0.0 \
    AGENTZERO_GATEWAY__ALLOW_PUBLIC_BIND=true
VOLUME /data
EXPOSE 42617
STOPSIGNAL SIGTERM
# A gateway that drains is unhealthy too: it takes no new work.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/agentzero", "health"]
ENTRYPOINT ["/agentzero"]
CMD ["gateway"]
