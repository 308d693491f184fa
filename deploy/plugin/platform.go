package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// platform is an operating system and a processor.
type platform struct{ os, arch string }

// platforms are those of which people run kubectl.
func platforms() []platform {
	var all []platform
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			all = append(all, platform{system, arch})
		}
	}
	return all
}

// choose returns the platforms of a list, all for an empty one.
func choose(only string) ([]platform, error) {
	if only == "" {
		return platforms(), nil
	}
	var chosen []platform
	for name := range strings.SplitSeq(only, ",") {
		system, arch, _ := strings.Cut(name, "/")
		if !slices.Contains(platforms(), platform{system, arch}) {
			return nil, fmt.Errorf("-platforms %q is not one of %v", name, platforms())
		}
		chosen = append(chosen, platform{system, arch})
	}
	return chosen, nil
}

func (p platform) String() string { return p.os + "/" + p.arch }

// binary is the name by which kubectl finds a plugin.
func (p platform) binary() string {
	if p.os == "windows" {
		return "kubectl-meshfence.exe"
	}
	return "kubectl-meshfence"
}

func (p platform) archive() string {
	if p.os == "windows" {
		return fmt.Sprintf("kubectl-meshfence_%s_%s.zip", p.os, p.arch)
	}
	return fmt.Sprintf("kubectl-meshfence_%s_%s.tar.gz", p.os, p.arch)
}

// build makes the static binary.
func (p platform) build(to, ldflags string) error {
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", ldflags, "-o", to, "./cmd/meshfence")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOFLAGS=")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// completion has kubectl complete the plugin's commands and flags: it looks for a program of this name in PATH
// (k8s.io/kubectl/pkg/cmd/plugin/plugin_completion.go).
const completion = `#!/bin/sh
exec kubectl meshfence __complete "$@"
`

// file is one of an archive.
type file struct {
	name    string
	content []byte
	mode    int64
}

// files are what an archive has.
func (p platform) files(binary string) ([]file, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	license, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	all := []file{{p.binary(), program, 0o755}, {"LICENSE", license, 0o644}}
	if p.os != "windows" {
		all = append(all, file{"kubectl_complete-meshfence", []byte(completion), 0o755})
	}
	return all, nil
}
