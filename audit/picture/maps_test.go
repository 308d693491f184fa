package picture_test

import (
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/audit/picture"
)

// maps are the maps that every format is drawn of.
func maps() map[string]*picture.Map {
	return map[string]*picture.Map{"empty": {}, "one": one(), "three": three(), "nasty": nasty()}
}

// in returns a namespace that a mesh discovers and injects.
func in(mesh, name string) picture.Namespace {
	return picture.Namespace{Name: name, Labels: []string{"istio-discovery=" + mesh, "istio.io/rev=" + mesh}, InjectedBy: mesh, InjectedMesh: mesh,
		DiscoveredBy: []string{mesh}}
}

// plane returns the namespace of a control plane.
func plane(mesh, name string) picture.Namespace {
	return picture.Namespace{Name: name, Labels: []string{"istio-discovery=" + mesh}, DiscoveredBy: []string{mesh}}
}

// meshNamed returns the mesh of the guide with that number.
func meshNamed(n int, namespaces ...picture.Namespace) picture.Mesh {
	name, control := fmt.Sprintf("mesh-%d", n), fmt.Sprintf("istio-system-%d", n)
	return picture.Mesh{Name: name, Kind: "Istio", ControlPlane: control, Selectors: []string{"istio-discovery=" + name},
		Revisions:  []picture.Revision{{Name: name, Active: true, Version: "v1.30.3"}},
		Namespaces: append([]picture.Namespace{plane(name, control)}, namespaces...)}
}

// one is a single mesh without a fault.
func one() *picture.Map {
	return &picture.Map{Meshes: []picture.Mesh{meshNamed(1, in("mesh-1", "cart"), in("mesh-1", "shop"))}}
}

// three are three meshes with every fault that a picture shows.
func three() *picture.Map {
	mistaken := in("mesh-2", "app-ns-2")
	mistaken.InjectedBy, mistaken.InjectedMesh, mistaken.Labels = "mesh-1", "mesh-1", []string{"istio-discovery=mesh-2", "istio.io/rev=mesh-1"}
	mistaken.Findings = []picture.Finding{{Code: "MF202", Name: "RevisionOfAnotherMesh", Action: "deny",
		Detail: `namespace "app-ns-2" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but mesh "mesh-2" discovers it`}}
	shared := in("mesh-3", "shared")
	shared.DiscoveredBy, shared.Labels = []string{"mesh-3", "mesh-2"}, []string{"istio-discovery=mesh-2", "istio.io/rev=canary", "team=both"}
	shared.InjectedBy = "canary"
	shared.Findings = []picture.Finding{{Code: "MF201", Name: "DiscoveredByMany", Action: "deny",
		Detail: `namespace "shared" is discovered by mesh "mesh-2" and by mesh "mesh-3"`}}
	typo := picture.Namespace{Name: "typo", Labels: []string{"istio-discovery=mesh-1", "istio.io/rev=mehs-1"}, InjectedBy: "mehs-1",
		DiscoveredBy: []string{"mesh-1"}, Findings: []picture.Finding{{Code: "MF203", Name: "UnknownRevision", Action: "deny",
			Detail: `namespace "typo" has istio.io/rev=mehs-1, which names no revision`}}}
	member := in("mesh-2", "member")
	member.Findings = []picture.Finding{{Code: "MF208", Name: "MaistraMember", Action: "warn", Detail: "Service Mesh 2 would inject it as well"}}
	leaving := in("mesh-2", "leaving")
	leaving.Terminating = true

	first := meshNamed(1, in("mesh-1", "app-ns-1"), typo)
	second := meshNamed(2, mistaken, shared, member, leaving, in("mesh-2", "app-ns-3"))
	third := meshNamed(3, shared)
	third.Selectors = append(third.Selectors, "team in (both, three)")
	third.Revisions = []picture.Revision{{Name: "mesh-3-v1-30-3", Active: true, Version: "v1.30.3"}, {Name: "mesh-3-v1-29-4", Version: "v1.29.4"}}
	third.Tags = []picture.Tag{{Name: "canary", Revision: "mesh-3-v1-30-3"}}
	third.Ambient = true
	third.Findings = []picture.Finding{{Code: "MF110", Name: "VersionSkew", Action: "warn", Detail: "mesh-3 is two minors ahead of mesh-1"}}
	return &picture.Map{
		Meshes: []picture.Mesh{second, third, first},
		Unassigned: []picture.Namespace{
			{Name: "kube-system"},
			{Name: "default"},
			{Name: "stray", Labels: []string{"istio.io/rev=mesh-2"}, InjectedBy: "mesh-2", InjectedMesh: "mesh-2", Findings: []picture.Finding{{
				Code: "MF205", Name: "InjectedNotDiscovered", Action: "deny", Detail: `namespace "stray" has istio.io/rev=mesh-2, but no mesh discovers it`}}},
		},
		TagsWithoutTarget: []picture.Tag{{Name: "stable", Revision: "mesh-0"}},
		Notices:           []string{"The namespaces are those of the files in ./cluster."},
		Gaps:              []string{"istiorevisiontags.sailoperator.io may not be listed"},
	}
}

// nastyNames are names that are markup, code or control sequences somewhere, and names that are long.
func nastyNames() []string {
	return []string{
		"<script>alert(1)</script>",
		`"]; end --> "`,
		"`#quot;#60;`",
		`\N\"&amp;&lt;`,
		"]]><!--",
		"\x1b[31mred\x1b[0m\x07\x9b\x00\u0085",
		"line\nbreak\r\ttab",
		"\u202eturned\u2066\ufeff\u2028",
		"\xff\xfe broken",
		"'; DROP TABLE--",
		"{{.}}${x}%s%d",
		"日本語の名前と長い長い名前",
		"e\u0301\U0001f600\U000e0001",
		"</style></svg></title>",
		"",
		"- _a_ *list*",
		"1. **first** [link](http://x) __init__ ~~y~~",
		strings.Repeat("n", 63),
		strings.Repeat("WM", 126),
	}
}

// nasty has nasty names everywhere.
func nasty() *picture.Map { return named(nastyNames()) }

// named uses names wherever there is one.
func named(names []string) *picture.Map {
	m := &picture.Map{Notices: names, Gaps: names}
	for i, name := range names {
		other := names[(i+1)%len(names)]
		findings := []picture.Finding{{Code: "MF202", Name: name, Action: "deny", Detail: name}, {Code: name, Name: name, Action: name, Detail: name}}
		mesh := picture.Mesh{Name: name, Kind: name, ControlPlane: name, Profile: name, Selectors: names, Findings: findings,
			Revisions: []picture.Revision{{Name: name, Active: true, Version: name}}, Tags: []picture.Tag{{Name: name, Revision: other}}}
		mesh.Namespaces = []picture.Namespace{
			{Name: name, Labels: []string{name}, InjectedBy: name, InjectedMesh: other, DiscoveredBy: []string{name}, Findings: findings},
			{Name: "both" + other, InjectedBy: other, InjectedMesh: name, DiscoveredBy: []string{name, other}, Findings: findings},
		}
		m.Meshes = append(m.Meshes, mesh)
		m.Unassigned = append(m.Unassigned, picture.Namespace{Name: "out" + name, InjectedBy: name, InjectedMesh: other, Labels: []string{name}})
		m.TagsWithoutTarget = append(m.TagsWithoutTarget, picture.Tag{Name: name, Revision: other})
	}
	return m
}

// many are n meshes with namespaces each, of which some are in the wrong mesh, some in two, and some in none.
func many(n, namespaces int) *picture.Map {
	m := &picture.Map{}
	for i := 1; i <= n; i++ {
		var list []picture.Namespace
		own := fmt.Sprintf("mesh-%d", i)
		for j := 1; j <= namespaces; j++ {
			ns := in(own, fmt.Sprintf("team-%d-service-%d", i, j))
			other := fmt.Sprintf("mesh-%d", i*7%n+1)
			if j == 3 && i%4 == 1 && other != own {
				ns.InjectedBy, ns.InjectedMesh = other, other
			}
			list = append(list, ns)
		}
		m.Meshes = append(m.Meshes, meshNamed(i, list...))
		m.Unassigned = append(m.Unassigned, picture.Namespace{Name: fmt.Sprintf("plain-%d", i)})
	}
	for i := 0; i+1 < n; i += 9 {
		shared := in(m.Meshes[i].Name, fmt.Sprintf("shared-%d", i))
		shared.DiscoveredBy = append(shared.DiscoveredBy, m.Meshes[i+1].Name)
		m.Meshes[i].Namespaces, m.Meshes[i+1].Namespaces = append(m.Meshes[i].Namespaces, shared), append(m.Meshes[i+1].Namespaces, shared)
	}
	stray := picture.Namespace{Name: "stray", InjectedBy: "mesh-1", InjectedMesh: "mesh-1"}
	m.Unassigned = append(m.Unassigned, stray)
	return m
}
