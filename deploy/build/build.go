// Package build makes the static binary of meshfence for a platform. What is released is made of it: the image and the plugin of kubectl.
package build

import (
	"encoding/json"
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

// pinned is what else decides about the bytes: all that Go lets an environment, a file of `go env -w` or a workspace choose. The values are Go's own defaults,
// the processors those of the oldest machines; `make build` sets the same, which a test compares.
func pinned() []string {
	return []string{
		"CGO_ENABLED=0", "GOFLAGS=", "GOENV=off", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0", "GOPPC64=power8", "GOEXPERIMENT=", "GOFIPS140=off",
	}
}

// passed are the settings that say where modules come from, which compiler is meant, and where caches are. GOENV=off drops what `go env -w` has
// set of them, so they are asked for before.
func passed() []string {
	return []string{
		"GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOVCS", "GOAUTH", "GOTOOLCHAIN", "GOPATH", "GOMODCACHE", "GOCACHE", "GOCACHEPROG",
		"GOTMPDIR",
	}
}

// environment is that of a build in the folder root.
func environment(root string) ([]string, error) {
	cmd := exec.Command("go", append([]string{"env", "-json"}, passed()...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	values := map[string]string{}
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	all := os.Environ()
	for _, name := range passed() {
		all = append(all, name+"="+values[name])
	}
	return append(all, pinned()...), nil
}

// Binary builds the program of the clone in the folder root for the platform. The same source, flags and compiler give the same bytes.
func (p Platform) Binary(root, to, ldflags string) error {
	env, err := environment(root)
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", ldflags, "-o", to, "./cmd/meshfence")
	cmd.Dir = root
	cmd.Env = slices.Concat(env, []string{"GOOS=" + p.OS, "GOARCH=" + p.Arch})
	cmd.Stderr = os.Stderr
	return cmd.Run()
}
