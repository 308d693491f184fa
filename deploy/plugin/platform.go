package main

import (
	"fmt"
	"os"

	"github.com/meshfence/meshfence/deploy/build"
)

// platform is one of those of which people run kubectl.
type platform struct{ build.Platform }

func platforms() []build.Platform {
	var all []build.Platform
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			all = append(all, build.Platform{OS: system, Arch: arch})
		}
	}
	return all
}

// binary is the name by which kubectl finds a plugin.
func (p platform) binary() string {
	if p.OS == "windows" {
		return "kubectl-meshfence.exe"
	}
	return "kubectl-meshfence"
}

func (p platform) archive() string {
	if p.OS == "windows" {
		return fmt.Sprintf("kubectl-meshfence_%s_%s.zip", p.OS, p.Arch)
	}
	return fmt.Sprintf("kubectl-meshfence_%s_%s.tar.gz", p.OS, p.Arch)
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
	if p.OS != "windows" {
		all = append(all, file{"kubectl_complete-meshfence", []byte(completion), 0o755})
	}
	return all, nil
}
