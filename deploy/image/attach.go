package main

import (
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The types of what is attached, by which tools ask a registry for it.
const (
	spdxType   types.MediaType = "application/spdx+json"
	inTotoType types.MediaType = "application/vnd.in-toto+json"
)

// The configuration of an artifact that needs none (https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidance-for-an-empty-descriptor).
const (
	emptyType types.MediaType = "application/vnd.oci.empty.v1+json"
	emptyText string          = "{}"
)

// artifact is a text in the form of an image, which is what registries store.
type artifact struct {
	manifest     []byte
	config, text v1.Layer
}

// attach makes the artifact with a text that refers to the image subject. It is found by the image's digest: by the registry's referrers API,
// or by the tag that stands for it where there is none (https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers).
func attach(subject v1.Descriptor, kind types.MediaType, text []byte) (v1.Image, error) {
	a := &artifact{config: static.NewLayer([]byte(emptyText), emptyType), text: static.NewLayer(text, kind)}
	config, err := partial.Descriptor(a.config)
	if err != nil {
		return nil, err
	}
	config.Data = []byte(emptyText)
	content, err := partial.Descriptor(a.text)
	if err != nil {
		return nil, err
	}
	a.manifest, err = json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: string(kind), Config: *config, Layers: []v1.Descriptor{*content},
		// Of a subject only these three are written; its platform is the image's affair.
		Subject: &v1.Descriptor{MediaType: subject.MediaType, Size: subject.Size, Digest: subject.Digest},
	})
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(a)
}

func (a *artifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (a *artifact) RawManifest() ([]byte, error)        { return a.manifest, nil }
func (a *artifact) RawConfigFile() ([]byte, error)      { return []byte(emptyText), nil }

func (a *artifact) LayerByDigest(wanted v1.Hash) (partial.CompressedLayer, error) {
	for _, blob := range []v1.Layer{a.config, a.text} {
		if digest, err := blob.Digest(); err != nil || digest == wanted {
			return blob, err
		}
	}
	return nil, fmt.Errorf("the artifact has no blob %s", wanted)
}
