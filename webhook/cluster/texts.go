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
	if known, ok := t.known[string(text)]; ok { // which makes no string
		return known
	}
	return t.lockedSame(string(text))
}

// lockedSame is lockedOf of a text that is a string already.
func (t *texts) lockedSame(text string) string {
	known, ok := t.known[text]
	if ok {
		return known
	}
	if len(t.known) < maxTexts {
		t.known[text] = text
	}
	return text
}
