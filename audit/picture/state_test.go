package picture_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/audit/picture"
)

// TestWhatIsWrong shows what the list of what is wrong says of a namespace, and for which it says nothing.
func TestWhatIsWrong(t *testing.T) {
	deny, warn := []picture.Finding{{Code: "MF204", Name: "X", Action: "deny"}}, []picture.Finding{{Code: "MF208", Name: "Y", Action: "warn"}}
	for _, c := range []struct {
		name        string
		ns          picture.Namespace
		state, want string
	}{
		{"if its own mesh injects it, then nothing", picture.Namespace{DiscoveredBy: []string{"a"}, InjectedBy: "a", InjectedMesh: "a"}, "", ""},
		{"if another mesh injects it, then that",
			picture.Namespace{DiscoveredBy: []string{"a"}, InjectedBy: "b", InjectedMesh: "b"}, "WrongMesh", "discovered by a, injected by b"},
		{"if a tag of another mesh injects it, then the tag as well", picture.Namespace{DiscoveredBy: []string{"a"}, InjectedBy: "prod", InjectedMesh: "b"},
			"WrongMesh", "discovered by a, injected by b through prod"},
		{"if two meshes discover it, then both", picture.Namespace{DiscoveredBy: []string{"b", "a"}}, "DiscoveredByMany", "discovered by a and b"},
		{"if two meshes discover it and a third injects it, then all", picture.Namespace{DiscoveredBy: []string{"b", "a"}, InjectedBy: "far", InjectedMesh: "far"},
			"WrongMesh", "discovered by a and b, injected by far"},
		{"if none discovers it and one injects it, then that",
			picture.Namespace{InjectedBy: "b", InjectedMesh: "b"}, "InjectedNotDiscovered", "injected by b, discovered by none"},
		{"if a mesh of another cluster injects it, then nothing", picture.Namespace{InjectedBy: "far", InjectedMesh: "far"}, "", ""},
		{"if its revision does not exist and that is denied, then that", picture.Namespace{DiscoveredBy: []string{"a"}, InjectedBy: "x", Findings: deny},
			"UnknownRevision", "not injected, because no revision is called x"},
		{"if its revision does not exist and that is a warning, then nothing", picture.Namespace{InjectedBy: "x", Findings: warn}, "", ""},
		{"if a rule denies it, then the rule", picture.Namespace{DiscoveredBy: []string{"a"}, InjectedBy: "a", InjectedMesh: "a", Findings: deny}, "Denied", "MF204 X"},
		{"if a rule warns, then nothing", picture.Namespace{DiscoveredBy: []string{"a"}, Findings: warn}, "", ""},
		{"if it is exempt, then nothing", picture.Namespace{DiscoveredBy: []string{"a"}, InjectedBy: "b", InjectedMesh: "b", Exempt: true}, "", ""},
		{"if it is being deleted, then nothing", picture.Namespace{DiscoveredBy: []string{"a", "b"}, Terminating: true, Findings: deny}, "", ""},
		{"if it is in no mesh, then nothing", picture.Namespace{}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.ns.Name = "ns"
			m := &picture.Map{Meshes: []picture.Mesh{{Name: "a"}, {Name: "b"}, {Name: "far", Remote: true}}}
			if len(c.ns.DiscoveredBy) == 0 {
				m.Unassigned = []picture.Namespace{c.ns}
			}
			for i := range m.Meshes {
				for _, discoverer := range c.ns.DiscoveredBy {
					if discoverer == m.Meshes[i].Name {
						m.Meshes[i].Namespaces = []picture.Namespace{c.ns}
					}
				}
			}
			type entry struct{ Kind, Name, State, Why string }
			var got struct{ Wrong []entry }
			if err := json.Unmarshal([]byte(draw(t, m, picture.JSON, picture.Options{})), &got); err != nil {
				t.Fatal(err)
			}
			var want []entry
			if c.state != "" {
				want = []entry{{"namespace", "ns", c.state, c.want}}
			}
			if diff := cmp.Diff(want, got.Wrong); diff != "" {
				t.Errorf("not what is wrong (-want +got):\n%s", diff)
			}
		})
	}
}
