package cluster

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// store keeps what convert makes of every object that a reflector brings, by the object's name: all objects of one store
// are cluster-scoped or of one namespace. It never keeps the object itself. It implements cache.ReflectorStore, and
// cache.TransformingStore, so that a streamed list is converted object by object too.
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
	// sorted are the items by name, nil if they changed since they were last asked for.
	sorted []T
}

var _ cache.TransformingStore = (*store[int])(nil)

func newStore[T any](convert func(metav1.Object) T, changed func()) *store[T] {
	return &store[T]{convert: convert, changed: changed, items: map[string]T{}}
}

// entry is a converted object on its way into the store.
type entry[T any] struct {
	name  string
	value T
}

// entryOf converts an object, unless the transformer has done so already.
func (s *store[T]) entryOf(object any) (entry[T], error) {
	if e, ok := object.(entry[T]); ok {
		return e, nil
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return entry[T]{}, fmt.Errorf("an object without metadata, of type %T: %w", object, err)
	}
	return entry[T]{name: accessor.GetName(), value: s.convert(accessor)}, nil
}

// Transformer returns the conversion for the reflector's own temporary store.
func (s *store[T]) Transformer() cache.TransformFunc {
	return func(object any) (any, error) { return s.entryOf(object) }
}

// Add stores an object that appeared.
func (s *store[T]) Add(object any) error { return s.Update(object) }

// Update stores an object that appeared or changed.
func (s *store[T]) Update(object any) error {
	e, err := s.entryOf(object)
	if err != nil {
		return err
	}
	if s.put(e) {
		s.changed()
	}
	return nil
}

func (s *store[T]) put(e entry[T]) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.items[e.name]; ok && reflect.DeepEqual(old, e.value) {
		return false
	}
	s.items[e.name] = e.value
	s.sorted = nil
	return true
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
	s.sorted = nil
	return true
}

// Replace makes the store hold these objects only. The first call makes it synced.
func (s *store[T]) Replace(objects []any, _ string) error {
	items := make(map[string]T, len(objects))
	for _, object := range objects {
		e, err := s.entryOf(object)
		if err != nil {
			return err
		}
		items[e.name] = e.value
	}
	if s.replace(items) {
		s.changed()
	}
	return nil
}

func (s *store[T]) replace(items map[string]T) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
