package main

import (
	"strings"
	"testing"
)

func TestExplainSaysByItsStatusWhatTheWebhookWould(t *testing.T) {
	dir := folder(t, map[string]string{"meshes.yaml": meshes, "shop.yaml": right})
	broken := folder(t, map[string]string{"meshes.yaml": meshes, "shop.yaml": right, "bad.yaml": "a: [b\n"})
	const tag = "{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, metadata: {name: pinned}, spec: {targetRef: {kind: IstioRevision, name: mesh-1-old}}}\n---\n" +
		"{apiVersion: sailoperator.io/v1, kind: IstioRevision, metadata: {name: mesh-1-old, ownerReferences: [{apiVersion: sailoperator.io/v1, kind: Istio, name: mesh-1, uid: u, controller: true}]}, " +
		"spec: {version: v1.29.6, namespace: istio-system-1, values: {revision: mesh-1-old, meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-1}}]}}}}\n"
	tagged := folder(t, map[string]string{"meshes.yaml": meshes, "tag.yaml": tag})
	alone := folder(t, map[string]string{"shop.yaml": right})
	for _, test := range []struct {
		name   string
		args   []string
		status int
		says   string // on either
	}{
		{"as it stands", []string{"namespace", "shop", "-f", dir}, 0, "discovered by     mesh-2 (istio-discovery=mesh-2)"},
		{"an edit that is refused", []string{"namespace", "shop", "istio.io/rev=mesh-1", "-f", dir}, 1, "The webhook would refuse the change:"},
		{"an edit that is admitted", []string{"namespace", "shop", "team=a", "-f", dir}, 0, "The webhook would admit the change."},
		{"an edit, beside what cannot be read", []string{"namespace", "shop", "team=a", "-f", broken}, 2, "not known: "},
		{"a value that no label has", []string{"namespace", "shop", "team=a b", "-f", dir}, 2, `"team=a b": the label's value is not valid: `},
		{"a key that no label has", []string{"namespace", "shop", "bad key=1", "-f", dir}, 2, `"bad key=1": the label's key is not valid: `},
		{"set and removed", []string{"namespace", "shop", "team=a", "team-", "-f", dir}, 2, `"team-": the label team is edited twice`},
		{"no edit", []string{"namespace", "shop", "team", "-f", dir}, 2, `"team" is neither LABEL=VALUE nor LABEL-`},
		{"an edit of a mesh", []string{"mesh", "mesh-1", "a=b", "-f", dir}, 2, "only the labels of a namespace can be edited"},
		{"a mesh", []string{"mesh", "mesh-1", "-f", dir}, 0, "namespaces       istio-system-1"},
		{"a tag on a revision that is not the active one", []string{"tag", "pinned", "-f", tagged}, 0, "leads to   mesh-1-old"},
		{"a revision that is no tag", []string{"tag", "mesh-1", "-f", tagged}, 2, `there is no tag "mesh-1"`},
		{"a rule by its name", []string{"rule", "revisionofanothermesh"}, 0, "Rule MF202 RevisionOfAnotherMesh"},
		{"no rule", []string{"rule", "MF299"}, 2, `there is no rule "MF299"`},
		{"the words of kubectl label", []string{"ns", "shop", "istio.io/rev=mesh-1", "--overwrite", "-f", dir}, 1, "The webhook would refuse the change:"},
		{"kind and name in one word", []string{"namespace/shop", "-f", dir}, 0, "discovered by     mesh-2 (istio-discovery=mesh-2)"},
		{"without the meshes", []string{"namespace", "shop", "-f", alone}, 0, "Not judged: MF203, for which the mesh, or the tag, whose revision it names would have to be known."},
		{"a kind without a name", []string{"ns"}, 2, "which namespace? It takes a name"},
		{"another subject", []string{"namspace", "shop"}, 2, `did you mean "namespace"?`},
		{"a format", []string{"rule", "MF202", "-o", "xml"}, 2, `-o "xml" is not one of text, json, yaml`},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, status := output(t, append([]string{"explain"}, test.args...)...)
			if status != test.status || !strings.Contains(stdout+stderr, test.says) {
				t.Errorf("status %d, want %d and %q:\n%s%s", status, test.status, test.says, stdout, stderr)
			}
		})
	}
}
