package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// counted is a store of the objects' resourceVersions and the number of times that it said it has changed.
func counted() (s *Store[string], changes *int) {
	changes = new(int)
	return New(metav1.Object.GetResourceVersion, func() { *changes++ }), changes
}

func object(name, version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version}}
}

func TestStoreTellsOfChangesOnly(t *testing.T) {
	type step struct {
		name    string
		do      func(*Store[string]) error
		changes int
		values  []string
	}
	steps := []step{
		{"the first list, even an empty one", func(s *Store[string]) error { return s.Replace(nil, "1") }, 1, []string{}},
		{"the same list again", func(s *Store[string]) error { return s.Replace(nil, "2") }, 1, []string{}},
		{"an object appears", func(s *Store[string]) error { return s.Add(object("b", "of b")) }, 2, []string{"of b"}},
		{"another one, before it by name", func(s *Store[string]) error { return s.Add(object("a", "of a")) }, 3, []string{"of a", "of b"}},
		{"an update that changes nothing that is kept", func(s *Store[string]) error { return s.Update(object("b", "of b")) }, 3, []string{"of a", "of b"}},
		{"an update", func(s *Store[string]) error { return s.Update(object("b", "new")) }, 4, []string{"of a", "new"}},
		{"a list of the same", func(s *Store[string]) error {
			return s.Replace([]any{object("b", "new"), object("a", "of a")}, "3")
		}, 4, []string{"of a", "new"}},
		{"something unknown goes", func(s *Store[string]) error { return s.Delete(object("c", "")) }, 4, []string{"of a", "new"}},
		{"an object goes", func(s *Store[string]) error { return s.Delete(object("a", "whatever")) }, 5, []string{"new"}},
		{"a resync", (*Store[string]).Resync, 5, []string{"new"}},
		{"a list without what was there", func(s *Store[string]) error { return s.Replace([]any{object("d", "of d")}, "4") }, 6, []string{"of d"}},
	}
	s, changes := counted()
	if s.HasSynced() {
		t.Error("synced before the first list")
	}
	for _, step := range steps {
		if err := step.do(s); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if *changes != step.changes || !s.HasSynced() {
			t.Errorf("%s: told of %d changes, want %d; synced %t, want true", step.name, *changes, step.changes, s.HasSynced())
		}
		if diff := cmp.Diff(step.values, s.Values()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestStoreRefusesWhatIsNoObject(t *testing.T) {
	s, changes := counted()
	for name, err := range map[string]error{"add": s.Add(3), "update": s.Update(nil), "delete": s.Delete("x"), "replace": s.Replace([]any{object("a", ""), 3}, "")} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if *changes != 0 || s.HasSynced() {
		t.Errorf("told of %d changes, synced %t: want none and false", *changes, s.HasSynced())
	}
}

// A value that was handed out is never written: a reader may hold it for as long as it likes.
func TestStoreDoesNotWriteWhatItHandedOut(t *testing.T) {
	s, _ := counted()
	for _, name := range []string{"a", "b"} {
		if err := s.Add(object(name, "old")); err != nil {
			t.Fatal(err)
		}
	}
	held := s.Values()
	if err := s.Update(object("a", "new")); err != nil {
		t.Fatal(err)
	}
	s.Values()
	if diff := cmp.Diff([]string{"old", "old"}, held); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
