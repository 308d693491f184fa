package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/meshfence/meshfence/deploy/build"
)

// platforms are those on which OpenShift and Kubernetes run.
func platforms() []build.Platform {
	return []build.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}, {OS: "linux", Arch: "ppc64le"}, {OS: "linux", Arch: "s390x"}}
}

// release is what an image is made of.
type release struct {
	version, ldflags string
	// commit is empty for a source that is not exactly a commit.
	commit string
	// builder says which machine or service made it; empty if that is not known.
	builder string
	date    time.Time
}

// layout builds the image of each platform, and writes them to the folder to: one index of all, and what is attached to each. It
// returns the digest of the index. A folder that is there is replaced once everything is made.
func (r *release) layout(root, to string, chosen []build.Platform) (v1.Hash, error) {
	var none v1.Hash
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return none, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(to), ".image-")
	if err != nil {
		return none, err
	}
	digest, err := r.write(root, dir, chosen)
	if err == nil {
		err = errors.Join(os.RemoveAll(to), os.Chmod(filepath.Join(dir, "layout"), 0o755))
	}
	if err == nil {
		err = os.Rename(filepath.Join(dir, "layout"), to)
	}
	return digest, errors.Join(err, os.RemoveAll(dir))
}

// write makes the layout in a folder of dir, and the binaries beside it.
func (r *release) write(root, dir string, chosen []build.Platform) (v1.Hash, error) {
	var none v1.Hash
	path, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
	if err != nil {
		return none, err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var attached []v1.Image
	for _, platform := range chosen {
		binary := filepath.Join(dir, platform.Arch)
		if binary, err = filepath.Abs(binary); err != nil {
			return none, err
		}
		if err := platform.Binary(root, binary, r.ldflags); err != nil {
			return none, fmt.Errorf("%s: %w", platform, err)
		}
		image, artifacts, err := r.image(binary, platform)
		if err != nil {
			return none, fmt.Errorf("%s: %w", platform, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: platform.OS, Architecture: platform.Arch}},
		})
		attached = append(attached, artifacts...)
	}
	index = mutate.Annotations(index, r.labels()).(v1.ImageIndex)
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{refName: r.version})); err != nil {
		return none, err
	}
	for _, artifact := range attached {
		if err := path.AppendImage(artifact); err != nil {
			return none, err
		}
	}
	return index.Digest()
}

// image is that of one platform, with what is attached to it: what is in it (SPDX), and what it was made of (SLSA).
func (r *release) image(binary string, platform build.Platform) (v1.Image, []v1.Image, error) {
	image, err := r.bare(binary, platform)
	if err != nil {
		return nil, nil, err
	}
	subject, err := partial.Descriptor(image)
	if err != nil {
		return nil, nil, err
	}
	contents, err := contentsOf(binary)
	if err != nil {
		return nil, nil, err
	}
	sbom, err := r.sbom(contents, platform, subject.Digest)
	if err != nil {
		return nil, nil, err
	}
	provenance, err := r.provenance(contents, platform, subject.Digest)
	if err != nil {
		return nil, nil, err
	}
	var attached []v1.Image
	for _, text := range []struct {
		kind types.MediaType
		json []byte
	}{{spdxType, sbom}, {inTotoType, provenance}} {
		artifact, err := attach(*subject, text.kind, text.json)
		if err != nil {
			return nil, nil, err
		}
		attached = append(attached, artifact)
	}
	return image, attached, nil
}
