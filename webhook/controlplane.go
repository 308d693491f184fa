package webhook

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// liveReader gives the cluster's meshes as they are stored now, and what else a judgement of a mesh needs.
type liveReader interface {
	Synced() bool
	// Fleet is the last snapshot of what is known without a live read.
	Fleet() *mesh.Fleet
	knownReader
	namespaceLister
	ledgerKeeper
}

// namespaceLister gives the cluster's namespaces, by name.
type namespaceLister interface {
	// Namespaces returns them with the labels of these keys at least. It calls keys if there are namespaces of which it does not have all
	// labels. An error means that it could not get some of those; they are as they are known then.
	Namespaces(ctx context.Context, keys func() []string) ([]mesh.Namespace, error)
}

// keyKeeper makes the API server ask about the namespaces that selectors can match.
type keyKeeper interface {
	EnsureKeys(ctx context.Context, asked match.Asked) error
}

// controlPlanes validates Istios and IstioRevisions. It reads live state, because a cache may not have seen yet the
// mesh that somebody else created a moment ago, and goes through the ledger, because live state does not have yet the one
// that somebody else is about to create.
type controlPlanes struct {
	kind     string
	live     liveReader
	keys     keyKeeper
	policy   *policy.Policy
	exempt   exemptions
	recorder *recorder
	finisher *finisher
	now      func() int64
	// discoveryLabels are the label keys that the API server asks about in any case.
	discoveryLabels []string
}

// Handle judges a CREATE, UPDATE or DELETE of an Istio or IstioRevision. Failure policy: Fail.
func (h *controlPlanes) Handle(ctx context.Context, req admission.Request) admission.Response {
	if err := routed(&req, sail.GroupVersion.WithKind(h.kind)); err != nil {
		return h.recorder.badRequest(ctx, err)
	}
	if req.SubResource != "" {
		return allow()
	}
	if req.Operation == admissionv1.Delete {
		return h.remove(ctx, &req)
	}
	old, updated, err := h.decode(&req)
	if err != nil {
		return h.recorder.badRequest(ctx, err)
	}
	if h.exempt.user(req.UserInfo.Username) || endsUnchanged(old, updated) {
		return allow()
	}
	// An object that was malformed before counts as discovering everything, so an edit cannot make it worse; one that
	// repairs only some of its fields must get through.
	if updated.Malformed != nil && (old == nil || old.Malformed == nil) {
		return h.recorder.badField(ctx, &req, updated.Malformed)
	}
	return h.judge(ctx, &req, old, updated)
}

// endsUnchanged reports whether an UPDATE of an object that is being deleted leaves alone what is judged of it. Finalizers,
// status and other metadata must get through, or the object could not be deleted. What is judged counts as long as it is stored:
// its spec, and of its metadata the Istio that owns it and the overlaps that it declares.
func endsUnchanged(old, updated *sail.ControlPlane) bool {
	return updated.Metadata.DeletionTimestamp != "" && sameJudged(old, updated)
}

// sameJudged reports whether two versions of an object are the same in all that is judged. old is nil for none.
func sameJudged(old, updated *sail.ControlPlane) bool {
	return old != nil && reflect.DeepEqual(old.Spec, updated.Spec) && reflect.DeepEqual(old.Malformed, updated.Malformed) &&
		old.Metadata.Controller(sail.KindIstio) == updated.Metadata.Controller(sail.KindIstio) &&
		reflect.DeepEqual(old.Metadata.AllowedOverlap(), updated.Metadata.AllowedOverlap())
}

// judge compares the object with the stored meshes and with those in flight.
func (h *controlPlanes) judge(ctx context.Context, req *admission.Request, old, updated *sail.ControlPlane) admission.Response {
	if !h.live.Synced() {
		return h.recorder.notYet(ctx, req, errNotSynced)
	}
	if isCleaner(req) && onlyLosesOwner(old, updated) {
		return allow()
	}
	if err := storable(req, old, updated); err != nil {
		return h.recorder.tooMuch(ctx, req, err)
	}
	var last judgement
	change := ledger.Change{Old: old, New: updated, User: req.UserInfo.Username, DryRun: req.DryRun != nil && *req.DryRun}
	err := h.live.Admit(ctx, change, func(state ledger.State) bool {
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

// maxStored is how many bytes a request to etcd may have, unless it is told another number (--max-request-bytes; etcd's
// server/embed/config.go, DefaultMaxRequestBytes). The object that the API server stores is a little larger than the one
// that it shows.
const maxStored = 3 << 19

// storable returns an error if an object is larger than anything that is stored. The API server would find that out only after
// the change was admitted, and what it claimed would hold up others until it ends.
func storable(req *admission.Request, old, updated *sail.ControlPlane) error {
	if len(req.Object.Raw) <= maxStored || updated.Malformed == nil && sameJudged(old, updated) {
		return nil
	}
	return fmt.Errorf("it has %d bytes, more than the %d that etcd stores. Use fewer or shorter selectors", len(req.Object.Raw), maxStored)
}

// change finds the mesh that changes with the object. An IstioRevision that a stored Istio controls or takes over is a part of that
// Istio's mesh, so a change of it is a change of that mesh: the operator's copies of the Istio's own selectors bring
// nothing new, whereas a revision that reaches into another mesh is found, whoever says to own it.
//
// before is what is stored, and objects the same with claims come true, if there are any: what a claim says is never there
// before. Only what becomes of namespaces is compared with what the claims alone do to them.
func (h *controlPlanes) change(ctx context.Context, stored mesh.Objects, world ledger.World, old, updated *sail.ControlPlane) (policy.MeshChange, error) {
	objects, claimed := world.Objects, len(world.Claims) > 0
	// Most of what is stored is what the cache knows already, and needs not be read again.
	before := h.live.Fleet().Next(withOld(stored, old))
	fleet := before.Next(objects.With(updated))
	beside := before
	if claimed {
		beside = before.Next(withOld(objects, old))
	}
	changed := fleet.MeshOf(mesh.Ref{Kind: h.kind, Name: updated.Metadata.Name})
	namespaces, err := h.namespaces(ctx, before, fleet)
	return policy.MeshChange{
		Old: before.Mesh(changed.Ref), New: changed, Before: before, Beside: beside, Fleet: fleet, Namespaces: namespaces,
		Exempt: h.exempt.namespace, Creating: old == nil, Now: h.now(),
	}, err
}

// namespaces returns the cluster's, with all labels on which a judgement against these fleets depends.
func (h *controlPlanes) namespaces(ctx context.Context, before, fleet *mesh.Fleet) ([]mesh.Namespace, error) {
	return h.live.Namespaces(ctx, func() []string { return h.policy.JudgedKeys(before, fleet) })
}

// withOld puts the object that is to be replaced, nil on CREATE, in its place.
func withOld(objects mesh.Objects, old *sail.ControlPlane) mesh.Objects {
	if old == nil {
		return objects
	}
	return objects.With(old)
}

// remove judges a DELETE. By default it is only told what it leads to. An object with finalizers is judged here once; the
// updates by which they go, and another DELETE meanwhile, carry a deletion timestamp and pass, and so does the garbage
// collector, which brings away what belonged to it.
func (h *controlPlanes) remove(ctx context.Context, req *admission.Request) admission.Response {
	gone, err := h.decodeOne(req, req.OldObject.Raw)
	switch {
	case err != nil:
		return unreadableDeletion(ctx, err)
	case gone.Metadata.DeletionTimestamp != "", cleansUp(req), h.exempt.user(req.UserInfo.Username):
		return allow()
	case !h.live.Synced():
		return h.recorder.notYet(ctx, req, errNotSynced)
	}
	change := h.removal(ctx, storedOrKnown(ctx, h.live), gone, orphans(req))
	return h.finisher.finish(ctx, req, gone.Metadata.Annotations, h.policy.Mesh(change))
}

// removal finds the mesh that goes, or stays without one of its IstioRevisions. With an Istio go the IstioRevisions that it
// controls, unless they are orphaned: then each is a mesh of its own.
func (h *controlPlanes) removal(ctx context.Context, objects mesh.Objects, gone *sail.ControlPlane, orphaned bool) policy.MeshChange {
	ref := mesh.Ref{Kind: gone.Kind, Name: gone.Metadata.Name}
	after := objects.Without(ref)
	for _, revision := range objects.Revisions {
		if h.kind == sail.KindIstio && !orphaned && revision.Metadata.Controller(sail.KindIstio) == gone.Metadata.Name {
			after = after.Without(mesh.Ref{Kind: sail.KindIstioRevision, Name: revision.Metadata.Name})
		}
	}
	before := h.live.Fleet().Next(objects.With(gone))
	fleet := before.Next(after)
	old := before.MeshOf(ref)
	namespaces, _ := h.namespaces(ctx, before, fleet) // an error leaves what is known of them, as in storedOrKnown
	return policy.MeshChange{
		Old: old, New: fleet.Mesh(old.Ref), Before: before, Fleet: fleet, Namespaces: namespaces, Now: h.now(), Removing: true,
	}
}

// orphans says whether a DELETE asks to leave alone what the object owns (kubectl delete --cascade=orphan).
func orphans(req *admission.Request) bool {
	var options struct {
		PropagationPolicy metav1.DeletionPropagation `json:"propagationPolicy"`
		// OrphanDependents is how it was said before Kubernetes 1.7; it is still understood.
		OrphanDependents bool `json:"orphanDependents"`
	}
	// What cannot be read is taken for the default; the API server has checked it.
	_ = kjson.UnmarshalCaseSensitivePreserveInts(req.Options.Raw, &options)
	return options.PropagationPolicy == metav1.DeletePropagationOrphan || options.OrphanDependents
}

// onlyLosesOwner says whether an update takes the owner of an object away and does nothing else that is judged: its istiod
// does what it did before. The garbage collector does that for kubectl delete --cascade=orphan, and must not be stopped. If
// anybody else does it while the Istio stays, then there are two meshes that overlap.
func onlyLosesOwner(old, updated *sail.ControlPlane) bool {
	return old != nil && old.Metadata.Controller(sail.KindIstio) != "" && updated.Metadata.Controller(sail.KindIstio) == "" &&
		reflect.DeepEqual(old.Spec, updated.Spec) && reflect.DeepEqual(old.Metadata.AllowedOverlap(), updated.Metadata.AllowedOverlap())
}

// watchTimeout bounds the write of the webhook configurations before a change is claimed. It leaves time for the claim.
const watchTimeout = 3 * time.Second

// watch has the API server ask about what the selectors look at before the mesh is stored, so that no namespace can be labelled
// unjudged in between. A failure does not block the mesh: the keys are brought up to date again and again anyway.
func (h *controlPlanes) watch(ctx context.Context, asked match.Asked) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	if err := h.keys.EnsureKeys(ctx, asked); err != nil {
		log.FromContext(ctx).Error(err, "cannot add the selectors' label keys and names to the webhook configurations")
	}
}

func (h *controlPlanes) decode(req *admission.Request) (old, updated *sail.ControlPlane, err error) {
	if updated, err = h.decodeOne(req, req.Object.Raw); err != nil {
		return nil, nil, err
	}
	if req.Operation != admissionv1.Update {
		return nil, updated, nil
	}
	if old, err = h.decodeOne(req, req.OldObject.Raw); err != nil {
		return nil, nil, fmt.Errorf("oldObject: %w", err)
	}
	return old, updated, nil
}

// decodeOne reads one object. Its kind is that of the path, whatever it says; its name is the request's if it has none.
func (h *controlPlanes) decodeOne(req *admission.Request, raw []byte) (*sail.ControlPlane, error) {
	cp, err := sail.DecodeControlPlane(raw)
	if err != nil {
		return nil, fmt.Errorf("the %s cannot be read: %w", h.kind, err)
	}
	cp.Kind = h.kind
	if cp.Metadata.Name == "" {
		cp.Metadata.Name = req.Name
	}
	if cp.Metadata.Name == "" {
		return nil, errors.New("the object has no name")
	}
	return cp, nil
}
