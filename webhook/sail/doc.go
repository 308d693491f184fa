// Package sail holds the fields of the Sail operator's API (sailoperator.io/v1) that meshfence reads, as Go types, and
// decodes them.
//
// Only what is judged is here: an unknown field, also one of a future version of the CustomResourceDefinitions, is
// ignored and can neither break nor deny anything. Keys are matched case-sensitively, as the API server matches them.
//
// The types follow github.com/istio-ecosystem/sail-operator/api/v1; the field comments name what Istio does with them.
package sail
