package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Lifetime is how long a claim counts at most, after it was first seen by the replica that asks. It is longer than an API
// request can live after meshfence has admitted it:
//
//   - The API server gives a CREATE, UPDATE or PATCH 34 seconds from its beginning, whatever its --request-timeout says
//     (requestTimeoutUpperBound in k8s.io/apiserver/pkg/endpoints/handlers/rest.go; the smaller of the two counts).
//   - A write that it has sent to etcd by then may still arrive. A connection over which nothing comes back is closed
//     after 40 seconds (keepaliveTime and keepaliveTimeout in k8s.io/apiserver/pkg/storage/storagebackend/factory).
//
// That makes 74 seconds; the rest is a margin.
const Lifetime = 2 * time.Minute

// Claim says that a change of a mesh has been allowed and may be stored at any moment.
type Claim struct {
	// Object is the object as it will be, cut down to what is judged. Its resourceVersion is empty.
	Object *sail.ControlPlane
	// OldVersion is the resourceVersion that the change was judged on; empty for a CREATE.
	OldVersion string
	// Time is when it was made, by the clock of the replica that made it. It is for people; nothing is decided by it.
	Time time.Time
	// User stands for the user whose request it is (see nameless).
	User string
	// Until is when it ends at the latest, by the clock of this replica. It is not stored.
	Until time.Time

	// expanded is how many bytes it has before it is compressed.
	expanded int
}

// String says, as a sentence about an object that others cannot see yet, what is waited for and until when.
func (c *Claim) String() string {
	verb := "creates"
	if c.OldVersion != "" {
		verb = "changes"
	}
	return fmt.Sprintf("This conflicts with a request that %s %s, admitted at %s and not stored yet. Try again: that request has ended by %s at the latest",
		verb, c.Ref(), c.Time.UTC().Format(time.RFC3339), untilText(c.Until))
}

// untilText is a time in whole seconds, not before the given one.
func untilText(t time.Time) string {
	return t.UTC().Add(time.Second - 1).Truncate(time.Second).Format(time.RFC3339)
}

// Ref names the claim's object.
func (c *Claim) Ref() mesh.Ref { return mesh.Ref{Kind: c.Object.Kind, Name: c.Object.Metadata.Name} }

// inventory finds stored objects by kind and name.
type inventory map[mesh.Ref]sail.Meta

func newInventory(stored mesh.Objects) inventory {
	found := inventory{}
	for _, cp := range slices.Concat(stored.Istios, stored.Revisions, stored.Istiods) {
		if cp.Metadata.UID == "" && cp.Kind == mesh.KindIstiod {
			continue // an istiod whose ConfigMap is not stored
		}
		found[mesh.Ref{Kind: cp.Kind, Name: cp.Metadata.Name}] = cp.Metadata
	}
	return found
}

// open reports whether a claim may still come true and is not part of what is stored. wasStored reports whether an object
// with this uid is known to have been stored once. See the package comment for why that is enough.
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

// replaces reports whether this claim of an UPDATE says all that an earlier one says, which is stored as text: the same change
// of the same version, tried again because another webhook has refused it. Each claim on an object is a world to judge others
// in, and may stay for Lifetime; that of tries which are repeated for ever must not add up. (Two CREATEs are never the same:
// each has a uid of its own, and either may come true when the other has gone.)
func (c *Claim) replaces(earlier *Claim, text string) bool {
	if c.OldVersion == "" || c.OldVersion != earlier.OldVersion || c.Ref() != earlier.Ref() {
		return false
	}
	again := *c
	again.Time, again.User = earlier.Time, earlier.User
	encoded, err := again.encode()
	return err == nil && encoded == text
}
