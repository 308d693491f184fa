package main

import (
	"strings"
	"testing"
)

func TestAMapSaysByItsStatusWhatIsMissing(t *testing.T) {
	dir := folder(t, map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed})
	broken := folder(t, map[string]string{"meshes.yaml": meshes, "bad.yaml": "a: [b\n"})
	exempt := writeFile(t, "config.yaml", "apiVersion: meshfence.io/v1alpha1\nkind: Configuration\nexemptNamespaces: [shop]\n")
	for _, test := range []struct {
		name   string
		args   []string
		status int
		stdout string // a part of it, or "" for none
		stderr string
	}{
		{"all of it", []string{"-f", dir}, 0, "namespace shop", ""},
		{"without a namespace", []string{"-f", folder(t, map[string]string{"meshes.yaml": meshes})}, 0, "mesh-1", ""},
		{"what cannot be read", []string{"-f", broken}, 2, "mesh-1", "left out: "},
		{"a part of a cluster stands for none", []string{"-f", broken, "-o", "fleet"}, 2, "", "no file is written that would stand for a part of the cluster"},
		{"nothing at all", []string{"-f", folder(t, map[string]string{"bad.yaml": "a: [b\n"})}, 2, "", "there is nothing to show"},
		{"an exempt namespace", []string{"-f", dir, "--config", exempt}, 0, "nothing wrong", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, status := output(t, append([]string{"map"}, test.args...)...)
			if status != test.status || !strings.Contains(stdout, test.stdout) || (test.stdout == "") != (stdout == "") || !strings.Contains(stderr, test.stderr) {
				t.Errorf("status %d, want %d; stdout %q; stderr %q", status, test.status, stdout, stderr)
			}
		})
	}
}
