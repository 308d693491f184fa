// Command image is `make image` and `make push`: it makes the image of meshfence for all platforms, without a container engine, and pushes it to a
// registry.
//
//	image build -root ../.. -out bin/image -version v1.2.3 -commit 0123abc -date 2026-01-02T03:04:05Z
//	image push -from bin/image registry.example.com/meshfence:v1.2.3
//
// The result is an OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md). The same commit and compiler give the
// same digests of the images. The files and the configuration are those of the last stage of the Dockerfile, which a test compares: that is why the image is
// made with go-containerregistry and not with ko, which is built on it but puts the binary elsewhere (/ko-app).
package main
