package cluster

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/sail"
)

// FuzzMeshList reads lists of meshes. None panics, and one that is read has every item, each as it is read by itself in the
// usual way.
func FuzzMeshList(f *testing.F) {
	for _, text := range []string{
		`{"metadata":{"resourceVersion":"7","continue":"x"},"items":[{"metadata":{"name":"a","uid":"u","resourceVersion":"5"},"spec":{"namespace":"b"}}]}`,
		`{"items":[{"metadata":{"name":"a"},"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{"a":"b"}},null]}}}},{"metadata":{"name":"b"},"spec":5}]}`,
		`{"items":[]}`, `{"items":null}`, `{"items":{}}`, `{"items":[null]}`, `{"items":[{"metadata":{}}]}`, `{}`, `[]`, `null`, ``, `{"Items":[]}`,
		`{"kind":"Status","code":404}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := decodeMeshes(raw, sail.KindIstio)
		if (list == nil) != (err != nil) {
			t.Fatalf("%q: %v, %v", raw, list, err)
		}
		var generic struct {
			Items []json.RawMessage `json:"items"`
		}
		if err != nil {
			return
		}
		found, err := controlPlanes(list)
		if err != nil || json.Unmarshal(raw, &generic) != nil || len(generic.Items) != len(found) {
			t.Fatalf("%q: %d items of %d, %v", raw, len(found), len(generic.Items), err)
		}
		for i, cp := range found {
			object := &unstructured.Unstructured{}
			if !unambiguous(generic.Items[i]) || object.UnmarshalJSON(withKind(generic.Items[i])) != nil {
				continue
			}
			if object.GetName() == cp.Metadata.Name && cp.Malformed == nil {
				want := controlPlane(sail.KindIstio)(object)
				if diff := cmp.Diff(want.Spec, cp.Spec); diff != "" && want.Malformed == nil {
					t.Fatalf("%q (-usual +read):\n%s", raw, diff)
				}
			}
		}
	})
}

// withKind gives an object the kind that the usual way asks for.
func withKind(raw []byte) []byte {
	var object map[string]any
	if json.Unmarshal(raw, &object) != nil {
		return nil
	}
	object["kind"], object["apiVersion"] = "Istio", "sailoperator.io/v1"
	text, err := json.Marshal(object)
	if err != nil {
		return nil
	}
	return text
}

// unambiguous reports whether no key stands twice in one object: there, what is read depends on the reader.
func unambiguous(raw []byte) bool {
	var into map[string]any
	duplicates, err := kjson.UnmarshalStrict(raw, &into, kjson.DisallowDuplicateFields)
	return err == nil && len(duplicates) == 0
}

// FuzzReadMeshMap reads the ConfigMap of the mesh map. None panics, and what it has is used or told.
func FuzzReadMeshMap(f *testing.F) {
	for _, text := range []string{`{"data":{"mesh-1":"stable"}}`, `{"data":{"a b":"x","":"","c":"-"}}`, `{"data":[]}`, `{"data":{"a":1}}`, `{"data":null}`, `{}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var object map[string]any
		if json.Unmarshal(raw, &object) != nil {
			return
		}
		read := readMeshMap(&unstructured.Unstructured{Object: object})
		data, ok := object["data"].(map[string]any)
		if len(read.entries) > len(data) || !ok && len(read.entries) > 0 || read.ignored > 0 && len(read.problems) == 0 {
			t.Fatalf("%q: %+v", raw, read)
		}
		for name, revision := range read.entries {
			if data[name] == nil || name == "" || revision == "" {
				t.Fatalf("%q: %q is %q", raw, name, revision)
			}
		}
	})
}
