package policy_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

var update = flag.Bool("update", false, "write testdata/transitions.golden anew")

// state is the three labels of a namespace; "" is absent.
type state struct {
	discovery, revision, injection string
}

// states are all of them: each label absent, right for a namespace of mesh-1, wrong, and another mesh's. istio-injection
// names no mesh: enabled is right for mesh-1, which default belongs to (and so another mesh's for a namespace of mesh-2);
// disabled is the documented way to switch injection off; true is the mistake that people make, and switches it off too.
func states() []state {
	var all []state
	for _, discovery := range []string{"", "mesh-1", "mesh-9", "mesh-2"} {
		for _, revision := range []string{"", "mesh-1", "mesh-9", "mesh-2"} {
			for _, injection := range []string{"", "enabled", "disabled", "true"} {
				all = append(all, state{discovery, revision, injection})
			}
		}
	}
	return all
}

func (s state) namespace() *mesh.Namespace {
	all := map[string]string{mesh.NameLabel: "app"}
	for key, value := range map[string]string{"istio-discovery": s.discovery, "istio.io/rev": s.revision, "istio-injection": s.injection} {
		if value != "" {
			all[key] = value
		}
	}
	return &mesh.Namespace{Name: "app", Labels: all}
}

func (s state) String() string {
	show := func(value string) string { return fmt.Sprintf("%-8s", strings.Replace(value+"-", "-", "", len(value)-len(value)))[:8] }
	return show(s.discovery) + " " + show(s.revision) + " " + show(s.injection)
}

// knowledge is what a cluster knows: as a fleet, and in the words of the prose, for the oracle.
type knowledge struct {
	name  string
	fleet []string
	// meshes discover the namespaces whose istio-discovery is their name.
	meshes []string
	// owners are the meshes by revision or tag.
	owners map[string]string
	// mapped is the mesh map, from mesh to revision.
	mapped map[string]string
}

func everyKnowledge() []knowledge {
	return []knowledge{
		{
			name: "mesh known", fleet: guide(), meshes: []string{"mesh-1", "mesh-2"},
			owners: map[string]string{"mesh-1": "mesh-1", "mesh-2": "mesh-2", "default": "mesh-1"},
		},
		{
			name: "mesh known, nothing called default", fleet: guide()[:2], meshes: []string{"mesh-1", "mesh-2"},
			owners: map[string]string{"mesh-1": "mesh-1", "mesh-2": "mesh-2"},
		},
		{
			name: "not yet known, mesh map only", fleet: []string{"map mesh-1=mesh-1 mesh-2=mesh-2"},
			mapped: map[string]string{"mesh-1": "mesh-1", "mesh-2": "mesh-2"},
		},
		{
			name: "not yet known, mesh map with default", fleet: []string{"map mesh-1=default mesh-2=mesh-2"},
			mapped: map[string]string{"mesh-1": "default", "mesh-2": "mesh-2"},
		},
		{name: "not yet known, no mesh map"},
	}
}
