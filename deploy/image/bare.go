package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/meshfence/meshfence/deploy/build"
)

const (
	repository = "https://github.com/meshfence/meshfence"
	// refName is the annotation of a layout's index by which tools find an image by its tag.
	refName = "org.opencontainers.image.ref.name"
	// revision is the label and annotation with the commit.
	revision = "org.opencontainers.image.revision"
	// program is the only file of the image.
	program = "meshfence"
)

// labels are those that registries and scanners know (https://github.com/opencontainers/image-spec/blob/main/annotations.md).
func (r *release) labels() map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":         "meshfence",
		"org.opencontainers.image.description":   "Keeps several Istio control planes in one cluster apart",
		"org.opencontainers.image.source":        repository,
		"org.opencontainers.image.documentation": repository + "/blob/main/docs/README.md",
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.version":       r.version,
		"org.opencontainers.image.created":       r.date.Format(time.RFC3339),
	}
	if r.commit != "" {
		labels[revision] = r.commit
	}
	return labels
}

// bare is an image of the binary and nothing else, as the last stage of the Dockerfile makes it.
func (r *release) bare(binary string, platform build.Platform) (v1.Image, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	archive, err := r.archive(content)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	created := v1.Time{Time: r.date}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{
		Layer: layer, MediaType: types.OCILayer, History: v1.History{Created: created, CreatedBy: "make image", Comment: program},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created, config.Author = platform.OS, platform.Arch, created, "the meshfence authors"
	config.Config = v1.Config{
		// A number, so that Kubernetes can check runAsNonRoot without a user database.
		User:         "65532:65532",
		ExposedPorts: map[string]struct{}{"9443/tcp": {}, "8081/tcp": {}, "8080/tcp": {}},
		Entrypoint:   []string{"/" + program},
		Cmd:          []string{"serve"},
		WorkingDir:   "/",
		Labels:       r.labels(),
	}
	return mutate.ConfigFile(image, config)
}

// archive is the layer. Its file belongs to root and may be read and run by all, because OpenShift gives a pod an arbitrary user.
func (r *release) archive(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	header := &tar.Header{Typeflag: tar.TypeReg, Name: program, Size: int64(len(content)), Mode: 0o755, ModTime: r.date, Format: tar.FormatUSTAR}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
