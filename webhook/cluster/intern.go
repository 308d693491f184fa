package cluster

import "sync"

// maxInterned is how many label keys and values are kept once: enough for those that repeat in any cluster, and less than a
// megabyte where none does.
const maxInterned = 8192

// internTable keeps label keys and values once that repeat from namespace to namespace. It never forgets one: the standard
// library's unique.Handle would have to be kept with every label. It is safe for concurrent use.
type internTable struct {
	mu    sync.Mutex
	known map[string]string
}

func newInternTable() *internTable { return &internTable{known: map[string]string{}} }

// labels returns a copy of a namespace's labels in which texts are shared. The name, which is the value of one label, is too.
func (t *internTable) labels(name string, labels map[string]string) map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	shared := make(map[string]string, len(labels))
	for key, value := range labels {
		if value == name {
			value = name
		} else {
			value = t.internLocked(value)
		}
		shared[t.internLocked(key)] = value
	}
	return shared
}

// internLocked returns the one copy of a text that is kept, or the text itself if there is no room for more. The caller holds the lock.
func (t *internTable) internLocked(text string) string {
	known, ok := t.known[text]
	if ok {
		return known
	}
	if len(t.known) < maxInterned {
		t.known[text] = text
	}
	return text
}
