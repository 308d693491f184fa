package audit_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/audit"
)

// readBack reads a fleet file.
func readBack(t *testing.T, text []byte) *audit.Inventory {
	t.Helper()
	list := struct{ Items []map[string]any }{}
	if err := yaml.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	i := &audit.Inventory{}
	for _, item := range list.Items {
		one, err := yaml.Marshal(item)
		if err != nil {
			t.Fatal(err)
		}
		i.Put(object(t, string(one)))
	}
	return i
}

// A file is laid over what a fleet file says just as over the cluster.
func TestAFleetFileStandsForTheCluster(t *testing.T) {
	cluster := guide(t)
	for _, text := range []string{
		filledIn, istio("mesh-3", "mesh-1"),
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: mesh-map, namespace: meshfence-system}, data: {mesh-1: gone}}",
		"{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, metadata: {name: stable}, spec: {targetRef: {kind: Istio, name: gone}}}",
	} {
		cluster.Put(object(t, text))
	}
	text, err := cluster.FleetFile()
	if err != nil {
		t.Fatal(err)
	}
	again := readBack(t, text)
	if diff := cmp.Diff(short(checker().State(cluster).Findings), short(checker().State(again).Findings)); diff != "" {
		t.Errorf("as it stands: %s", diff)
	}
	for _, file := range []string{namespace("app-1", "istio-discovery: mesh-2"), namespace("app-1", "team: a"), istio("mesh-3", "mesh-3"), istio("mesh-4", "mesh-2")} {
		want, err := checker().Laid(cluster, inventory(t, file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := checker().Laid(again, inventory(t, file))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(short(want.Findings), short(got.Findings)); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
	if second, err := again.FleetFile(); err != nil || string(second) != string(text) {
		t.Errorf("read back and written again it is another one (%v):\n%s", err, cmp.Diff(string(text), string(second)))
	}
}

func TestAFleetFileSaysNoMoreThanIsJudged(t *testing.T) {
	text, err := inventory(t, `
apiVersion: sailoperator.io/v1
kind: Istio
metadata:
  name: mesh-1
  resourceVersion: "7"
  annotations: {secret.example/token: hidden, meshfence.io/fill: "false"}
  managedFields: [{manager: hidden}]
spec: {namespace: istio-system-mesh-1}
status: {state: hidden}
`, `{apiVersion: v1, kind: Namespace, metadata: {name: a, annotations: {other: hidden}}, spec: {finalizers: [hidden]}, status: {phase: hidden}}`).FleetFile()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hidden") || !strings.Contains(string(text), `meshfence.io/fill: "false"`) {
		t.Errorf("%s", text)
	}
}

// What kubectl apply remembers is needed to lay a file over an object; what else it remembers must not get out.
func TestAFleetFileKeepsNoSecretOfTheLastApply(t *testing.T) {
	const applied = `{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"shop\",\"annotations\":{\"vault/token\":\"s3cr3t\",\"meshfence.io/fill\":\"false\"},\"labels\":{\"team\":\"a\"}}}`
	file, err := inventory(t, `{apiVersion: v1, kind: Namespace, metadata: {name: shop, annotations: {kubectl.kubernetes.io/last-applied-configuration: "`+applied+`"}}}`,
		`{apiVersion: v1, kind: Namespace, metadata: {name: odd, annotations: {kubectl.kubernetes.io/last-applied-configuration: "[1]"}}}`).FleetFile()
	if err != nil {
		t.Fatal(err)
	}
	text := string(file)
	if strings.Contains(text, "s3cr3t") || strings.Contains(text, "[1]") || !strings.Contains(text, `"labels":{"team":"a"}`) || !strings.Contains(text, `"meshfence.io/fill":"false"`) {
		t.Error(text)
	}
}

// An annotation that kubectl has not written is no reason to judge nothing.
func TestAFileIsLaidOverAnObjectWithAStrangeAnnotation(t *testing.T) {
	stored := inventory(t, `{apiVersion: v1, kind: Namespace, metadata: {name: shop, annotations: {kubectl.kubernetes.io/last-applied-configuration: "[1]"}}}`)
	if _, err := checker().Laid(stored, inventory(t, namespace("shop", "team: a"))); err != nil {
		t.Error(err)
	}
}
