package ledger

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

const (
	// compressFrom is how many bytes a claim has at least that is stored compressed. A shorter one stays readable for a
	// person who looks at the ledger; that is nearly every one.
	compressFrom = 2 << 10
	// maxExpanded is how many bytes a claim may have before it is compressed: more than any object that can be stored,
	// and a bound on what reading a damaged ledger can take.
	maxExpanded = 2 << 20
	// compressed begins the text of a claim that is stored compressed: base64 of gzip.
	compressed = "gzip:"
)

// record is a claim as it is stored.
type record struct {
	Object *sail.ControlPlane `json:"object"`
	// Malformed is the object's problem, if it had one.
	Malformed  string    `json:"malformed,omitempty"`
	OldVersion string    `json:"oldResourceVersion,omitempty"`
	Time       time.Time `json:"time"`
	User       string    `json:"user,omitempty"`
}

// encode returns the claim as it is stored: all of it, whatever its size. It is a *TooLargeError if that is more than a
// claim may have.
func (c *Claim) encode() (string, error) {
	r := record{Object: c.Object, OldVersion: c.OldVersion, Time: c.Time.UTC(), User: c.User}
	if c.Object.Malformed != nil {
		r.Malformed = c.Object.Malformed.Error()
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	if len(raw) > maxExpanded {
		return "", &TooLargeError{Ref: c.Ref(), Bytes: len(raw), Most: maxExpanded}
	}
	c.expanded = len(raw)
	text := string(raw)
	if len(raw) >= compressFrom {
		if text, err = compress(raw); err != nil {
			return "", err
		}
	}
	if len(text) > maxShare {
		return "", &TooLargeError{Ref: c.Ref(), Bytes: len(text), Most: maxShare}
	}
	return text, nil
}

func compress(raw []byte) (string, error) {
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return "", err
	}
	if _, err := writer.Write(raw); err != nil {
		return "", err
	}
	if err := writer.Close(); err != nil {
		return "", err
	}
	return compressed + base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}

func expand(text string) ([]byte, error) {
	packed, isCompressed := strings.CutPrefix(text, compressed)
	if !isCompressed {
		return []byte(text), nil
	}
	reader, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(packed)))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(reader, maxExpanded+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxExpanded {
		return nil, fmt.Errorf("it has more than %d bytes", maxExpanded)
	}
	return raw, nil
}

// decode reads a stored claim.
func decode(text string) (Claim, error) {
	raw, err := expand(text)
	if err != nil {
		return Claim{}, fmt.Errorf("is no claim: %w", err)
	}
	r := record{}
	if err := json.Unmarshal(raw, &r); err != nil {
		return Claim{}, fmt.Errorf("is no claim: %w", err)
	}
	if r.Object == nil || r.Object.Metadata.Name == "" || r.Time.IsZero() ||
		r.Object.Kind != sail.KindIstio && r.Object.Kind != sail.KindIstioRevision && (r.Object.Kind != mesh.KindIstiod || r.Object.Installed == nil) {
		return Claim{}, errors.New("is no claim: it names no object of the Sail operator and no istiod, or no time")
	}
	if r.Malformed != "" {
		r.Object.Malformed = errors.New(r.Malformed)
	}
	return Claim{Object: r.Object, OldVersion: r.OldVersion, Time: r.Time, User: r.User, expanded: len(raw)}, nil
}

// judged cuts an object down to what is judged of it.
func judged(cp *sail.ControlPlane) *sail.ControlPlane {
	small := *cp
	small.Metadata = sail.Meta{
		Name: cp.Metadata.Name, UID: cp.Metadata.UID, CreationTimestamp: cp.Metadata.CreationTimestamp, OwnerReferences: cp.Metadata.OwnerReferences,
	}
	for _, name := range []string{sail.AllowOverlapAnnotation, sail.AllowOverlapUntilAnnotation} {
		if value, ok := cp.Metadata.Annotations[name]; ok {
			if small.Metadata.Annotations == nil {
				small.Metadata.Annotations = map[string]string{}
			}
			small.Metadata.Annotations[name] = value
		}
	}
	return &small
}

// same reports whether two versions of an object are the same in everything that is judged. Malformed ones never are.
func same(a, b *sail.ControlPlane) bool {
	if a == nil || b == nil || a.Malformed != nil || b.Malformed != nil {
		return false
	}
	left, errLeft := json.Marshal(judged(a))
	right, errRight := json.Marshal(judged(b))
	return errLeft == nil && errRight == nil && string(left) == string(right)
}

// nameless turns a user's name, which may have any length, into what tells users apart.
func nameless(user string) string {
	if user == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(user))
	return hex.EncodeToString(sum[:8])
}

// TooLargeError says that a change cannot be claimed in full, and therefore not be admitted.
type TooLargeError struct {
	Ref mesh.Ref
	// Bytes is what the claim would take, and Most what it may.
	Bytes, Most int
}

// Error names the object and the sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the selectors and other judged fields of %s take %d bytes in the ledger of changes in flight, more than the %d that one change may",
		e.Ref, e.Bytes, e.Most)
}
