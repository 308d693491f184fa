package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// contents are what a binary was made of, as the compiler wrote it into the binary itself: no list of ours can differ from it.
type contents struct {
	compiler string // as in go1.26.8
	modules  []module
}

// module is one of the Go modules that are in the binary.
type module struct {
	path, version string
	// hash is the SHA-256 of the module's files as go.sum has it, in hexadecimal digits; Go calls it h1, in-toto dirHash.
	hash string
}

// purl is the module's package URL (https://github.com/package-url/purl-spec).
func (m module) purl() string {
	return "pkg:golang/" + m.path + "@" + strings.ReplaceAll(m.version, "+", "%2B")
}

// contentsOf reads them from the binary.
func contentsOf(binary string) (*contents, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	c := &contents{compiler: info.GoVersion}
	for _, dependency := range info.Deps {
		if dependency.Replace != nil {
			dependency = dependency.Replace
		}
		sum, ok := strings.CutPrefix(dependency.Sum, "h1:")
		raw, err := base64.StdEncoding.DecodeString(sum)
		if !ok || err != nil {
			return nil, fmt.Errorf("module %s has the checksum %q, which is not of Go's kind h1", dependency.Path, dependency.Sum)
		}
		c.modules = append(c.modules, module{dependency.Path, dependency.Version, hex.EncodeToString(raw)})
	}
	return c, nil
}
