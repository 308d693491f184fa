package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/policy"
)

// errNotSynced is why requests are refused for a moment after the start.
var errNotSynced = errors.New("it has not read the cluster's meshes")

// common is what the handlers of all kinds share, for one configuration.
type common struct {
	cluster  Cluster
	policy   *policy.Policy
	exempt   exemptions
	recorder *recorder
	now      func() time.Time
}

// kindHandler handles the requests about one kind as far as all kinds are alike. O is what is read of an object. What is left for judge
// is to put the change into the policy's terms, to ask it and to reply.
type kindHandler[O any] struct {
	*common
	kind schema.GroupVersionKind
	// decode reads an object.
	decode func(req *admission.Request, raw []byte) (*O, error)
	// deletions reports whether a DELETE is judged; if not, it is allowed.
	deletions bool
	// subresources reports whether requests to subresources are judged; if not, they are allowed.
	subresources bool
	// allUsers says that no user is exempt.
	allUsers bool
	// skip reports whether a change needs no judgement. old is nil on CREATE, updated on DELETE.
	skip func(old, updated *O) bool
	// malformed returns what is wrong with the type of a field, if decode accepts such objects; nil if it does not.
	malformed func(*O) error
	// notSynced, if not nil, is the response as long as the cluster's state is not known, instead of a refusal.
	notSynced func() admission.Response
	// annotations returns those of an object whose acceptance is judged; nil for a kind of which it is not.
	annotations func(*O) map[string]string
	// guarded, if not nil, reports whether an object's changes are judged: what another one accepts says nothing of who wrote it.
	guarded func(*O) bool
	// judge returns the response to a change that nothing above has settled.
	judge func(ctx context.Context, req *admission.Request, old, updated *O) admission.Response
}

// Handle returns the response to a request.
func (h *kindHandler[O]) Handle(ctx context.Context, req admission.Request) admission.Response {
	if err := routed(&req, h.kind); err != nil {
		return h.recorder.badRequest(ctx, err)
	}
	if h.unread(&req) {
		return allow()
	}
	old, updated, err := h.decodeBoth(&req)
	switch {
	case err != nil && req.Operation == admissionv1.Delete:
		return unreadableDeletion(ctx, err)
	case err != nil:
		return h.recorder.badRequest(ctx, err)
	case h.exemptUser(&req), h.skip(old, updated):
		return allow()
	}
	if err := h.newlyMalformed(old, updated); err != nil {
		return h.recorder.badField(ctx, &req, err)
	}
	if !h.cluster.Synced() {
		return h.whileNotSynced(ctx, &req)
	}
	accepted := h.acceptance(ctx, &req, old, updated)
	if accepted.Answer != policy.Allowed {
		return h.reply(ctx, &req, accepted)
	}
	response := h.judge(ctx, &req, old, updated)
	response.Warnings = slices.Concat(accepted.Notes, response.Warnings)
	return response
}

// routed returns an error if a request is none that the path is for: then the webhook configuration is wrong, and the error
// says what was expected.
func routed(req *admission.Request, kind schema.GroupVersionKind) error {
	switch req.Operation {
	case admissionv1.Create, admissionv1.Update, admissionv1.Delete:
	default:
		return fmt.Errorf("operation %q is not judged here, only CREATE, UPDATE and DELETE are", req.Operation)
	}
	if req.Kind.Group == kind.Group && req.Kind.Version == kind.Version && req.Kind.Kind == kind.Kind {
		return nil
	}
	return fmt.Errorf("%s/%s %q is not judged here; the webhook configuration should send %s", req.Kind.Group, req.Kind.Version, req.Kind.Kind, kind)
}

// unread reports whether a request is allowed whatever its objects are.
func (h *kindHandler[O]) unread(req *admission.Request) bool {
	if req.Operation == admissionv1.Delete && (!h.deletions || byCleaner(req)) {
		return true
	}
	return req.SubResource != "" && !h.subresources
}

// cleaners are the users by which Kubernetes finishes what another user's DELETE has begun, which was judged then; to stop one would
// only leave remains behind. (With --use-service-account-credentials a controller has a service account of its own; else it is
// kube-controller-manager.)
var cleaners = [...]string{
	api.UserControllerManager,
	api.UserGarbageCollector,
	api.UserNamespaceController,
}

func byCleaner(req *admission.Request) bool {
	return slices.Contains(cleaners[:], req.UserInfo.Username)
}

// decodeBoth returns the new object, nil on DELETE, and the old one, nil on CREATE.
func (h *kindHandler[O]) decodeBoth(req *admission.Request) (old, updated *O, err error) {
	if req.Operation != admissionv1.Delete {
		if updated, err = h.decode(req, req.Object.Raw); err != nil {
			return nil, nil, err
		}
	}
	if req.Operation != admissionv1.Create {
		if old, err = h.decode(req, req.OldObject.Raw); err != nil {
			return nil, nil, fmt.Errorf("oldObject: %w", err)
		}
	}
	return old, updated, nil
}

// completeName gives an object without a name that of its request.
func completeName(name *string, req *admission.Request, object string) error {
	if *name == "" {
		*name = req.Name
	}
	if *name == "" {
		return fmt.Errorf("the %s has no name", object)
	}
	return nil
}

// unreadableDeletion allows a DELETE of an object that cannot be read: it must be possible to get rid of it.
func unreadableDeletion(ctx context.Context, err error) admission.Response {
	log.FromContext(ctx).V(1).Info("a deletion was not judged", "problem", err.Error())
	return allow()
}

func (h *kindHandler[O]) exemptUser(req *admission.Request) bool {
	return !h.allUsers && h.exempt.user(req.UserInfo.Username)
}

// newlyMalformed returns what is wrong with the type of a field of the new object. An object that was malformed before may stay so:
// it counts as the worst it can be, so an edit cannot make it worse, and one that repairs only some of its fields must get through.
func (h *kindHandler[O]) newlyMalformed(old, updated *O) error {
	if h.malformed == nil || updated == nil || old != nil && h.malformed(old) != nil {
		return nil
	}
	return h.malformed(updated)
}

func (h *kindHandler[O]) whileNotSynced(ctx context.Context, req *admission.Request) admission.Response {
	if h.notSynced != nil {
		return h.notSynced()
	}
	return h.recorder.notYet(ctx, req, errNotSynced)
}
