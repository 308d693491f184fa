package cluster

import "sync"

// maxTexts is how many label keys and values are kept once: enough for those that repeat in any cluster, and less than a
// megabyte where none does.
const maxTexts = 8192

// texts keeps label keys and values once that repeat from namespace to namespace. What it holds it keeps for good; a table
// that forgets what nothing but namespaces uses would hold copies again after a while, as every namespace that
// changes is decoded anew. It is safe for concurrent use.
type texts struct {
	mu    sync.Mutex
	known map[string]string
}

func newTexts() *texts { return &texts{known: map[string]string{}} }

// lockedOf returns the one copy of a text that is kept, or a copy if there is no room for more. The caller holds the lock.
func (t *texts) lockedOf(text []byte) string {
	known, ok := t.known[string(text)]
	if ok {
		return known
	}
	return t.lockedAdd(string(text))
}

// lockedAdd keeps a text that is not known, if there is room.
func (t *texts) lockedAdd(text string) string {
	if len(t.known) < maxTexts {
		t.known[text] = text
	}
	return text
}

// lockedSame is lockedOf of a text that somebody else holds already.
func (t *texts) lockedSame(text string) string {
	if known, ok := t.known[text]; ok {
		return known
	}
	return t.lockedAdd(text)
}
