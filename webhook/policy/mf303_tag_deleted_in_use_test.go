package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF303(t *testing.T) {
	app := func(labels string) []mesh.Namespace { return []mesh.Namespace{*namespace(t, "app", labels)} }
	terminating := app(inMesh1)
	terminating[0].Deleting = true
	runTagCases(t, []tagCase{
		{
			name:   "if a namespace uses the tag, then the deletion is admitted with a warning and a command",
			others: guide(), from: stable, namespaces: app(inMesh1),
			want: "warn MF303",
		},
		{
			name:   "if nobody uses it, then nobody says anything",
			others: guide(), from: stable, namespaces: app("istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "allow",
		},
		{
			name:   "if the namespace is being deleted, then nobody says anything",
			others: guide(), from: stable, namespaces: terminating,
			want: "allow",
		},
		{
			name:   "if istio-injection beats the label, then nobody says anything",
			others: guide(), from: stable, namespaces: app(inMesh1 + " istio-injection=disabled"),
			want: "allow",
		},
		{
			name:   "if the mesh map gives it to a mesh, then that is told",
			others: append(guide(), "map mesh-1=stable mesh-2=mesh-2"), from: stable,
			want: "warn MF303",
		},
		{
			name:   "if both use it, then both are told",
			others: append(guide(), "map mesh-1=stable prod=stable"), from: stable, namespaces: app(inMesh1),
			want: "warn MF303",
		},
		{
			name:   "if a namespace uses the tag of a mesh that does not discover it, then it gets the revision of the one that does",
			others: guide(), from: stable, namespaces: app("istio-discovery=mesh-2 istio.io/rev=stable"),
			want: "warn MF303",
		},
		{
			name:   "if nobody discovers it, then it can do without the label",
			others: guide(), from: stable, namespaces: app("istio.io/rev=stable"),
			want: "warn MF303",
		},
		{
			name:   "if the tag is default, then istio-injection=enabled uses it",
			others: guide()[:2], from: "IstioRevisionTag default; targets Istio mesh-1", namespaces: app("istio-discovery=mesh-1 istio-injection=enabled"),
			want: "warn MF303",
		},
		{
			name:   "if a revision has the tag's name, then nobody uses the tag",
			others: append(guide(), "map mesh-1=mesh-1"), from: "IstioRevisionTag mesh-1; targets Istio mesh-2", namespaces: app("istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "allow",
		},
		{
			name:   "if its target does not exist, then its namespaces are named all the same",
			others: guide(), from: "IstioRevisionTag stable; targets Istio gone", namespaces: app(inMesh1),
			want: "warn MF303",
		},
		{
			name: "if it pointed at an older revision, then the namespace can keep that one",
			others: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			},
			from: "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0", namespaces: app(inMesh1),
			want: "warn MF303",
		},
		{
			name:   "if the rule denies, then the deletion is refused",
			others: guide(), from: stable, namespaces: app(inMesh1),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF303": policy.Deny}},
			want:    "deny MF303",
		},
		{
			name:   "if the rule denies but all only warn, then it is admitted with a warning",
			others: guide(), from: stable, namespaces: app(inMesh1),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF303": policy.Deny}, WarnOnly: true},
			want:    "warn MF303",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: guide(), from: stable, namespaces: app(inMesh1),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF303": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF303AfterItsCommandsTheTagCanBeDeletedInSilence(t *testing.T) {
	for _, name := range []string{"stable", "default"} {
		for _, target := range []string{"Istio mesh-1", "Istio mesh-2", "IstioRevision mesh-1", "Istio gone"} {
			c := tagCase{others: guide()[:2], from: tagLine(name, target), namespaces: tagUsers(t)}
			verdict := c.judge(t)
			if got := outcome(verdict); got != "warn MF303" {
				t.Fatalf("%s: %s", c.from, got)
			}
			c.namespaces = follow(t, verdict.Warnings[0].Ways, []string{""}, c.namespaces, fleet(t, append(guide()[:2:2], c.from)...))
			if got := outcome(c.judge(t)); got != "allow" {
				t.Errorf("%s: %s", c.from, got)
			}
		}
	}
}
