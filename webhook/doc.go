// Package webhook adapts admission requests to the policy: decode, shrink to what is judged, ask, reply. One file a kind;
// response.go alone builds replies.
//
// How it fails: a request that cannot be decoded or that no webhook configuration should send is refused with a 4xx
// status; one that arrives before the cluster's state is known is refused with 503 by the validating webhooks, whose
// failurePolicy is Fail (that of the mesh map is Ignore: while nobody answers it is stored unchecked), and passed on
// unchanged by the mutating one, whose failurePolicy is Ignore, because the validating one judges the final state. What
// is deleted may be as malformed as it likes.
package webhook
