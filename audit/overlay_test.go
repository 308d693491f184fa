package audit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/audit"
)

// stored is a namespace as kubectl apply leaves it, of a file with these labels, filled in.
const filledIn = `
apiVersion: v1
kind: Namespace
metadata:
  name: app-1
  labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}
  annotations:
    meshfence.io/filled-revision: mesh-1
    kubectl.kubernetes.io/last-applied-configuration: '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"app-1","labels":{"istio-discovery":"mesh-1"}}}'
  managedFields:
  - {manager: kubectl-client-side-apply, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:metadata": {"f:labels": {"f:istio-discovery": {}}}}}
`

func TestFilesLaidOverACluster(t *testing.T) {
	for _, test := range []struct {
		name                        string
		stored, files               []string
		findings, before, elsewhere []string
	}{
		{name: "the same again", files: []string{istio("mesh-1", "mesh-1"), namespace("app-1", "istio-discovery: mesh-1")}},
		{
			name:     "a namespace goes to the other mesh with the revision of the old one",
			files:    []string{namespace("app-1", "istio-discovery: mesh-2, istio.io/rev: mesh-1")},
			findings: []string{"MF202 Namespace app-1"},
		},
		{
			name: "a label that was filled in follows", stored: []string{filledIn},
			files: []string{namespace("app-1", "istio-discovery: mesh-2")},
		},
		{
			name: "a label that was filled in leaves with the discovery label", stored: []string{filledIn},
			files: []string{namespace("app-1", "team: a")},
		},
		{
			name: "a label that was filled in is a person's once it stands in a file", stored: []string{filledIn},
			files:    []string{namespace("app-1", "istio-discovery: mesh-2, istio.io/rev: mesh-1")},
			findings: []string{"MF202 Namespace app-1"},
		},
		{
			name:     "a label of a person does not follow: the file does not name it",
			files:    []string{namespace("app-1", "istio-discovery: mesh-2")},
			findings: []string{"MF202 Namespace app-1"},
		},
		{
			name:     "a mesh comes to overlap",
			files:    []string{istio("mesh-2", "mesh-1")},
			findings: []string{"MF103 Istio mesh-2", "MF111 Istio mesh-2"},
			elsewhere: []string{
				"MF103 Istio mesh-1", "MF104 Istio mesh-2", "MF201 Namespace app-1", "MF205 Namespace app-2", "MF201 Namespace istio-system-mesh-1",
			},
		},
		{
			name:   "two meshes of the files overlap with each other",
			stored: nil,
			files: []string{
				istio("mesh-3", "x"), istio("mesh-4", "x"), namespace("istio-system-mesh-3", "istio-discovery: x"), namespace("istio-system-mesh-4", "istio-discovery: x"),
			},
			findings: []string{"MF103 Istio mesh-3", "MF103 Istio mesh-4", "MF201 Namespace istio-system-mesh-3", "MF201 Namespace istio-system-mesh-4"},
		},
		{
			name:   "a mesh and its namespace move together",
			stored: nil,
			files: []string{
				istio("mesh-2", "two"), namespace("istio-system-mesh-2", "istio-discovery: two"), namespace("app-2", "istio-discovery: two, istio.io/rev: mesh-2"),
			},
			findings: []string{"MF114 Istio mesh-2"}, // a warning that its namespaces change
		},
		{
			name:   "what was wrong before stays, and is not the file's",
			stored: []string{namespace("app-2", "istio-discovery: mesh-2, istio.io/rev: mesh-1")},
			files:  []string{namespace("app-2", "istio-discovery: mesh-2, istio.io/rev: mesh-1, team: a")},
			before: []string{"MF202 Namespace app-2"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster := guide(t)
			for _, text := range test.stored {
				cluster.Put(object(t, text))
			}
			keys := cluster.Keys()
			result, err := checker().Laid(cluster, inventory(t, test.files...))
			if err != nil {
				t.Fatal(err)
			}
			for what, pair := range map[string][2][]string{
				"newly wrong":     {test.findings, short(result.Findings)},
				"wrong before":    {test.before, short(result.Before)},
				"wrong elsewhere": {test.elsewhere, short(result.Elsewhere)},
			} {
				if diff := cmp.Diff(append([]string{}, pair[0]...), pair[1]); diff != "" {
					t.Errorf("%s: %s", what, diff)
				}
			}
			if diff := cmp.Diff(keys, cluster.Keys()); diff != "" {
				t.Errorf("the cluster was written: %s", diff)
			}
		})
	}
}

func TestReplayAnswersInTheOrderOfTheFiles(t *testing.T) {
	for _, test := range []struct {
		name  string
		files []string
		want  []string
	}{
		{
			"what is refused is not there for what follows",
			[]string{istio("mesh-3", "mesh-1"), namespace("app-3", "istio-discovery: mesh-1, istio.io/rev: mesh-3"), istio("mesh-3", "mesh-3")},
			[]string{"refused", "refused", "admitted"},
		},
		{
			"what is missing is filled in",
			[]string{namespace("app-3", "istio-discovery: mesh-2")},
			[]string{"admitted, filled in mesh-2"},
		},
		{
			"the namespace comes before its mesh",
			[]string{namespace("app-3", "istio-discovery: mesh-3, istio.io/rev: mesh-3"), istio("mesh-3", "mesh-3")},
			[]string{"admitted", "admitted"}, // with warnings
		},
		{
			"an exempt namespace",
			[]string{namespace("kube-system", "istio-discovery: mesh-1, istio.io/rev: mesh-2")},
			[]string{"admitted"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var objects []audit.Object
			for _, text := range test.files {
				objects = append(objects, object(t, text))
			}
			answers, err := checker().Replay(guide(t), objects)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, answer := range answers {
				text := map[bool]string{true: "refused", false: "admitted"}[answer.Refused]
				if answer.Filled != "" {
					text += ", filled in " + answer.Filled
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s\n%+v", diff, answers)
			}
		})
	}
}
