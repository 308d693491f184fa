package sail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	kjson "sigs.k8s.io/json"
)

// ErrNoObject is returned for JSON that is no object, such as null.
var ErrNoObject = errors.New("the request carries no object")

// DecodeControlPlane reads an Istio or IstioRevision from JSON. An error means that nothing could be read. A field of
// an unexpected type is no error: it is reported in Malformed, and the other fields are set.
func DecodeControlPlane(raw []byte) (*ControlPlane, error) {
	cp := &ControlPlane{}
	malformed, err := decode(raw, cp)
	if err != nil {
		return nil, err
	}
	cp.Malformed = malformed
	cp.Metadata.keepJudged()
	cp.Spec.Values.Pilot.applyVarsFrom()
	if long := shorten(cp.texts()); long != nil && malformed == nil {
		cp.Malformed = long
	}
	return cp, nil
}

// DecodeTag reads an IstioRevisionTag from JSON, with errors as in DecodeControlPlane.
func DecodeTag(raw []byte) (*Tag, error) {
	tag := &Tag{}
	malformed, err := decode(raw, tag)
	if err != nil {
		return nil, err
	}
	tag.Malformed = malformed
	tag.Metadata.keepJudged()
	if long := shorten(tag.texts()); long != nil && malformed == nil {
		tag.Malformed = long
	}
	return tag, nil
}

// decode tells a wrong type, after which the decoder goes on with the rest, from JSON that it gave up on.
func decode(raw []byte, into any) (malformed, err error) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, ErrNoObject
	}
	err = kjson.UnmarshalCaseSensitivePreserveInts(raw, into)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return &FieldError{Field: wrong.Field, Found: withArticle(wrong.Value)}, nil
	}
	return nil, err
}

// FieldError says that a field has another type than in the Sail operator's API, or more text than any value that works.
type FieldError struct {
	// Field is the field's path, for example spec.namespace.
	Field string
	// Found is the JSON type that it has, with its article.
	Found string
	// Limit is how many bytes the field may have; 0 if its type is at fault.
	Limit int
}

// Error names the field and what was found there.
func (e *FieldError) Error() string {
	if e.Limit > 0 {
		return fmt.Sprintf("%s: found %s; at most %d bytes work there", e.Field, e.Found, e.Limit)
	}
	return fmt.Sprintf("%s: found %s where the Sail operator's API has another type", e.Field, e.Found)
}

// withArticle puts "a" or "an" before the name of a JSON type.
func withArticle(name string) string {
	if strings.HasPrefix(name, "a") || strings.HasPrefix(name, "o") {
		return "an " + name
	}
	return "a " + name
}
