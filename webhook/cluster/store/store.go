// Package store keeps in memory what client-go's reflectors bring. A shared informer would keep the whole objects; here each
// object is cut down to one value the moment it arrives. The package knows nothing of meshes.
package store

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

// Store keeps what convert makes of every object that a reflector brings, by the object's name, or by its namespace and its name with a slash
// between. It never keeps the object itself. It implements cache.ReflectorStore.
//
// Values are shared with readers and never written after convert returned them. Its methods are safe for concurrent use, those
// of cache.ReflectorStore by one reflector.
type Store[T any] struct {
	convert func(metav1.Object) T
	// changed is called outside the lock.
	changed func()

	mu     sync.Mutex
	items  map[string]T
	synced bool
	// versions are those of the objects that the values were made of; nil if they are not kept.
	versions map[string]Version
	// sorted are the items by name, nil if they changed since they were last asked for.
	sorted []T
}

var _ cache.ReflectorStore = (*Store[int])(nil)

// New returns an empty Store. changed is called, by the reflector's one goroutine, after the first list and whenever a value
// has become another one in the sense of reflect.DeepEqual.
func New[T any](convert func(metav1.Object) T, changed func()) *Store[T] {
	return &Store[T]{convert: convert, changed: changed, items: map[string]T{}}
}

// OnChange replaces the function that is called after a change. It must be called before a reflector uses the Store.
func (s *Store[T]) OnChange(changed func()) { s.changed = changed }

// Version tells an object from all others that were ever stored under its name, also if it was deleted and created again.
type Version struct {
	UID             types.UID
	ResourceVersion string
}

// VersionOf returns the version of an object.
func VersionOf(object metav1.Object) Version {
	return Version{UID: object.GetUID(), ResourceVersion: object.GetResourceVersion()}
}

// KeepVersions makes a Store that is still empty answer At.
func (s *Store[T]) KeepVersions() *Store[T] {
	s.versions = map[string]Version{}
	return s
}

// At returns the value of an object, if the Store has the one of this very version.
func (s *Store[T]) At(name string, version Version) (value T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version.ResourceVersion == "" || s.versions[name] != version {
		return value, false
	}
	value, ok = s.items[name]
	return value, ok
}

// Converted is an object of a list that was converted while it was decoded. A Store that keeps versions cannot take it.
type Converted[T any] interface {
	// Value returns the object's name and what a Store keeps of it.
	Value() (name string, value T)
}

// read converts an object.
func (s *Store[T]) read(object any) (name string, version Version, value T, err error) {
	if object, ok := object.(Converted[T]); ok {
		name, value = object.Value()
		return name, Version{}, value, nil
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return "", Version{}, value, fmt.Errorf("an object without metadata, of type %T: %w", object, err)
	}
	return NameOf(accessor), VersionOf(accessor), s.convert(accessor), nil
}

// NameOf is by what a Store knows an object.
func NameOf(object metav1.Object) string {
	if namespace := object.GetNamespace(); namespace != "" {
		return namespace + "/" + object.GetName()
	}
	return object.GetName()
}

// Add stores an object that appeared.
func (s *Store[T]) Add(object any) error { return s.Update(object) }

// Update stores an object that appeared or changed.
func (s *Store[T]) Update(object any) error {
	name, version, value, err := s.read(object)
	if err != nil {
		return err
	}
	if s.put(name, version, value) {
		s.changed()
	}
	return nil
}

func (s *Store[T]) put(name string, version Version, value T) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions != nil {
		s.versions[name] = version
	}
	if old, ok := s.items[name]; ok && reflect.DeepEqual(old, value) {
		return false
	}
	s.items[name] = value
	s.sorted = nil
	return true
}

// ReplaceIf puts another value in the place of the stored one if outdated reports true of that.
func (s *Store[T]) ReplaceIf(name string, value T, outdated func(stored T) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stored, ok := s.items[name]; ok && outdated(stored) {
		s.items[name] = value
		s.sorted = nil
	}
}

// Delete removes an object.
func (s *Store[T]) Delete(object any) error {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	if s.remove(NameOf(accessor)) {
		s.changed()
	}
	return nil
}

func (s *Store[T]) remove(name string) (changed bool) {
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

// Replace makes the Store hold these objects only. The first call makes it synced.
func (s *Store[T]) Replace(objects []any, _ string) error {
	items := make(map[string]T, len(objects))
	var versions map[string]Version
	if s.versions != nil {
		versions = make(map[string]Version, len(objects))
	}
	for _, object := range objects {
		name, version, value, err := s.read(object)
		if err != nil {
			return err
		}
		items[name] = value
		if versions != nil {
			versions[name] = version
		}
	}
	if s.replace(items, versions) {
		s.changed()
	}
	return nil
}

func (s *Store[T]) replace(items map[string]T, versions map[string]Version) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions = versions
	if s.synced && reflect.DeepEqual(s.items, items) {
		return false
	}
	s.items, s.synced, s.sorted = items, true, nil
	return true
}

// Resync does nothing: no reflector here is made to resync.
func (s *Store[T]) Resync() error { return nil }

// HasSynced reports whether the Store holds a whole list.
func (s *Store[T]) HasSynced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.synced
}

// Values returns the values by name. The slice is shared and must not be written. Sorting is paid for by the first caller
// after a change.
func (s *Store[T]) Values() []T {
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
