package sail_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/sail"
)

func decode(t *testing.T, raw string) *sail.ControlPlane {
	t.Helper()
	cp, err := sail.DecodeControlPlane([]byte(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return cp
}

func decodeTag(t *testing.T, raw string) *sail.Tag {
	t.Helper()
	tag, err := sail.DecodeTag([]byte(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return tag
}

// problem is the text of Malformed, "" for none.
func problem(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestDecodeControlPlaneReadsEveryFieldThatIsJudged(t *testing.T) {
	got := decode(t, `{
		"apiVersion": "sailoperator.io/v1", "kind": "Istio",
		"metadata": {
			"name": "mesh-1", "generateName": "mesh-", "uid": "u", "resourceVersion": "7", "deletionTimestamp": "2026-08-01T00:00:00Z",
			"creationTimestamp": "2026-07-01T00:00:00Z", "annotations": {"meshfence.io/allow-overlap": "b"},
			"ownerReferences": [{"apiVersion": "sailoperator.io/v1alpha1", "kind": "Istio", "name": "owner", "uid": "o", "controller": true}]
		},
		"spec": {
			"version": "v1.30.0", "namespace": "istio-system-1", "profile": "openshift", "updateStrategy": {"type": "RevisionBased"},
			"values": {
				"profile": "ambient",
				"meshConfig": {"discoverySelectors": [
					{"matchLabels": {"istio-discovery": "mesh-1"}},
					{"matchExpressions": [{"key": "env", "operator": "In", "values": ["dev", "prod"]}]}
				]},
				"global": {"trustBundleName": "bundle", "externalIstiod": true, "resourceScope": "cluster", "operatorManageWebhooks": true},
				"istiodRemote": {"enabled": false, "enabledLocalInjectorIstiod": true},
				"sidecarInjectorWebhook": {"enableNamespacesByDefault": true},
				"pilot": {
					"env": {
						"PILOT_ENABLE_AMBIENT": "1", "PILOT_CA_CERT_CONFIGMAP": "other", "PILOT_CRL_CONFIGMAP": "crl", "EXTERNAL_ISTIOD": "t",
						"ENABLE_CLUSTER_TRUST_BUNDLE_API": "true", "REVISION": "r", "SHARED_MESH_CONFIG": "s"
					},
					"configMap": false, "crlConfigMapName": "lists", "istiodRemote": {"enabled": true, "enabledLocalInjectorIstiod": false}
				}
			}
		}
	}`)
	yes, no, ambient, r, on := true, false, "ambient", "r", "1"
	want := &sail.ControlPlane{
		Kind: "Istio",
		Metadata: sail.Meta{
			Name: "mesh-1", GenerateName: "mesh-", UID: "u", ResourceVersion: "7", DeletionTimestamp: "2026-08-01T00:00:00Z",
			CreationTimestamp: "2026-07-01T00:00:00Z", Annotations: map[string]string{allow: "b"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "Istio", Name: "owner", Controller: &yes}},
		},
		Spec: sail.Spec{
			Version: "v1.30.0", Namespace: "istio-system-1", Profile: "openshift",
			UpdateStrategy: sail.UpdateStrategy{Type: sail.RevisionBased},
			Values: sail.Values{
				Profile: &ambient,
				MeshConfig: sail.MeshConfig{DiscoverySelectors: []*metav1.LabelSelector{
					{MatchLabels: map[string]string{"istio-discovery": "mesh-1"}},
					{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "env", Operator: "In", Values: []string{"dev", "prod"}}}},
				}},
				Global:       sail.Global{TrustBundleName: "bundle", ExternalIstiod: true, ResourceScope: "cluster", OperatorManageWebhooks: true},
				IstiodRemote: sail.IstiodRemote{Enabled: &no, EnabledLocalInjectorIstiod: &yes},
				Injector:     sail.Injector{EnableNamespacesByDefault: true},
				Pilot: sail.Pilot{
					Env: sail.Env{
						Ambient: &on, TrustBundle: "other", CRL: "crl", ExternalIstiod: "t", ClusterTrustBundle: "true", Revision: &r, Shared: "s",
					},
					ConfigMap: &no, CRLConfigMapName: "lists", IstiodRemote: sail.IstiodRemote{Enabled: &yes, EnabledLocalInjectorIstiod: &no},
				},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeTagReadsEveryFieldThatIsJudged(t *testing.T) {
	got := decodeTag(t, `{"kind": "IstioRevisionTag", "metadata": {"name": "prod"}, "spec": {"targetRef": {"kind": "Istio", "name": "mesh-1"}}}`)
	want := &sail.Tag{Metadata: sail.Meta{Name: "prod"}, Spec: sail.TagSpec{TargetRef: sail.TargetRef{Kind: "Istio", Name: "mesh-1"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnknownFieldsAreIgnoredWhateverTheirTypes(t *testing.T) {
	for _, raw := range []string{
		`{"future": 1, "metadata": {"labels": 5, "finalizers": {}, "managedFields": "x", "generation": "one"}}`,
		`{"spec": {"future": [{}], "version2": null, "values": {"cni": 1, "meshConfig": {"trustDomain": [], "future": {}}}}}`,
		`{"spec": {"values": {"meshConfig": {"discoverySelectors": [{"matchLabel": 5}]}}}}`,
		`{"spec": {"values": {"global": {"proxy": "x"}, "pilot": {"cni": true, "image": 4}}}, "status": 5}`,
	} {
		if cp := decode(t, raw); cp.Malformed != nil {
			t.Errorf("%s: %v", raw, cp.Malformed)
		}
	}
}

// The API server matches keys case-sensitively, so istiod never sees a key in another case.
func TestKeysInAnotherCaseAreUnknownFields(t *testing.T) {
	for _, raw := range []string{
		`{"Kind": "Istio"}`,
		`{"Metadata": {"name": "a"}}`,
		`{"metadata": {"Name": "a", "ownerreferences": [{}], "Annotations": {"a": "b"}}}`,
		`{"Spec": {"namespace": "a"}}`,
		`{"spec": {"Namespace": "a", "PROFILE": "remote", "updatestrategy": {"type": "RevisionBased"}, "updateStrategy": {"Type": "RevisionBased"}}}`,
		`{"spec": {"values": {"meshconfig": {"discoverySelectors": [{}]}, "meshConfig": {"DiscoverySelectors": [{}], "discoveryselectors": [{}]}}}}`,
		`{"spec": {"values": {"global": {"trustbundlename": "a"}, "pilot": {"Env": {"REVISION": "b"}, "env": {"revision": "b"}}}}}`,
	} {
		cp := decode(t, raw)
		if diff := cmp.Diff(&sail.ControlPlane{}, cp); diff != "" {
			t.Errorf("%s (-nothing +got):\n%s", raw, diff)
		}
	}
}

// surprising returns a value of every JSON type.
func surprising() map[string]string {
	return map[string]string{"string": `"surprise"`, "number": `1.5`, "bool": `true`, "array": `[]`, "object": `{}`}
}

// place is somewhere in an object: the JSON around a value, the path that a complaint names, and the type that belongs there.
type place struct {
	around, path, expects string
}

func controlPlanePlaces() []place {
	spec := func(inner string) string { return `{"spec": {` + inner + `}, "kind": "read"}` }
	values := func(inner string) string { return spec(`"values": {` + inner + `}`) }
	selectors := func(inner string) string { return values(`"meshConfig": {"discoverySelectors": ` + inner + `}`) }
	meta := func(inner string) string { return `{"metadata": {` + inner + `}, "kind": "read"}` }
	const list = "spec.values.meshConfig.discoverySelectors"
	return []place{
		{`{"kind": %s}`, "kind", "string"},
		{`{"metadata": %s, "kind": "read"}`, "metadata", "object"},
		{meta(`"name": %s`), "metadata.name", "string"},
		{meta(`"generateName": %s`), "metadata.generateName", "string"},
		{meta(`"uid": %s`), "metadata.uid", "string"},
		{meta(`"resourceVersion": %s`), "metadata.resourceVersion", "string"},
		{meta(`"creationTimestamp": %s`), "metadata.creationTimestamp", "string"},
		{meta(`"deletionTimestamp": %s`), "metadata.deletionTimestamp", "string"},
		{meta(`"annotations": %s`), "metadata.annotations", "object"},
		{meta(`"annotations": {"a": %s}`), "metadata.annotations", "string"},
		{meta(`"ownerReferences": %s`), "metadata.ownerReferences", "array"},
		{meta(`"ownerReferences": [%s]`), "metadata.ownerReferences", "object"},
		{meta(`"ownerReferences": [{"name": %s}]`), "metadata.ownerReferences.name", "string"},
		{meta(`"ownerReferences": [{"kind": %s}]`), "metadata.ownerReferences.kind", "string"},
		{meta(`"ownerReferences": [{"apiVersion": %s}]`), "metadata.ownerReferences.apiVersion", "string"},
		{meta(`"ownerReferences": [{"controller": %s}]`), "metadata.ownerReferences.controller", "bool"},
		{`{"spec": %s, "kind": "read"}`, "spec", "object"},
		{spec(`"version": %s`), "spec.version", "string"},
		{spec(`"namespace": %s`), "spec.namespace", "string"},
		{spec(`"profile": %s`), "spec.profile", "string"},
		{spec(`"updateStrategy": %s`), "spec.updateStrategy", "object"},
		{spec(`"updateStrategy": {"type": %s}`), "spec.updateStrategy.type", "string"},
		{spec(`"values": %s`), "spec.values", "object"},
		{values(`"profile": %s`), "spec.values.profile", "string"},
		{values(`"global": %s`), "spec.values.global", "object"},
		{values(`"global": {"trustBundleName": %s}`), "spec.values.global.trustBundleName", "string"},
		{values(`"pilot": %s`), "spec.values.pilot", "object"},
		{values(`"pilot": {"env": %s}`), "spec.values.pilot.env", "object"},
		{values(`"pilot": {"configMap": %s}`), "spec.values.pilot.configMap", "bool"},
		{values(`"pilot": {"crlConfigMapName": %s}`), "spec.values.pilot.crlConfigMapName", "string"},
		{values(`"pilot": {"istiodRemote": %s}`), "spec.values.pilot.istiodRemote", "object"},
		{values(`"pilot": {"istiodRemote": {"enabled": %s}}`), "spec.values.pilot.istiodRemote.enabled", "bool"},
		{values(`"pilot": {"env": {"PILOT_ENABLE_AMBIENT": %s}}`), "spec.values.pilot.env.PILOT_ENABLE_AMBIENT", "string"},
		{values(`"pilot": {"env": {"PILOT_CA_CERT_CONFIGMAP": %s}}`), "spec.values.pilot.env.PILOT_CA_CERT_CONFIGMAP", "string"},
		{values(`"pilot": {"env": {"PILOT_CRL_CONFIGMAP": %s}}`), "spec.values.pilot.env.PILOT_CRL_CONFIGMAP", "string"},
		{values(`"pilot": {"env": {"EXTERNAL_ISTIOD": %s}}`), "spec.values.pilot.env.EXTERNAL_ISTIOD", "string"},
		{values(`"pilot": {"env": {"ENABLE_CLUSTER_TRUST_BUNDLE_API": %s}}`), "spec.values.pilot.env.ENABLE_CLUSTER_TRUST_BUNDLE_API", "string"},
		{values(`"pilot": {"env": {"SHARED_MESH_CONFIG": %s}}`), "spec.values.pilot.env.SHARED_MESH_CONFIG", "string"},
		{values(`"pilot": {"env": {"REVISION": %s}}`), "spec.values.pilot.env.REVISION", "string"},
		{values(`"pilot": {"envVarFrom": %s}`), "spec.values.pilot.envVarFrom", "array"},
		{values(`"pilot": {"envVarFrom": [%s]}`), "spec.values.pilot.envVarFrom", "object"},
		{values(`"global": {"externalIstiod": %s}`), "spec.values.global.externalIstiod", "bool"},
		{values(`"global": {"resourceScope": %s}`), "spec.values.global.resourceScope", "string"},
		{values(`"global": {"operatorManageWebhooks": %s}`), "spec.values.global.operatorManageWebhooks", "bool"},
		{values(`"istiodRemote": %s`), "spec.values.istiodRemote", "object"},
		{values(`"istiodRemote": {"enabled": %s}`), "spec.values.istiodRemote.enabled", "bool"},
		{values(`"istiodRemote": {"enabledLocalInjectorIstiod": %s}`), "spec.values.istiodRemote.enabledLocalInjectorIstiod", "bool"},
		{values(`"sidecarInjectorWebhook": %s`), "spec.values.sidecarInjectorWebhook", "object"},
		{values(`"sidecarInjectorWebhook": {"enableNamespacesByDefault": %s}`), "spec.values.sidecarInjectorWebhook.enableNamespacesByDefault", "bool"},
		{values(`"meshConfig": %s`), "spec.values.meshConfig", "object"},
		{selectors(`%s`), list, "array"},
		{selectors(`[%s]`), list, "object"},
		{selectors(`[{"matchLabels": %s}]`), list + ".matchLabels", "object"},
		{selectors(`[{}, {"matchLabels": {"env": %s}}]`), list + ".matchLabels", "string"},
		{selectors(`[{"matchExpressions": %s}]`), list + ".matchExpressions", "array"},
		{selectors(`[{"matchExpressions": [%s]}]`), list + ".matchExpressions", "object"},
		{selectors(`[{"matchExpressions": [{"key": %s}]}]`), list + ".matchExpressions.key", "string"},
		{selectors(`[{"matchExpressions": [{"operator": %s}]}]`), list + ".matchExpressions.operator", "string"},
		{selectors(`[{"matchExpressions": [{"values": %s}]}]`), list + ".matchExpressions.values", "array"},
		{selectors(`[{"matchExpressions": [{"values": ["a", %s]}]}]`), list + ".matchExpressions.values", "string"},
	}
}

func tagPlaces() []place {
	return []place{
		{`{"metadata": %s}`, "metadata", "object"},
		{`{"metadata": {"name": %s}}`, "metadata.name", "string"},
		{`{"spec": %s}`, "spec", "object"},
		{`{"spec": {"targetRef": %s}}`, "spec.targetRef", "object"},
		{`{"spec": {"targetRef": {"kind": %s}}}`, "spec.targetRef.kind", "string"},
		{`{"spec": {"targetRef": {"name": %s}}}`, "spec.targetRef.name", "string"},
	}
}

// complaint is what Malformed says of a value at a place; "" if its type belongs there.
func (p place) complaint(jsonType string) string {
	if jsonType == p.expects {
		return ""
	}
	article := map[string]string{"array": "an ", "object": "an "}[jsonType]
	if article == "" {
		article = "a "
	}
	return p.path + ": found " + article + jsonType + " where the Sail operator's API has another type"
}

func TestAValueOfASurprisingTypeIsNamedByItsPathAndTheRestIsRead(t *testing.T) {
	for _, p := range controlPlanePlaces() {
		for jsonType, value := range surprising() {
			raw := fmt.Sprintf(p.around, value)
			cp := decode(t, raw)
			if got, want := problem(cp.Malformed), p.complaint(jsonType); got != want {
				t.Errorf("%s: malformed: %q, want %q", raw, got, want)
			}
			if p.path != "kind" && cp.Kind != "read" {
				t.Errorf("%s: the kind after it was not read", raw)
			}
		}
	}
	for _, p := range tagPlaces() {
		for jsonType, value := range surprising() {
			raw := fmt.Sprintf(p.around, value)
			if got, want := problem(decodeTag(t, raw).Malformed), p.complaint(jsonType); got != want {
				t.Errorf("%s: malformed: %q, want %q", raw, got, want)
			}
		}
	}
}

// Null is what an absent field is, everywhere.
func TestNullIsNeverASurprise(t *testing.T) {
	for _, p := range controlPlanePlaces() {
		if cp := decode(t, fmt.Sprintf(p.around, "null")); cp.Malformed != nil {
			t.Errorf("%s: %v", p.around, cp.Malformed)
		}
	}
	for _, p := range tagPlaces() {
		if tag := decodeTag(t, fmt.Sprintf(p.around, "null")); tag.Malformed != nil {
			t.Errorf("%s: %v", p.around, tag.Malformed)
		}
	}
}

func TestWhatStandsBesideASurpriseIsRead(t *testing.T) {
	got := decode(t, `{
		"metadata": {"annotations": {"meshfence.io/override": 1, "meshfence.io/fill": "kept"}, "name": "mesh-1"},
		"spec": {"profile": [], "namespace": "istio-system-1", "values": {
			"pilot": {"env": {"REVISION": false, "PILOT_CA_CERT_CONFIGMAP": "kept"}},
			"meshConfig": {"discoverySelectors": [7, {"matchLabels": {"istio-discovery": "mesh-1", "env": {}}}, null]}
		}}
	}`)
	want := &sail.ControlPlane{
		Metadata: sail.Meta{Name: "mesh-1", Annotations: map[string]string{sail.OverrideAnnotation: "", sail.FillAnnotation: "kept"}},
		Spec: sail.Spec{Namespace: "istio-system-1", Values: sail.Values{
			Pilot: sail.Pilot{Env: sail.Env{TrustBundle: "kept", Revision: new(string)}},
			MeshConfig: sail.MeshConfig{DiscoverySelectors: []*metav1.LabelSelector{
				{}, {MatchLabels: map[string]string{"istio-discovery": "mesh-1", "env": ""}}, nil,
			}},
		}},
		Malformed: errors.New("metadata.annotations: found a number where the Sail operator's API has another type"),
	}
	sameText := cmp.Transformer("text", problem)
	if diff := cmp.Diff(want, got, sameText); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnEmptyListOfSelectorsAndAnAbsentOneAndItemsThatAreNullAreKeptApart(t *testing.T) {
	for raw, want := range map[string][]*metav1.LabelSelector{
		`{}`: nil,
		`{"spec": {"values": {"meshConfig": {"discoverySelectors": null}}}}`:       nil,
		`{"spec": {"values": {"meshConfig": {"discoverySelectors": []}}}}`:         {},
		`{"spec": {"values": {"meshConfig": {"discoverySelectors": [null]}}}}`:     {nil},
		`{"spec": {"values": {"meshConfig": {"discoverySelectors": [{}, null]}}}}`: {{}, nil},
	} {
		if diff := cmp.Diff(want, decode(t, raw).Spec.Values.MeshConfig.DiscoverySelectors); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
	}
}

func TestJSONThatIsNoObjectIsNoObject(t *testing.T) {
	for _, raw := range []string{"", " ", "\n", "null", " null", "[]", `[{"metadata": {}}]`, `"{}"`, "1", "true", "x", "\xef\xbb\xbf{}"} {
		if cp, err := sail.DecodeControlPlane([]byte(raw)); !errors.Is(err, sail.ErrNoObject) || cp != nil {
			t.Errorf("control plane %q: %v, %v", raw, cp, err)
		}
		if tag, err := sail.DecodeTag([]byte(raw)); !errors.Is(err, sail.ErrNoObject) || tag != nil {
			t.Errorf("tag %q: %v, %v", raw, tag, err)
		}
	}
	if cp, err := sail.DecodeControlPlane(nil); !errors.Is(err, sail.ErrNoObject) || cp != nil {
		t.Errorf("nil: %v, %v", cp, err)
	}
}

func TestBrokenJSONIsAnErrorAndNothingIsRead(t *testing.T) {
	for raw, want := range map[string]string{
		`{`:                         "unexpected end of JSON input",
		`{"spec": {}`:               "unexpected end of JSON input",
		`{"spec": {}} x`:            "invalid character 'x' after top-level value",
		`{}{}`:                      "invalid character '{' after top-level value",
		`{"spec": nul}`:             "invalid character '}' in literal null (expecting 'l')",
		`{"spec": 5, "profile": x}`: "invalid character 'x' looking for beginning of value",
		"{\"a\": \"\x01\"}":         `invalid character '\x01' in string literal`,
	} {
		cp, err := sail.DecodeControlPlane([]byte(raw))
		if cp != nil || problem(err) != want {
			t.Errorf("%s: %v, %q, want %q", raw, cp, problem(err), want)
		}
		if tag, err := sail.DecodeTag([]byte(raw)); tag != nil || problem(err) != want {
			t.Errorf("%s: %v, %q, want %q", raw, tag, problem(err), want)
		}
	}
}
