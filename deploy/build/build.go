// Package build makes the static binary of meshfence for a platform. What is released is made of it: the image and the plugin of kubectl.
package build

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Platform is an operating system and a processor, in Go's names.
type Platform struct{ OS, Arch string }

func (p Platform) String() string { return p.OS + "/" + p.Arch }

// Choose returns the platforms of a comma-separated list, each of which must be one of all; an empty list stands for all.
func Choose(list string, all []Platform) ([]Platform, error) {
	if list == "" {
		return all, nil
	}
	var chosen []Platform
	for name := range strings.SplitSeq(list, ",") {
		system, arch, _ := strings.Cut(name, "/")
		if !slices.Contains(all, Platform{system, arch}) {
			return nil, fmt.Errorf("-platforms %q is not one of %v", name, all)
		}
		chosen = append(chosen, Platform{system, arch})
	}
	return chosen, nil
}

// Binary builds the program of the clone in the folder root for the platform. The same source, flags and compiler give the same bytes.
func (p Platform) Binary(root, to, ldflags string) error {
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", ldflags, "-o", to, "./cmd/meshfence")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Arch, "GOFLAGS=")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}
