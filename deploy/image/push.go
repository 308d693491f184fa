package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/meshfence/meshfence/deploy/build"
)

// parcel is what a push takes from a layout: the index of the images, and what is attached to them.
type parcel struct {
	index    v1.ImageIndex
	attached []v1.Image
	// version is that of the layout.
	version string
}

// push copies the layout to a registry, all of it by digest, and last gives the index the tag to: a push that fails leaves the tag as it was, so that what
// has the tag has its attachments too. Images for all of wanted must be in the layout. Who may push is what `docker login`, `podman login` and their helpers
// have stored. It returns the name with the digest.
func push(ctx context.Context, from, to string, wanted []build.Platform) (string, error) {
	tag, err := name.NewTag(to, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("%w; a name has a registry and a tag, as in registry.example.com/meshfence:v1.2.3", err)
	}
	p, err := open(from)
	if err != nil {
		return "", err
	}
	if err := p.check(tag.TagStr(), wanted); err != nil {
		return "", err
	}
	pusher, err := remote.NewPusher(remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return "", err
	}
	digest, err := p.index.Digest()
	if err != nil {
		return "", err
	}
	ref := tag.Context().Digest(digest.String())
	if err := pusher.Push(ctx, ref, p.index); err != nil {
		return "", err
	}
	for _, artifact := range p.attached {
		digest, err := artifact.Digest()
		if err != nil {
			return "", err
		}
		if err := pusher.Push(ctx, tag.Context().Digest(digest.String()), artifact); err != nil {
			return "", fmt.Errorf("%s has no tag yet, because what is attached to it could not be pushed; make push again: %w", ref, err)
		}
	}
	return ref.String(), pusher.Put(ctx, tag, p.index)
}

// open reads a layout.
func open(from string) (*parcel, error) {
	path, err := layout.FromPath(from)
	if err != nil {
		return nil, fmt.Errorf("%w; make image makes it", err)
	}
	all, err := path.ImageIndex()
	if err != nil {
		return nil, err
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		return nil, err
	}
	p := &parcel{}
	for _, d := range manifest.Manifests {
		if d.MediaType.IsIndex() {
			p.version = d.Annotations[refName]
			if p.index, err = all.ImageIndex(d.Digest); err != nil {
				return nil, err
			}
			continue
		}
		artifact, err := all.Image(d.Digest)
		if err != nil {
			return nil, err
		}
		p.attached = append(p.attached, artifact)
	}
	if p.index == nil {
		return nil, fmt.Errorf("%s has no index of images; make image makes it", from)
	}
	return p, nil
}

// releaseTag is a tag that says which version an image is.
var releaseTag = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+`)

// noCommit says why an image is not pushed, and what to do.
const noCommit = "its source was not exactly a commit of this repository, so what it was made of cannot be said; git status --ignored shows what differs: commit it or move it away, or take a new clone, then make image again"

// check refuses what a tag would be a lie about.
func (p *parcel) check(tag string, wanted []build.Platform) error {
	manifest, err := p.index.IndexManifest()
	if err != nil {
		return err
	}
	if manifest.Annotations[revision] == "" || strings.HasSuffix(p.version, "-dirty") {
		return fmt.Errorf("the image of version %s is not pushed: %s", p.version, noCommit)
	}
	if releaseTag.MatchString(tag) && tag != p.version {
		return fmt.Errorf("the image is of version %s, and the tag is %s: make image VERSION=%s in the clone of that tag, then push that", p.version, tag, tag)
	}
	var missing []string
	for _, platform := range wanted {
		if !has(manifest, platform) {
			missing = append(missing, platform.String())
		}
	}
	if len(missing) > 0 {
		list := strings.Join(missing, ",")
		return errors.New("the image lacks " + list + ": make image without PLATFORMS makes all, or name those that are to be pushed, as in make push PLATFORMS=linux/amd64")
	}
	return nil
}

func has(index *v1.IndexManifest, wanted build.Platform) bool {
	for _, d := range index.Manifests {
		if d.Platform != nil && d.Platform.OS == wanted.OS && d.Platform.Architecture == wanted.Arch {
			return true
		}
	}
	return false
}
