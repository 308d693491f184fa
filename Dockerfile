# The image of meshfence: one static binary and nothing else. For several architectures at once:
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=... --build-arg COMMIT=... --build-arg DATE=... .
# .git is not copied, so the three arguments carry what `make build` asks git for.

# The compiler runs on the builder's own architecture and cross-compiles: no emulation. The digest is that of the tag's index,
# which has all architectures.
FROM --platform=$BUILDPLATFORM golang:1.26.8@sha256:9d2f36f06329b2a141b9db99ffa32765cf695ee57b813ca29e245e8670bcbfff AS build
WORKDIR /src

# Modules first: a change of the code alone does not download them again.
COPY go.mod go.sum ./
RUN go mod download

# Product code only: a change below test/ or deploy/ gives the same image.
COPY audit audit
COPY cmd cmd
COPY docs docs
COPY certs certs
COPY webhook webhook

ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG COMMIT=unknown
ARG DATE=unknown
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -buildvcs=false -trimpath \
    -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT -X main.date=$DATE" \
    -o /meshfence ./cmd/meshfence

FROM scratch
COPY --from=build /meshfence /meshfence
# A number, so that Kubernetes can check runAsNonRoot without a user database.
USER 65532:65532
EXPOSE 9443 8081 8080
ENTRYPOINT ["/meshfence"]
CMD ["serve"]
