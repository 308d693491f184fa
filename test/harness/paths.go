package harness

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// module is the first line of the repository's go.mod.
const module = "module github.com/meshfence/meshfence\n"

// Root returns the repository's top folder: the nearest one at or above the working directory that holds its go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte(module)) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run this inside the meshfence repository: no go.mod of it at or above the working directory")
		}
		dir = parent
	}
}

// controlPlaneDir returns the folder that holds kube-apiserver, etcd and kubectl: KUBEBUILDER_ASSETS when it is set,
// else the newest version that `make controlplane` has built, of the minor version in K8S ("1.31") when that is set.
func controlPlaneDir(root string) (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir, nil
	}
	want := os.Getenv("K8S")
	parent := filepath.Join(root, "bin", "controlplane")
	entries, err := os.ReadDir(parent)
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	var built []*version.Version
	for _, entry := range entries {
		v, err := version.ParseGeneric(entry.Name())
		if err == nil && (want == "" || strings.HasPrefix(entry.Name()+".", want+".")) {
			built = append(built, v)
		}
	}
	if len(built) == 0 {
		return "", fmt.Errorf("no API server %s in bin/controlplane: run `make controlplane`", cmp.Or(want, "of any version"))
	}
	newest := slices.MaxFunc(built, func(a, b *version.Version) int {
		if a.LessThan(b) {
			return -1
		}
		return 1
	})
	return filepath.Join(parent, newest.String()), nil
}

// CRDSet names the CustomResourceDefinitions that a cluster has.
type CRDSet string

const (
	// Slim is the set in test/testdata/crds: the fields that meshfence reads, and no others.
	Slim CRDSet = "slim"
	// Real is the operator's own set, in the folder shared/crds beside the repository. It may be absent.
	Real CRDSet = "real"
)

// dir returns the folder of the set's files.
func (s CRDSet) dir(root string) string {
	if s == Real {
		return filepath.Join(root, "..", "shared", "crds")
	}
	return filepath.Join(root, "test", "testdata", "crds")
}

// ChooseCRDSets returns the sets that want names: "slim", "real" or "both". When want is "", it is preferred if that
// set's files are there, and Slim if not; preferred "" stands for all whose files are there.
func ChooseCRDSets(want string, preferred CRDSet) ([]CRDSet, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(Real.dir(root))
	haveReal := err == nil && info.IsDir()
	switch {
	case want == string(Slim), want == "" && !haveReal, want == "" && preferred == Slim:
		return []CRDSet{Slim}, nil
	case want != "" && want != string(Real) && want != "both":
		return nil, fmt.Errorf("CRDS=%s: it is slim, real or both", want)
	case !haveReal:
		return nil, fmt.Errorf("CRDS=%s: the folder shared/crds beside the repository is not there", want)
	case want == string(Real), want == "" && preferred == Real:
		return []CRDSet{Real}, nil
	default:
		return []CRDSet{Slim, Real}, nil
	}
}
