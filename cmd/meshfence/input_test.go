package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/audit"
)

func TestAFleetIsReadFromStandardInput(t *testing.T) {
	in := newInput()
	in.paths, in.against = []string{filepath.Join(folder(t, map[string]string{"shop.yaml": crossed}), "shop.yaml")}, "-"
	l, err := in.look(context.Background(), audit.Scope{}, strings.NewReader(meshes), io.Discard)
	if err != nil || len(l.objects) != 1 || len(l.problems) != 0 {
		t.Fatalf("%v, %+v", err, l)
	}
	if n := len(l.stored.Keys()); n != 4 {
		t.Errorf("%d objects of the fleet, want 4", n)
	}
	in.paths = []string{"-"}
	if _, err = in.look(context.Background(), audit.Scope{}, strings.NewReader(meshes), io.Discard); err == nil || err.Error() != "--against and -f cannot both be standard input" {
		t.Errorf("both from standard input: %v", err)
	}
}
