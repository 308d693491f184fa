package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Annotations and labels of namespaces that meshfence reads or writes.
const (
	// FillAnnotation with the value "false" opts a namespace out of filling in; a label of that key does too.
	FillAnnotation = sail.FillAnnotation
	// FilledRevisionAnnotation is the value of istio.io/rev that meshfence filled in last.
	FilledRevisionAnnotation = "meshfence.io/filled-revision"
)

// errNoObject is for a request without the object that its operation must have.
var errNoObject = errors.New("the request carries no object")

// errNotSynced is why requests are refused for a moment after the start.
var errNotSynced = errors.New("it has not read the cluster's meshes")

// routed says whether a request is one that the path is for; otherwise the webhook configuration is wrong, and the error
// says what was expected.
func routed(req *admission.Request, kinds ...schema.GroupVersionKind) error {
	switch req.Operation {
	case admissionv1.Create, admissionv1.Update, admissionv1.Delete:
	default:
		return fmt.Errorf("operation %q is not judged here, only CREATE, UPDATE and DELETE are", req.Operation)
	}
	for _, kind := range kinds {
		if req.Kind.Group == kind.Group && req.Kind.Version == kind.Version && req.Kind.Kind == kind.Kind {
			return nil
		}
	}
	return fmt.Errorf("%s/%s %q is not judged here; the webhook configuration should send %s", req.Kind.Group, req.Kind.Version,
		req.Kind.Kind, kinds[0])
}

// passes reports whether a request about a namespace or a ConfigMap needs no judgement: a DELETE can put no namespace into two
// meshes. Subresources do: the labels of a namespace can be changed through its status and finalize, whose objects are whole
// namespaces.
func passes(req *admission.Request) bool {
	return req.Operation == admissionv1.Delete
}

// cleaners are the users by which Kubernetes finishes what somebody else's DELETE has begun, which was judged then. (With
// --use-service-account-credentials a controller has a service account of its own; else it is kube-controller-manager.)
var cleaners = [...]string{
	"system:kube-controller-manager",
	"system:serviceaccount:kube-system:generic-garbage-collector",
	"system:serviceaccount:kube-system:namespace-controller",
}

// cleansUp says whether a request is a DELETE of one of the cleaners: to stop it would only leave remains behind.
func cleansUp(req *admission.Request) bool {
	return req.Operation == admissionv1.Delete && isCleaner(req)
}

func isCleaner(req *admission.Request) bool {
	return slices.Contains(cleaners[:], req.UserInfo.Username)
}

// unreadableDeletion lets a DELETE through of which nobody can say what it deletes: whatever it is, it must be possible to
// get rid of it.
func unreadableDeletion(ctx context.Context, err error) admission.Response {
	log.FromContext(ctx).V(1).Info("a deletion was not judged", "problem", err.Error())
	return allow()
}

// namespaceObject is what is read of a Namespace.
type namespaceObject struct {
	Metadata struct {
		Name              string            `json:"name"`
		GenerateName      string            `json:"generateName"`
		DeletionTimestamp string            `json:"deletionTimestamp"`
		Labels            map[string]string `json:"labels"`
		Annotations       map[string]string `json:"annotations"`
	} `json:"metadata"`
}

func decodeNamespace(raw []byte) (*namespaceObject, error) {
	if !isObject(raw) {
		return nil, errNoObject
	}
	ns := &namespaceObject{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, ns); err != nil {
		return nil, fmt.Errorf("the Namespace cannot be read: %w", err)
	}
	if ns.Metadata.Name == "" && ns.Metadata.GenerateName == "" {
		return nil, errors.New("the Namespace has no name")
	}
	return ns, nil
}

func isObject(raw []byte) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && raw[0] == '{'
}

// decodeNamespaces returns the new object and, for an UPDATE, the old one.
func decodeNamespaces(req *admission.Request) (old, updated *namespaceObject, err error) {
	if updated, err = decodeNamespace(req.Object.Raw); err != nil {
		return nil, nil, err
	}
	if req.Operation == admissionv1.Update {
		if old, err = decodeNamespace(req.OldObject.Raw); err != nil {
			return nil, nil, fmt.Errorf("oldObject: %w", err)
		}
	}
	return old, updated, nil
}

// judged returns what the policy sees of a namespace; nil for nil. Every stored namespace carries its name as a label;
// while a generated name is not known, the beginning of it stands in for it, without a label.
func (n *namespaceObject) judged() *mesh.Namespace {
	if n == nil {
		return nil
	}
	ns := &mesh.Namespace{Name: n.Metadata.Name, Labels: n.Metadata.Labels, Deleting: n.Metadata.DeletionTimestamp != ""}
	if ns.Name == "" {
		ns.Name = n.Metadata.GenerateName
		return ns
	}
	if ns.Labels == nil {
		ns.Labels = map[string]string{}
	}
	ns.Labels[mesh.NameLabel] = ns.Name
	return ns
}

// optedOut says whether the namespace carries meshfence.io/fill: "false", as an annotation or a label.
func (n *namespaceObject) optedOut() bool {
	return n.Metadata.Annotations[FillAnnotation] == "false" || n.Metadata.Labels[FillAnnotation] == "false"
}
