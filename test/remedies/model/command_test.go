package model

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestACommandIsReadAsKubectlReadsIt(t *testing.T) {
	labels := func(changes map[string]any) map[string]any {
		return map[string]any{"metadata": map[string]any{"labels": changes}}
	}
	ns := func(name string) Key { return Key{Kind: KindNamespace, Name: name} }
	for command, want := range map[string][]Request{
		"kubectl label namespace a b team=x istio.io/rev- --overwrite": {
			{Verb: Patch, Key: ns("a"), Patch: labels(map[string]any{"team": "x", "istio.io/rev": nil})},
			{Verb: Patch, Key: ns("b"), Patch: labels(map[string]any{"team": "x", "istio.io/rev": nil})},
		},
		"kubectl label namespace a team-": {{Verb: Patch, Key: ns("a"), Patch: labels(map[string]any{"team": nil}), keep: true}},
		"kubectl annotate istios.sailoperator.io m meshfence.io/allow-overlap=x,y --overwrite": {{
			Verb: Patch, Key: Key{Kind: "Istio", Name: "m"},
			Patch: map[string]any{"metadata": map[string]any{"annotations": map[string]any{"meshfence.io/allow-overlap": "x,y"}}},
		}},
		`kubectl patch configmap mesh-map --namespace meshfence-system --type=merge -p '{"data":{"a":null}}'`: {{
			Verb: Patch, Key: MapKey, Patch: map[string]any{"data": map[string]any{"a": nil}},
		}},
		"kubectl delete istiorevisiontags.sailoperator.io stable": {{Verb: Delete, Key: Key{Kind: "IstioRevisionTag", Name: "stable"}}},
		`echo '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}' | kubectl apply -f -`: {{
			Verb: Apply, Key: ns("a"), Patch: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "a"}},
		}},
		"kubectl get istios.sailoperator.io,istiorevisions.sailoperator.io":    nil,
		"kubectl get istiorevisiontags.sailoperator.io stable -o yaml":         nil,
		"kubectl explain istios.spec.version --api-version=sailoperator.io/v1": nil,
	} {
		got, err := Read(command)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Request{}), cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", command, err, diff)
		}
	}
}

func TestACommandThatCannotBePastedIsNoCommand(t *testing.T) {
	for _, command := range []string{
		"", "kubectl", "kubectl edit istios.sailoperator.io m", "kubectl get istios", "kubectl label namespace a", "kubectl label namespace team=x",
		"kubectl label namespace a team", "kubectl label namespace a team=x team-", "kubectl patch istio m --type=merge -p '{}'",
		"kubectl patch istios.sailoperator.io m -p '{}'", "kubectl patch istios.sailoperator.io m --type=merge -p '{'",
		`kubectl patch istios.sailoperator.io m --type=merge -p {"a":"b"}`, "kubectl patch configmap m --type=merge -p '{}'",
		"kubectl delete istiorevisiontag stable", "kubectl label namespace a team=x; reboot", "kubectl label namespace a 'team=x",
	} {
		if got, err := Read(command); err == nil {
			t.Errorf("%q is read as %v", command, got)
		}
	}
}
