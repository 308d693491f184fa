package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// keyOf is the object that an offence is about.
func keyOf(o policy.Offence) Key { return Key{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name} }

// KeyOfMesh is the object that says what a mesh discovers: of istiods that the Sail operator did not install the ConfigMap of the first.
func KeyOfMesh(m *mesh.Mesh) Key { return keyOf(policy.OffenceOf(m, policy.Finding{})) }

// Fingerprint tells findings apart by what they are about: the rule, the object and the sorted subjects. Neither a wording nor a line is part of it, so
// that a finding stays the same when its text or its place in a file changes. It is a SHA-256 in hexadecimal digits.
func Fingerprint(o policy.Offence) string {
	fields := append([]string{string(o.Rule.Code), o.Kind, o.Namespace, o.Name}, slices.Sorted(slices.Values(o.Subjects))...)
	var text strings.Builder
	for _, field := range fields {
		// The length in front keeps two lists of fields from reading alike.
		text.WriteString(strconv.Itoa(len(field)) + ":" + field)
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:])
}

// prints is a set of fingerprints.
type prints map[string]bool

func printsOf(offences []policy.Offence) prints {
	set := make(prints, len(offences))
	for _, o := range offences {
		set[Fingerprint(o)] = true
	}
	return set
}

// without returns the offences that are in none of the sets.
func without(offences []policy.Offence, sets ...prints) []policy.Offence {
	return slices.DeleteFunc(slices.Clone(offences), func(o policy.Offence) bool {
		fingerprint := Fingerprint(o)
		return slices.ContainsFunc(sets, func(set prints) bool { return set[fingerprint] })
	})
}
