package main

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The media types of what is attached, by which tools ask a registry for it.
const (
	spdxType   types.MediaType = "application/spdx+json"
	inTotoType types.MediaType = "application/vnd.in-toto+json"
)

// attach makes the artifact with a text that refers to the image subject. It is found by the image's digest: by the registry's referrers API,
// or by the tag that stands for it where there is none (https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers).
// That API calls the media type of an artifact's configuration its type.
func attach(subject v1.Descriptor, kind types.MediaType, text []byte) (v1.Image, error) {
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), kind)
	image, err := mutate.Append(base, mutate.Addendum{Layer: static.NewLayer(text, kind), MediaType: kind})
	if err != nil {
		return nil, err
	}
	// Of a subject only these three are written; its platform is the image's affair.
	subject = v1.Descriptor{MediaType: subject.MediaType, Size: subject.Size, Digest: subject.Digest}
	return mutate.Subject(image, subject).(v1.Image), nil
}
