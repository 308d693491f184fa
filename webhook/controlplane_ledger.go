package webhook

import (
	"context"
	"errors"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// judgement is what is found out about a change of a mesh.
type judgement struct {
	verdict policy.Verdict
	// asked is what all selectors look at, with this change, and newKeys are the label keys that it brings.
	asked   match.Scope
	newKeys []string
	// waits are the changes in flight because of which the verdict is to deny; nil if it is so, or not, without them.
	waits []ledger.Claim
	// err says why nothing could be found out.
	err error
}

// weigh judges a change against what is stored and then, if nothing is wrong with it there, against what may be stored in
// a moment. Only denials count there: a warning about something that may never be would confuse.
// It ends early when the client no longer waits for the answer, with one that does not allow.
func (h *controlPlanes) weigh(ctx context.Context, req *admission.Request, state ledger.State, old, updated *sail.ControlPlane) judgement {
	var j judgement
	var installing *policy.Installing
	if h.installing != nil && old == nil {
		installing = h.installing(ctx, req, updated)
	}
	for i, world := range ledger.Worlds(state.Stored, state.Claims) {
		if ctx.Err() != nil {
			return judgement{}
		}
		change, err := h.change(ctx, state.Stored, world, old, updated)
		if err != nil {
			return judgement{err: err}
		}
		change.Installing = installing
		if change.New == nil {
			return judgement{verdict: policy.Verdict{Answer: policy.Allowed}}
		}
		verdict := h.override(ctx, req, updated.Metadata.Annotations, h.policy.Mesh(change))
		if i == 0 {
			j = judgement{verdict: verdict, asked: match.Of(change.Fleet), newKeys: h.brings(change.Before, change.Fleet)}
		}
		if verdict.Answer != policy.Allowed {
			j.verdict = verdict
			if i > 0 {
				j.waits = concerned(world.Claims, verdict.Denials)
			}
			return j
		}
		if updated.Malformed == nil && sameJudged(old, updated) {
			return j // it brings nothing that a change in flight could conflict with
		}
	}
	return j
}

// brings returns the label keys of selectors that no selector used before, and that are not asked about whatever they say.
func (h *controlPlanes) brings(before, fleet *mesh.Fleet) []string {
	known := slices.Concat(before.SelectorKeys(), h.discoveryLabels, []string{mesh.NameLabel, mesh.RevisionLabel, mesh.InjectionLabel, mesh.DataplaneModeLabel})
	return slices.DeleteFunc(slices.Clone(fleet.SelectorKeys()), func(key string) bool { return slices.Contains(known, key) })
}

// concerned returns the claims on the meshes that findings are about, or all if a finding does not tell.
func concerned(claims []ledger.Claim, findings []policy.Finding) []ledger.Claim {
	var found []ledger.Claim
	for i := range claims {
		ref := claims[i].Ref()
		names := []string{ref.Name, ref.String()}
		if object := claims[i].Object; object.Kind == mesh.KindIstiod {
			names = append(names, object.Spec.Namespace, mesh.Ref{Kind: mesh.KindIstiod, Name: object.Spec.Namespace}.String())
		}
		if owner := claims[i].Object.Metadata.Controller(sail.KindIstio); owner != "" {
			names = append(names, owner, mesh.Ref{Kind: sail.KindIstio, Name: owner}.String())
		}
		if slices.ContainsFunc(findings, func(f policy.Finding) bool {
			return slices.ContainsFunc(f.Subjects, func(s string) bool { return slices.Contains(names, s) })
		}) {
			found = append(found, claims[i])
		}
	}
	if len(found) == 0 {
		return claims
	}
	return found
}

// answer records the judgement and returns the reply.
func (h *controlPlanes) answer(ctx context.Context, req *admission.Request, j judgement) admission.Response {
	if h.located != nil {
		j.verdict = h.located(req, j.verdict)
	}
	response := h.reply(ctx, req, j.verdict)
	if len(j.waits) > 0 {
		return inFlight(response, j.waits)
	}
	return response
}

// unadmitted refuses a change that the ledger has not admitted.
func (h *controlPlanes) unadmitted(ctx context.Context, req *admission.Request, err error) admission.Response {
	if taken := (*ledger.ExistsError)(nil); errors.As(err, &taken) {
		return exists(req)
	}
	if large := (*ledger.TooLargeError)(nil); errors.As(err, &large) {
		return h.recorder.tooMuch(ctx, req, large)
	}
	if full := (*ledger.FullError)(nil); errors.As(err, &full) && full.Own() {
		return h.recorder.tooManyInFlight(ctx, req, full)
	}
	return h.recorder.notYet(ctx, req, err)
}
