package sail_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/sail"
)

// FuzzDecodeControlPlane checks that decoding never panics, fails exactly for what is no JSON object, and reads the same
// as a lookup in the generic form of the object.
func FuzzDecodeControlPlane(f *testing.F) {
	for _, p := range controlPlanePlaces() {
		for _, value := range surprising() {
			f.Add(fmt.Appendf(nil, p.around, value))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		cp, err := sail.DecodeControlPlane(raw)
		checkDecoded(t, raw, cp == nil, err)
		if err != nil || cp.Malformed != nil || !unambiguous(raw) {
			return
		}
		var generic any
		if err := json.Unmarshal(raw, &generic); err != nil {
			t.Fatal(err)
		}
		for _, read := range []struct {
			got  string
			path []string
		}{
			{cp.Kind, []string{"kind"}},
			{cp.Metadata.Name, []string{"metadata", "name"}},
			{cp.Metadata.DeletionTimestamp, []string{"metadata", "deletionTimestamp"}},
			{cp.Metadata.Annotations[allow], []string{"metadata", "annotations", allow}},
			{cp.Spec.Version, []string{"spec", "version"}},
			{cp.Spec.Namespace, []string{"spec", "namespace"}},
			{cp.Spec.Profile, []string{"spec", "profile"}},
			{cp.Spec.UpdateStrategy.Type, []string{"spec", "updateStrategy", "type"}},
			{text(cp.Spec.Values.Profile), []string{"spec", "values", "profile"}},
			{cp.Spec.Values.Global.TrustBundleName, []string{"spec", "values", "global", "trustBundleName"}},
			{cp.Spec.Values.Pilot.Env.TrustBundle, []string{"spec", "values", "pilot", "env", "PILOT_CA_CERT_CONFIGMAP"}},
		} {
			if want := lookup(generic, read.path); read.got != want {
				t.Errorf("%s: %v is %q, want %q", raw, read.path, read.got, want)
			}
		}
		_ = cp.Metadata.AllowedOverlap()
		_ = cp.Metadata.Controller(sail.KindIstio)
	})
}

// FuzzDecodeTag is FuzzDecodeControlPlane for tags.
func FuzzDecodeTag(f *testing.F) {
	for _, p := range tagPlaces() {
		for _, value := range surprising() {
			f.Add(fmt.Appendf(nil, p.around, value))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		tag, err := sail.DecodeTag(raw)
		checkDecoded(t, raw, tag == nil, err)
	})
}

func checkDecoded(t *testing.T, raw []byte, isNil bool, err error) {
	t.Helper()
	object := json.Valid(raw) && bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{"))
	if object != (err == nil) || isNil != (err != nil) {
		t.Fatalf("%q: an object: %v, nothing read: %v, error: %v", raw, object, isNil, err)
	}
}

// unambiguous reports whether no key stands twice in one object: there, what is read depends on the reader.
func unambiguous(raw []byte) bool {
	var into map[string]any
	duplicates, err := kjson.UnmarshalStrict(raw, &into, kjson.DisallowDuplicateFields)
	return err == nil && len(duplicates) == 0
}

// lookup returns the string at a path, "" if there is none.
func lookup(value any, path []string) string {
	for _, key := range path {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	text, _ := value.(string)
	return text
}

// text is what a pointer points at, "" if it is nil.
func text(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}
