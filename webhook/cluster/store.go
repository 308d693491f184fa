package cluster

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// store keeps what convert makes of every object that a reflector brings, by the object's name: all objects of one store
// are cluster-scoped or of one namespace. It never keeps the object itself. It implements cache.ReflectorStore.
//
// Values are shared with readers and never written after convert returned them.
type store[T any] struct {
	convert func(metav1.Object) T
	// changed is called, outside the lock and by the reflector's one goroutine, after the first list and whenever a value
	// has become another one in the sense of reflect.DeepEqual.
	changed func()

	mu     sync.Mutex
	items  map[string]T
	synced bool
	// versions are those of the objects that the values were made of; nil if they are not kept.
	versions map[string]version
	// sorted are the items by name, nil if they changed since they were last asked for.
	sorted []T
}

var _ cache.ReflectorStore = (*store[int])(nil)

func newStore[T any](convert func(metav1.Object) T, changed func()) *store[T] {
	return &store[T]{convert: convert, changed: changed, items: map[string]T{}}
}

// version tells an object from all others that were ever stored under its name, also by somebody who created it anew.
type version struct {
	uid             types.UID
	resourceVersion string
}

func versionOf(object metav1.Object) version {
	return version{uid: object.GetUID(), resourceVersion: object.GetResourceVersion()}
}

// keepVersions makes a store that is still empty answer at.
func (s *store[T]) keepVersions() *store[T] {
	s.versions = map[string]version{}
	return s
}

// at returns the value of an object, if the store has the one of this very version.
func (s *store[T]) at(name string, wanted version) (value T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wanted.resourceVersion == "" || s.versions[name] != wanted {
		return value, false
	}
	value, ok = s.items[name]
	return value, ok
}

// keeping is an object of a list that holds nothing but the value that a store without versions keeps.
type keeping[T any] interface {
	kept() (name string, value T)
}

// read converts an object.
func (s *store[T]) read(object any) (name string, of version, value T, err error) {
	if object, ok := object.(keeping[T]); ok {
		name, value = object.kept()
		return name, version{}, value, nil
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return "", version{}, value, fmt.Errorf("an object without metadata, of type %T: %w", object, err)
	}
	return accessor.GetName(), versionOf(accessor), s.convert(accessor), nil
}

// Add stores an object that appeared.
func (s *store[T]) Add(object any) error { return s.Update(object) }

// Update stores an object that appeared or changed.
func (s *store[T]) Update(object any) error {
	name, of, value, err := s.read(object)
	if err != nil {
		return err
	}
	if s.put(name, of, value) {
		s.changed()
	}
	return nil
}

func (s *store[T]) put(name string, of version, value T) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions != nil {
		s.versions[name] = of
	}
	if old, ok := s.items[name]; ok && reflect.DeepEqual(old, value) {
		return false
	}
	s.items[name] = value
	s.sorted = nil
	return true
}

// replaceIf puts another value in the place of one that is as it is wanted to be.
func (s *store[T]) replaceIf(name string, value T, wanted func(stored T) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stored, ok := s.items[name]; ok && wanted(stored) {
		s.items[name] = value
		s.sorted = nil
	}
}

// Delete removes an object.
func (s *store[T]) Delete(object any) error {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	if s.remove(accessor.GetName()) {
		s.changed()
	}
	return nil
}

func (s *store[T]) remove(name string) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.items[name]; !ok {
		return false
	}
	delete(s.items, name)
	delete(s.versions, name)
	s.sorted = nil
	return true
}

// Replace makes the store hold these objects only. The first call makes it synced.
func (s *store[T]) Replace(objects []any, _ string) error {
	items := make(map[string]T, len(objects))
	var versions map[string]version
	if s.versions != nil {
		versions = make(map[string]version, len(objects))
	}
	for _, object := range objects {
		name, of, value, err := s.read(object)
		if err != nil {
			return err
		}
		items[name] = value
		if versions != nil {
			versions[name] = of
		}
	}
	if s.replace(items, versions) {
		s.changed()
	}
	return nil
}

func (s *store[T]) replace(items map[string]T, versions map[string]version) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions = versions
	if s.synced && reflect.DeepEqual(s.items, items) {
		return false
	}
	s.items, s.synced, s.sorted = items, true, nil
	return true
}

// Resync does nothing: nobody asks for it.
func (s *store[T]) Resync() error { return nil }

// hasSynced says whether the store holds a whole list.
func (s *store[T]) hasSynced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.synced
}

// values returns the values by name. The slice is shared and must not be written. Sorting is paid for by the first caller
// after a change.
func (s *store[T]) values() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sorted == nil {
		s.sorted = make([]T, 0, len(s.items))
		for _, name := range slices.Sorted(maps.Keys(s.items)) {
			s.sorted = append(s.sorted, s.items[name])
		}
	}
	return s.sorted
}
