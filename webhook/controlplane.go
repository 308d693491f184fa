package webhook

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// controlPlanes validates Istios and IstioRevisions. It reads live state, because a cache may not have seen yet the
// mesh that another user created a moment ago, and goes through the ledger, because live state does not have yet the one
// that another user is about to create.
type controlPlanes struct {
	*common
	kind string
	// discoveryLabels are the label keys that the API server asks about in any case.
	discoveryLabels []string
	// installing asks whether the user may create a mesh; nil where a right to the object says that.
	installing func(context.Context, *admission.Request, *sail.ControlPlane) *policy.Installing
	// located puts places in the object into a verdict; nil where the paths of its fields say all.
	located func(*admission.Request, policy.Verdict) policy.Verdict
}

// validateControlPlanes returns the handler of CREATE, UPDATE and DELETE of an Istio or IstioRevision. Failure policy: Fail.
func validateControlPlanes(c *common, kind string, discoveryLabels []string) admission.Handler {
	h := &controlPlanes{common: c, kind: kind, discoveryLabels: discoveryLabels}
	return &kindHandler[sail.ControlPlane]{
		common: c, kind: sail.GroupVersion.WithKind(kind), decode: h.decode, deletions: true,
		skip: h.skip, malformed: func(cp *sail.ControlPlane) error { return cp.Malformed },
		annotations: func(cp *sail.ControlPlane) map[string]string { return cp.Metadata.Annotations }, judge: h.judge,
	}
}

// decode reads one object. Its kind is that of the path, whatever it says; its name is the request's if it has none.
func (h *controlPlanes) decode(req *admission.Request, raw []byte) (*sail.ControlPlane, error) {
	cp, err := sail.DecodeControlPlane(raw)
	if err != nil {
		return nil, fmt.Errorf("the %s cannot be read: %w", h.kind, err)
	}
	cp.Kind = h.kind
	return cp, completeName(&cp.Metadata.Name, req, "object")
}

// skip reports whether a request only brings the deletion of an object forward: its finalizers, status and other metadata must get
// through, or the object could not be deleted. What is judged counts as long as it is stored: its spec, and of its metadata the Istio
// that owns it and the overlaps that it declares.
func (h *controlPlanes) skip(old, updated *sail.ControlPlane) bool {
	if updated == nil {
		return old.Metadata.DeletionTimestamp != ""
	}
	return updated.Metadata.DeletionTimestamp != "" && sameJudged(old, updated)
}

// sameJudged reports whether two versions of an object are the same in all that is judged. old is nil for none.
func sameJudged(old, updated *sail.ControlPlane) bool {
	return old != nil && reflect.DeepEqual(old.Spec, updated.Spec) && reflect.DeepEqual(old.Installed, updated.Installed) && reflect.DeepEqual(old.Malformed, updated.Malformed) &&
		old.Metadata.Controller(sail.KindIstio) == updated.Metadata.Controller(sail.KindIstio) &&
		reflect.DeepEqual(old.Metadata.AllowedOverlap(), updated.Metadata.AllowedOverlap())
}

// judge judges a change of an object, or its deletion.
func (h *controlPlanes) judge(ctx context.Context, req *admission.Request, old, updated *sail.ControlPlane) admission.Response {
	if updated == nil {
		return h.judgeDeletion(ctx, req, old)
	}
	if byCleaner(req) && onlyLosesOwner(old, updated) {
		return allow()
	}
	return h.judgeChange(ctx, req, old, updated)
}

// onlyLosesOwner reports whether an update takes the owner of an object away and does nothing else that is judged: its istiod
// does what it did before. The garbage collector does that for kubectl delete --cascade=orphan, and must not be stopped. If
// another user does it while the Istio stays, then there are two meshes that overlap.
func onlyLosesOwner(old, updated *sail.ControlPlane) bool {
	return old != nil && old.Metadata.Controller(sail.KindIstio) != "" && updated.Metadata.Controller(sail.KindIstio) == "" &&
		reflect.DeepEqual(old.Spec, updated.Spec) && reflect.DeepEqual(old.Metadata.AllowedOverlap(), updated.Metadata.AllowedOverlap())
}

// judgeChange compares the object with the stored meshes and with those in flight.
func (h *controlPlanes) judgeChange(ctx context.Context, req *admission.Request, old, updated *sail.ControlPlane) admission.Response {
	if err := storable(req, old, updated); err != nil {
		return h.recorder.tooMuch(ctx, req, err)
	}
	var last judgement
	change := ledger.Change{Old: old, New: updated, User: req.UserInfo.Username, DryRun: req.DryRun != nil && *req.DryRun}
	err := h.cluster.Admit(ctx, change, func(state ledger.State) bool {
		last = h.weigh(ctx, req, state, old, updated)
		switch {
		case last.verdict.Answer != policy.Allowed:
			return false
		case state.Outdated:
			last.verdict = policy.Verdict{Answer: policy.Allowed} // the API server keeps warnings, also when it asks again
		case len(last.newKeys) > maxNewKeys:
			return false
		case !change.DryRun:
			h.watch(ctx, last.asked)
		}
		return true
	})
	if err == nil {
		err = last.err
	}
	switch {
	case err != nil:
		return h.unadmitted(ctx, req, err)
	case last.verdict.Answer == policy.Allowed && len(last.newKeys) > maxNewKeys:
		return h.recorder.tooMuch(ctx, req, manyKeysError(last.newKeys))
	}
	return h.answer(ctx, req, last)
}

// maxNewKeys is how many label keys one change may bring that no selector uses yet. Before it is stored they are written into
// the webhook configurations, and the API server asks about every namespace that has one of them.
const maxNewKeys = 10

func manyKeysError(keys []string) error {
	return fmt.Errorf("its selectors use %d label keys that no other mesh uses, more than the %d that one change may bring (%s, …). "+
		"Add them in several changes, or use fewer keys", len(keys), maxNewKeys, strings.Join(keys[:3], ", "))
}

// maxStored is how many bytes an object may have: etcd takes requests of 1.5 MiB, unless it is told another number
// (--max-request-bytes; etcd's server/embed/config.go, DefaultMaxRequestBytes). 4 KiB of a request are for its other parts: three times
// the object's key, which has a few hundred bytes, and what encryption at rest adds.
const maxStored = 3<<19 - 4<<10

// storable returns an error if an object is larger than anything that is stored. The API server would find that out only after
// the change was admitted, and what it claimed would hold up others until it ends.
func storable(req *admission.Request, old, updated *sail.ControlPlane) error {
	if len(req.Object.Raw) <= maxStored || updated.Malformed == nil && sameJudged(old, updated) {
		return nil
	}
	return fmt.Errorf("it has %d bytes, more than the %d that etcd has room for. Use fewer or shorter selectors", len(req.Object.Raw), maxStored)
}

// watchTimeout bounds the write of the webhook configurations before a change is claimed. It leaves time for the claim.
const watchTimeout = 3 * time.Second

// watch has the API server ask about what the selectors look at before the mesh is stored, so that no namespace can be labelled
// unjudged in between. A failure does not block the mesh: the keys are brought up to date again and again anyway.
func (h *controlPlanes) watch(ctx context.Context, asked match.Scope) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	if err := h.cluster.EnsureKeys(ctx, asked); err != nil {
		log.FromContext(ctx).Error(err, "cannot add the selectors' label keys and names to the webhook configurations")
	}
}
