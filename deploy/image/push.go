package main

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push copies the layout to a registry, the index under the name to and what is attached under its digest. Who may push is what
// `docker login`, `podman login` and their helpers have stored. It returns the name with the digest.
func push(ctx context.Context, from, to string) (string, error) {
	ref, err := name.NewTag(to, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("%w; a name has a registry and a tag, as in registry.example.com/meshfence:v1.2.3", err)
	}
	path, err := layout.FromPath(from)
	if err != nil {
		return "", fmt.Errorf("%w; make image makes it", err)
	}
	all, err := path.ImageIndex()
	if err != nil {
		return "", err
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		return "", err
	}
	pusher, err := remote.NewPusher(remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return "", err
	}
	var pushed v1.Hash
	for _, d := range manifest.Manifests {
		if d.MediaType.IsIndex() {
			index, err := all.ImageIndex(d.Digest)
			if err != nil {
				return "", err
			}
			if err := pusher.Push(ctx, ref, index); err != nil {
				return "", err
			}
			pushed = d.Digest
			continue
		}
		artifact, err := all.Image(d.Digest)
		if err != nil {
			return "", err
		}
		if err := pusher.Push(ctx, ref.Context().Digest(d.Digest.String()), artifact); err != nil {
			return "", err
		}
	}
	return ref.Context().Digest(pushed.String()).String(), nil
}
