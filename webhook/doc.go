// Package webhook adapts admission requests to the policy: it reads what is judged of a request, asks package policy, and replies.
//
// A request goes this way:
//
//	register.go    has its path
//	review/        reads the AdmissionReview, within limits, and will write the answer
//	rulebook.go    picks the handler that the current configuration has for the path
//	kind.go        does what is the same for all kinds: the kind, subresources, decoding, exemptions (exempt.go), whether the cluster is known,
//	               what the object accepts (accept.go), and then calls the judge method of
//	  namespace_validate.go     /validate/namespace
//	  namespace_fill.go         /mutate/namespace
//	  controlplane.go           /validate/istio and /validate/istiorevision; a change in controlplane_change.go, through the ledger in
//	                            controlplane_ledger.go, a DELETE in controlplane_delete.go
//	  istiod.go                 /validate/istiod
//	  tag.go                    /validate/istiorevisiontag
//	  meshmap.go                /validate/meshmap
//	stored.go      reads what is stored, where that counts, and once more before a refusal
//	policy/        says what is wrong
//	finish.go      applies what the object overrides, if the user may (rights.go)
//	record.go      counts and logs the answer
//	response.go    alone builds replies
//
// docs/design.md follows one request through all packages.
//
// cluster.go has what all this needs of the API server; settings.go translates the configuration for the policy.
//
// How it fails: a request that cannot be decoded or that no webhook configuration should send is refused with a 4xx
// status; one that arrives before the cluster's state is known is refused with 503 by the validating webhooks, whose
// failurePolicy is Fail (that of the mesh map is Ignore: without an answer it is stored unchecked), and passed on
// unchanged by the mutating one, whose failurePolicy is Ignore, because the validating one judges the final state. What
// is deleted may be as malformed as it likes.
package webhook
