package kube_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/kube"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

func TestANamespaceIsJudgedByItsNameAndLabels(t *testing.T) {
	for name, test := range map[string]struct {
		raw  string
		want *mesh.Namespace
	}{
		"if it is stored, then its name is a label too": {
			`{"metadata": {"name": "shop", "labels": {"team": "a"}}}`,
			&mesh.Namespace{Name: "shop", Labels: map[string]string{"team": "a", mesh.NameLabel: "shop"}},
		},
		"if its labels are null, then it has that one": {
			`{"metadata": {"name": "shop", "labels": null}}`,
			&mesh.Namespace{Name: "shop", Labels: map[string]string{mesh.NameLabel: "shop"}},
		},
		"if its name is still to be generated, then the beginning stands for it": {
			`{"metadata": {"generateName": "shop-", "labels": {"team": "a"}}}`,
			&mesh.Namespace{Name: "shop-", Labels: map[string]string{"team": "a"}},
		},
		"if it has a deletion timestamp, then it is being deleted": {
			`{"metadata": {"name": "shop", "deletionTimestamp": "2026-08-01T12:00:00Z"}}`,
			&mesh.Namespace{Name: "shop", Labels: map[string]string{mesh.NameLabel: "shop"}, Deleting: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ns, err := kube.DecodeNamespace([]byte(test.raw))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, ns.ToMesh()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNoNamespaceIsAnError(t *testing.T) {
	for _, raw := range []string{``, ` `, `null`, `[]`, `"shop"`, `{}`, `{"metadata": {"labels": {"a": 1}, "name": "shop"}}`, `{"metadata": 1}`} {
		if ns, err := kube.DecodeNamespace([]byte(raw)); err == nil {
			t.Errorf("%q: %+v", raw, ns)
		}
	}
	if _, err := kube.DecodeNamespace([]byte(`null`)); !errors.Is(err, kube.ErrNoObject) {
		t.Errorf("null: %v", err)
	}
}

func TestWhoOwnsTheRevisionIsReadFromTheManagedFields(t *testing.T) {
	const labelled = `{"metadata": {"name": "shop", "labels": {"istio.io/rev": "mesh-1"}, "managedFields": [`
	for name, test := range map[string]struct {
		fields string
		want   policy.Owner
	}{
		"if there are none, then that is not known":            {``, policy.UnknownOwner},
		"if no manager has it, then it is not owned":           {`{"operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}}}`, policy.NoOwner},
		"if a manager has it, then it is owned":                {`{"operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:istio.io/rev": {}}}}}`, policy.SomeOwner},
		"if the manager has copied the annotation as well":     {`{"operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:istio.io/rev": {}}, "f:annotations": {"f:meshfence.io/filled-revision": {}}}}}`, policy.CopyingOwner},
		"if it has applied both, then they are in its file":    {`{"operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:istio.io/rev": {}}, "f:annotations": {"f:meshfence.io/filled-revision": {}}}}}`, policy.SomeOwner},
		"if the fields cannot be read, then that is not known": {`{"operation": "Update", "fieldsV1": {"f:metadata": []}}`, policy.UnknownOwner},
	} {
		t.Run(name, func(t *testing.T) {
			raw := []byte(labelled + test.fields + `]}}`)
			ns, err := kube.DecodeNamespace(raw)
			if err != nil {
				t.Fatal(err)
			}
			if got := kube.OriginOf(ns, raw).Owner; got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestARevisionThatKubectlHasAppliedOnTheClientsSideIsOwned(t *testing.T) {
	const unowned = `"managedFields": [{"operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}}}]`
	for name, test := range map[string]struct {
		applied string
		want    policy.Owner
	}{
		"if its file has the value, then it is owned":                      {`{"metadata": {"labels": {"istio.io/rev": "mesh-1"}}}`, policy.SomeOwner},
		"if its file has another value, then the managed fields speak":     {`{"metadata": {"labels": {"istio.io/rev": "mesh-2"}}}`, policy.NoOwner},
		"if its file does not have the label, then the managed fields do":  {`{"metadata": {"labels": {"team": "a"}}}`, policy.NoOwner},
		"if what was applied cannot be read, then the managed fields do":   {`{"metadata": []}`, policy.NoOwner},
		"if what was applied is no object, then the managed fields do":     {`null`, policy.NoOwner},
		"if nothing was applied on the client's side, then so do they too": {``, policy.NoOwner},
	} {
		t.Run(name, func(t *testing.T) {
			raw := fmt.Appendf(nil, `{"metadata": {"name": "shop", "labels": {"istio.io/rev": "mesh-1"}, "annotations": {"kubectl.kubernetes.io/last-applied-configuration": %q}, %s}}`,
				test.applied, unowned)
			ns, err := kube.DecodeNamespace(raw)
			if err != nil {
				t.Fatal(err)
			}
			if got := kube.OriginOf(ns, raw).Owner; got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
