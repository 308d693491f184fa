package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/webhook/policy"
)

// scope is that of an installation with the default names.
var scope = audit.Scope{Namespace: "meshfence-system", MeshMap: "mesh-map"}

// checker is one with the default configuration.
func checker() *audit.Checker {
	return &audit.Checker{
		Policy: policy.New(policy.Settings{
			DiscoveryLabels: []string{"istio-discovery", "mesh"},
			FillFrom:        []policy.FillSource{policy.MeshMap, policy.FollowingTag, policy.ActiveRevision},
			ControlPlane:    func(namespace string) bool { return strings.HasPrefix(namespace, "istio-system") },
		}),
		Exempt:          func(namespace string) bool { return namespace == "kube-system" },
		DiscoveryLabels: []string{"istio-discovery", "mesh"},
		Scope:           scope,
		Now:             time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC),
	}
}

// object reads one object from YAML.
func object(t testing.TB, text string) audit.Object {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	head := struct {
		APIVersion string
		Kind       string
		Metadata   struct{ Name, Namespace string }
	}{}
	if err := yaml.Unmarshal(raw, &head); err != nil {
		t.Fatal(err)
	}
	if !scope.Concerns(head.APIVersion, head.Kind, head.Metadata.Namespace, head.Metadata.Name) {
		t.Fatalf("not judged: %s", text)
	}
	o, err := scope.Decode(head.Kind, head.Metadata.Namespace, head.Metadata.Name, raw)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func inventory(t testing.TB, texts ...string) *audit.Inventory {
	t.Helper()
	i := &audit.Inventory{}
	for _, text := range texts {
		i.Put(object(t, text))
	}
	return i
}

// istio is one that selects by istio-discovery.
func istio(name, discovery string) string {
	return fmt.Sprintf("{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: %s}, spec: {version: v1.30.3, namespace: istio-system-%s, "+
		"values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: %s}}]}}}}", name, name, discovery)
}

// namespace has labels written as in a YAML flow mapping.
func namespace(name, labels string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {%s}}}", name, labels)
}

// plane is the control-plane namespace of a mesh, labelled as the guide says.
func plane(name string) string { return namespace("istio-system-"+name, "istio-discovery: "+name) }

// guide is the cluster of the OpenShift guide, all right.
func guide(t testing.TB) *audit.Inventory {
	t.Helper()
	return inventory(t, istio("mesh-1", "mesh-1"), istio("mesh-2", "mesh-2"), plane("mesh-1"), plane("mesh-2"),
		namespace("app-1", "istio-discovery: mesh-1, istio.io/rev: mesh-1"), namespace("app-2", "istio-discovery: mesh-2, istio.io/rev: mesh-2"))
}

// short writes offences as "MF202 Namespace "app-1"".
func short(offences []policy.Offence) []string {
	all := []string{}
	for _, o := range offences {
		all = append(all, fmt.Sprintf("%s %s %s", o.Rule.Code, o.Kind, o.Name))
	}
	return all
}

func gaps(all []audit.Gap) []string {
	texts := []string{}
	for _, gap := range all {
		texts = append(texts, fmt.Sprintf("%s %v needs %s", gap.Key, gap.Codes, gap.Needs))
	}
	slices.Sort(texts)
	return texts
}
