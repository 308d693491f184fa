package mesh_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// objects reads YAML documents, separated by lines of "---", as they would be applied.
func objects(t testing.TB, documents string) mesh.Objects {
	t.Helper()
	var all mesh.Objects
	for document := range strings.SplitSeq(documents, "\n---\n") {
		raw, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		cp, err := sail.DecodeControlPlane(raw)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		switch cp.Kind {
		case sail.KindIstio:
			all.Istios = append(all.Istios, cp)
		case sail.KindIstioRevision:
			all.Revisions = append(all.Revisions, cp)
		case sail.KindIstioRevisionTag:
			tag, err := sail.DecodeTag(raw)
			if err != nil {
				t.Fatalf("%v in:\n%s", err, document)
			}
			all.Tags = append(all.Tags, tag)
		default:
			t.Fatalf("kind %q in:\n%s", cp.Kind, document)
		}
	}
	return all
}

// fleet is the fleet of some YAML documents.
func fleet(t testing.TB, documents ...string) *mesh.Fleet {
	t.Helper()
	return mesh.NewFleet(objects(t, strings.Join(documents, "\n---\n")))
}

// istio is an Istio with a spec in YAML's one-line form.
func istio(name, spec string) string {
	return fmt.Sprintf("kind: Istio\nmetadata: {name: %s}\nspec: %s", name, spec)
}

// revision is an IstioRevision that the Istio called owner controls; owner is "" for none.
func revision(name, owner, spec string) string {
	owners := "[]"
	if owner != "" {
		owners = fmt.Sprintf("[{apiVersion: sailoperator.io/v1, kind: Istio, name: %s, uid: u, controller: true}]", owner)
	}
	return fmt.Sprintf("kind: IstioRevision\nmetadata: {name: %s, ownerReferences: %s}\nspec: %s", name, owners, spec)
}

// tag is an IstioRevisionTag.
func tag(name, kind, target string) string {
	return fmt.Sprintf("kind: IstioRevisionTag\nmetadata: {name: %s}\nspec: {targetRef: {kind: %s, name: %s}}", name, kind, target)
}

// discovering is a spec with these discovery selectors, each in YAML's one-line form.
func discovering(selectors ...string) string {
	return fmt.Sprintf("{values: {meshConfig: {discoverySelectors: [%s]}}}", strings.Join(selectors, ", "))
}

// label is a selector that asks for one label.
func label(key, value string) string { return fmt.Sprintf("{matchLabels: {%s: %s}}", key, value) }

// labels reads "key=value,key=value".
func labels(text string) map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			all[key] = value
		}
	}
	return all
}

// names are the references of meshes, as text.
func names(meshes []*mesh.Mesh) []string {
	var all []string
	for _, m := range meshes {
		all = append(all, m.String())
	}
	return all
}

// only returns the fleet's only mesh.
func only(t testing.TB, f *mesh.Fleet) *mesh.Mesh {
	t.Helper()
	if len(f.Meshes()) != 1 {
		t.Fatalf("meshes: %v, want one", names(f.Meshes()))
	}
	return f.Meshes()[0]
}

// anyLabels are label sets of all sorts, for what is said of every namespace.
func anyLabels() []map[string]string {
	return []map[string]string{
		nil, {}, labels("kubernetes.io/metadata.name=shop"), labels("env=dev"), labels("env="), labels("team=a,env=prod,istio-discovery=mesh-1"),
	}
}

// discoversAll reports whether the mesh discovers every namespace, and discoversNone whether it discovers none.
func discoversAll(f *mesh.Fleet) bool {
	return !slices.ContainsFunc(anyLabels(), func(l map[string]string) bool { return len(f.DiscoveredBy(l)) == 0 })
}

func discoversNone(f *mesh.Fleet) bool {
	return !slices.ContainsFunc(anyLabels(), func(l map[string]string) bool { return len(f.DiscoveredBy(l)) > 0 })
}
