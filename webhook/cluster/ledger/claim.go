package ledger

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Lifetime is how long a claim counts at most. It is much longer than an API request can live.
const Lifetime = 5 * time.Minute

const (
	// maxSelectors is how many bytes a claim may have with its selectors. One that would have more claims every namespace
	// instead, which is safe, and costs others who come in the same moment a second try.
	maxSelectors = 32 << 10
	// maxClaim is how many bytes a claim may have without its selectors: names, and istiod's environment.
	maxClaim = 64 << 10
	// maxLedger is how many bytes all claims may have. The API server takes no ConfigMap with more than 1 MiB of data.
	maxLedger = 1000 << 10
)

// ownAnnotations begins the names of the annotations that are judged.
const ownAnnotations = "meshfence.io/"

// Claim says that a change of a mesh has been allowed and may be stored at any moment.
type Claim struct {
	// Object is the object as it will be, cut down to what is judged. Its resourceVersion is empty.
	Object *sail.ControlPlane
	// OldVersion is the resourceVersion that the change was judged on; empty for a CREATE.
	OldVersion string
	// Time is when it was made, by the clock of the replica that made it.
	Time time.Time
	// Until is when it ends at the latest. It is not stored.
	Until time.Time
}

// String says, as a sentence about an object that others cannot see yet, what is waited for and until when.
func (c *Claim) String() string {
	verb := "creates"
	if c.OldVersion != "" {
		verb = "changes"
	}
	return fmt.Sprintf("A request that %s %s was allowed at %s and is not stored yet. Try again: this one waits until that is stored, at the latest until %s",
		verb, c.Ref(), c.Time.UTC().Format(time.RFC3339), c.Until.UTC().Truncate(time.Second).Add(time.Second).Format(time.RFC3339))
}

// Ref names the claim's object.
func (c *Claim) Ref() mesh.Ref { return mesh.Ref{Kind: c.Object.Kind, Name: c.Object.Metadata.Name} }

// record is a claim as it is stored.
type record struct {
	Object *sail.ControlPlane `json:"object"`
	// Malformed is the object's problem, if it had one.
	Malformed  string    `json:"malformed,omitempty"`
	OldVersion string    `json:"oldResourceVersion,omitempty"`
	Time       time.Time `json:"time"`
}

// encode returns the claim as it is stored.
func (c *Claim) encode() (string, error) {
	r := record{Object: c.Object, OldVersion: c.OldVersion, Time: c.Time.UTC()}
	if c.Object.Malformed != nil {
		r.Malformed = c.Object.Malformed.Error()
	}
	text, err := json.Marshal(r)
	if err == nil && len(text) > maxSelectors {
		whole := *c.Object
		whole.Spec.Values.MeshConfig.DiscoverySelectors = []*metav1.LabelSelector{{}}
		r.Object = &whole
		text, err = json.Marshal(r)
	}
	if err == nil && len(text) > maxClaim {
		err = fmt.Errorf("%s has more than %d bytes in the fields that are judged besides its selectors", c.Ref(), maxClaim)
	}
	return string(text), err
}

// decode reads a stored claim.
func decode(text string) (Claim, error) {
	r := record{}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return Claim{}, fmt.Errorf("is no claim: %w", err)
	}
	if r.Object == nil || r.Object.Metadata.Name == "" || r.Time.IsZero() ||
		r.Object.Kind != sail.KindIstio && r.Object.Kind != sail.KindIstioRevision {
		return Claim{}, errors.New("is no claim: it names no object of the Sail operator, or no time")
	}
	if r.Malformed != "" {
		r.Object.Malformed = errors.New(r.Malformed)
	}
	return Claim{Object: r.Object, OldVersion: r.OldVersion, Time: r.Time}, nil
}

// judged cuts an object down to what is judged of it.
func judged(cp *sail.ControlPlane) *sail.ControlPlane {
	small := *cp
	small.Metadata = sail.Meta{Name: cp.Metadata.Name, UID: cp.Metadata.UID, OwnerReferences: cp.Metadata.OwnerReferences}
	for name, value := range cp.Metadata.Annotations {
		if strings.HasPrefix(name, ownAnnotations) {
			if small.Metadata.Annotations == nil {
				small.Metadata.Annotations = map[string]string{}
			}
			small.Metadata.Annotations[name] = value
		}
	}
	return &small
}

// same says whether two versions of an object are the same in everything that is judged. Malformed ones never are.
func same(a, b *sail.ControlPlane) bool {
	if a == nil || b == nil || a.Malformed != nil || b.Malformed != nil {
		return false
	}
	left, errLeft := json.Marshal(judged(a))
	right, errRight := json.Marshal(judged(b))
	return errLeft == nil && errRight == nil && string(left) == string(right)
}

// inventory finds stored objects by kind and name.
type inventory map[mesh.Ref]sail.Meta

func newInventory(stored mesh.Objects) inventory {
	found := inventory{}
	for _, cp := range slices.Concat(stored.Istios, stored.Revisions) {
		found[mesh.Ref{Kind: cp.Kind, Name: cp.Metadata.Name}] = cp.Metadata
	}
	return found
}

// open says whether a claim may still come true and is not part of what is stored. wasStored says whether an object with
// this uid is known to have been stored once. See the package comment for why that is enough.
func (c *Claim) open(stored inventory, wasStored func(uid string) bool, now time.Time) bool {
	if !now.Before(c.Until) {
		return false
	}
	object, found := stored[c.Ref()]
	if c.OldVersion != "" {
		return found && object.ResourceVersion == c.OldVersion
	}
	uid := c.Object.Metadata.UID
	return uid == "" || (!found || object.UID != uid) && !wasStored(uid)
}

// Worlds returns the states that the cluster may get into, as far as two objects at a time go: first what is stored, then
// the same with open claims come true, at most one of an object. Whatever is right in each of them is right whichever of
// the claims come true.
func Worlds(stored mesh.Objects, claims []Claim) []World {
	worlds := []World{{Objects: stored}}
	layer := map[mesh.Ref]int{}
	for i := range claims {
		ref := claims[i].Ref()
		layer[ref]++
		if layer[ref] == len(worlds) {
			worlds = append(worlds, World{Objects: stored})
		}
		world := &worlds[layer[ref]]
		world.Objects = world.With(claims[i].Object)
		world.Claims = append(world.Claims, claims[i])
	}
	return worlds
}

// World is a state that the cluster may get into.
type World struct {
	mesh.Objects
	// Claims are those that have come true here.
	Claims []Claim
}

// page is the ledger as it was read.
type page struct {
	Page
	claims map[string]Claim
	// unconfirmed says that the page was seen and not read, so that it need not be what is stored.
	unconfirmed bool
}

// newPage decodes what was read. An entry that is no claim is an error: it may have been one, so nothing can be allowed.
func newPage(read Page) (page, error) {
	p := page{Page: read, claims: make(map[string]Claim, len(read.Entries))}
	for _, key := range slices.Sorted(maps.Keys(read.Entries)) {
		claim, err := decode(read.Entries[key])
		if err != nil {
			return page{}, &DamagedError{Key: key, Err: err}
		}
		p.claims[key] = claim
	}
	return p, nil
}

// keepOpen drops closed claims.
func (p *page) keepOpen(stored inventory, wasStored func(uid string) bool, now time.Time) {
	for key, claim := range p.claims {
		if !claim.open(stored, wasStored, now) {
			delete(p.claims, key)
		}
	}
}

// others returns the claims on other objects, oldest first.
func (p *page) others(ref mesh.Ref) []Claim {
	var list []Claim
	for _, key := range slices.Sorted(maps.Keys(p.claims)) {
		if claim := p.claims[key]; claim.Ref() != ref {
			list = append(list, claim)
		}
	}
	slices.SortStableFunc(list, func(a, b Claim) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Ref().String(), b.Ref().String()))
	})
	return list
}

// replaces says whether this claim of an UPDATE says all that an earlier one says, which is stored as text: the same change of
// the same version, tried again because somebody else has refused it. Each claim on an object is a world to judge others in,
// and may stay for Lifetime; that of tries which are repeated for ever must not add up. (Two CREATEs are never the same: each
// has a uid of its own, and either may come true when the other has gone.)
func (c *Claim) replaces(earlier *Claim, text string) bool {
	if c.OldVersion == "" || earlier.Time.After(c.Time) {
		return false
	}
	again := *c
	again.Time = earlier.Time
	encoded, err := again.encode()
	return err == nil && encoded == text
}

// with returns the entries of the next ledger: the open claims and this one.
func (p *page) with(key string, claim *Claim) (map[string]string, error) {
	entries := map[string]string{}
	text, err := claim.encode()
	if err != nil {
		return nil, err
	}
	entries[key] = text
	size := len(key) + len(text)
	for other, earlier := range p.claims {
		if other != key && !claim.replaces(&earlier, p.Entries[other]) {
			entries[other] = p.Entries[other]
			size += len(other) + len(entries[other])
		}
	}
	if size > maxLedger {
		return nil, fmt.Errorf("the ledger is full: %d changes of meshes are in flight", len(p.claims))
	}
	return entries, nil
}
