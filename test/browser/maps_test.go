package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/audit/picture"
)

// stored returns the map of a golden file of audit/picture.
func stored(t *testing.T, name string) *picture.Map {
	t.Helper()
	text, err := os.ReadFile("../../audit/picture/testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var m picture.Map
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

// meshes are n meshes with namespaces each. Every third has a namespace that another mesh injects, every fifth one that another mesh discovers as
// well, and some names are as long as they may be.
func meshes(n, namespaces int) *picture.Map {
	m := &picture.Map{Notices: []string{strings.Repeat("A notice that is longer than the picture is wide. ", 10)}}
	for i := range n {
		name := fmt.Sprintf("mesh-%d", i+1)
		if i%7 == 3 {
			name += strings.Repeat("-long", 11)
		}
		m.Meshes = append(m.Meshes, picture.Mesh{Name: name, Kind: "Istio", ControlPlane: fmt.Sprintf("istio-system-%d", i+1), Ambient: i%10 == 4,
			Selectors: []string{"istio-discovery=" + name}, Revisions: []picture.Revision{{Name: name, Active: true, Version: "v1.30.3"}}})
	}
	for i := range m.Meshes {
		mesh, other := &m.Meshes[i], &m.Meshes[(i*11+1)%n]
		for j := range namespaces {
			ns := picture.Namespace{Name: fmt.Sprintf("team-%d-service-%d", i+1, j+1), DiscoveredBy: []string{mesh.Name}, InjectedBy: mesh.Name,
				InjectedMesh: mesh.Name}
			switch {
			case j == 2:
				ns.Name += strings.Repeat("w", 63-len(ns.Name))
			case j == 1 && i%3 == 0:
				ns.InjectedBy, ns.InjectedMesh = other.Name, other.Name
			case j == 3 && i%5 == 0 && other != mesh:
				ns.DiscoveredBy = append(ns.DiscoveredBy, other.Name)
				other.Namespaces = append(other.Namespaces, ns)
			}
			mesh.Namespaces = append(mesh.Namespaces, ns)
		}
	}
	m.Unassigned = []picture.Namespace{{Name: "default"}, {Name: "kube-system"}, {Name: "stray", InjectedBy: "mesh-1", InjectedMesh: "mesh-1"}}
	return m
}
