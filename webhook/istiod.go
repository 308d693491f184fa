package webhook

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/istiod"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// istiods validates the ConfigMaps from which istiods that the Sail operator did not install read their mesh configuration. A change of one is judged as that of
// an IstioRevision is, and goes through the ledger.
type istiods struct{ controlPlanes }

// validateIstiods returns the handler of CREATE, UPDATE and DELETE of such a ConfigMap. Failure policy: Fail.
func validateIstiods(c *common, discoveryLabels []string) admission.Handler {
	h := &istiods{controlPlanes{common: c, kind: mesh.KindIstiod, discoveryLabels: discoveryLabels, located: withLines}}
	h.installing = h.mayInstall
	return &kindHandler[istiod.ConfigMap]{
		common: c, kind: configMapKind, decode: decodeMeshConfig, deletions: true, skip: skipMeshConfig,
		annotations: func(c *istiod.ConfigMap) map[string]string { return c.Annotations }, guarded: guarded, judge: h.judge,
	}
}

// withLines tells of fields in the text of a mesh configuration in which line of it they stand.
func withLines(req *admission.Request, verdict policy.Verdict) policy.Verdict {
	if len(verdict.Denials)+len(verdict.Warnings) == 0 {
		return verdict
	}
	lines, own := istiod.Lines(req.Object.Raw), req.Namespace+"/"+req.Name
	for _, list := range []*[]policy.Finding{&verdict.Denials, &verdict.Warnings} {
		*list = slices.Clone(*list)
		for i := range *list {
			if f := &(*list)[i]; f.In == "" || f.In == own {
				f.Field = lines(f.Field)
			}
		}
	}
	return verdict
}

// decodeMeshConfig reads a ConfigMap; one that is none of an istiod's has no Config.
func decodeMeshConfig(req *admission.Request, raw []byte) (*istiod.ConfigMap, error) {
	c, err := istiod.DecodeConfigMap(raw)
	if err != nil {
		return nil, fmt.Errorf("the ConfigMap cannot be read: %w", err)
	}
	if c == nil {
		return &istiod.ConfigMap{}, nil
	}
	if c.Namespace == "" {
		c.Namespace = req.Namespace
	}
	return c, completeName(&c.Name, req, "ConfigMap")
}

// skipMeshConfig reports whether a request is about no mesh configuration, or only brings the deletion of one forward: as long as it is stored, istiod reads it.
func skipMeshConfig(old, updated *istiod.ConfigMap) bool {
	if !guarded(old) && !guarded(updated) {
		return true
	}
	if updated == nil {
		return old.Deleting
	}
	return updated.Deleting && guarded(old) && guarded(updated) && reflect.DeepEqual(old.Config, updated.Config) && maps.Equal(old.Annotations, updated.Annotations)
}

// guarded reports whether a ConfigMap is the mesh configuration of an istiod whose changes are judged. Those of the Sail operator's library, of the
// operator itself and of Service Mesh 2 are not: who installs them decides.
func guarded(c *istiod.ConfigMap) bool {
	return c != nil && c.Config != nil && c.Installer < istiod.SailLibrary
}

// judge judges a change of a mesh configuration, or its deletion. One that loses the labels by which it is known counts as deleted.
func (h *istiods) judge(ctx context.Context, req *admission.Request, old, updated *istiod.ConfigMap) admission.Response {
	if byCleaner(req) && !guarded(old) {
		return allow() // what kubectl delete --cascade=orphan leaves of an IstioRevision
	}
	parts := h.cluster.Known().Parts
	if !guarded(updated) {
		if updated != nil && updated.Installer == istiod.SailOperator && h.operated(updated) {
			return allow() // the operator takes it over, and its own object says what is discovered
		}
		return h.judgeLoss(ctx, req, parts, old, updated)
	}
	after := readIstiod(parts.With(&istiod.Part{ConfigMap: updated}), updated)
	if after == nil { // the Sail operator, or another one, has other objects of the same istiod
		return allow()
	}
	var before *sail.ControlPlane
	if guarded(old) {
		before = readIstiod(parts.With(&istiod.Part{ConfigMap: old}), old)
	}
	return h.judgeChange(ctx, req, before, after)
}

// operated reports whether the Sail operator has an istiod of the ConfigMap's revision in its namespace. That the ConfigMap says so itself shows nothing.
func (h *istiods) operated(c *istiod.ConfigMap) bool {
	return slices.ContainsFunc(h.cluster.Fleet().Meshes(), func(m *mesh.Mesh) bool {
		return m.Kind != mesh.KindIstiod && m.ControlPlane == c.Namespace && slices.Contains(m.Revisions, c.OfRevision)
	})
}

// readIstiod reads the istiod of a ConfigMap; nil if it is one that the Sail operator has installed.
func readIstiod(parts istiod.Objects, of *istiod.ConfigMap) *sail.ControlPlane {
	for _, cp := range parts.ControlPlanes() {
		if cp.Spec.Namespace == of.Namespace && cp.Installed.Revision == of.OfRevision {
			return cp
		}
	}
	return nil
}

// judgeLoss judges that a mesh configuration goes, or is no longer known as one. If its istiod runs, it would discover everything at once.
func (h *istiods) judgeLoss(ctx context.Context, req *admission.Request, parts istiod.Objects, gone, updated *istiod.ConfigMap) admission.Response {
	if h.terminating(gone.Namespace) {
		return allow()
	}
	stored := h.storedOrKnown(ctx)
	part := &istiod.Part{ConfigMap: gone}
	before := h.cluster.Fleet().Next(stored.WithParts(stored.Parts.With(part)))
	fleet := before.Next(stored.WithParts(stored.Parts.Without(part)))
	old := before.MeshOf(mesh.Ref{Kind: istiod.KindConfigMap, Name: gone.Namespace + "/" + gone.Name})
	if old == nil {
		return allow()
	}
	namespaces, _ := h.namespaces(ctx, before, fleet) // an error leaves what is known of them
	change := policy.MeshChange{
		Old: old, New: fleet.Mesh(old.Ref), Before: before, Fleet: fleet, Namespaces: namespaces, Exempt: h.exempt.namespace, Now: h.now(), Removing: true,
	}
	if h.runs(ctx, parts, gone) {
		adopted := updated != nil && updated.Installer == istiod.SailOperator
		change.Losing = &policy.Loss{Revision: gone.OfRevision, ConfigMap: gone.Name, Unlabelled: updated != nil && !adopted, Adopted: adopted}
	}
	return h.finish(ctx, req, gone.Annotations, h.policy.Mesh(change))
}

// mayInstall asks whether the user may install an istiod, if no webhooks say that an administrator has done so in the namespace.
func (h *istiods) mayInstall(ctx context.Context, req *admission.Request, made *sail.ControlPlane) *policy.Installing {
	namespace := made.Spec.Namespace
	if !h.policy.AsksForInstallers() || slices.ContainsFunc(h.cluster.Known().Parts.Injectors, func(i *istiod.Injector) bool { return i.Service == namespace }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, rightsTimeout)
	defer cancel()
	right := h.right(ctx, req, authorizationv1.ResourceAttributes{Verb: "create", Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations"})
	if right == policy.Refused {
		right = h.right(ctx, req, authorizationv1.ResourceAttributes{Verb: policy.InstallVerb, Group: policy.InstallGroup, Resource: policy.InstallResource, Name: namespace})
	}
	return &policy.Installing{User: req.UserInfo.Username, Right: right}
}

// terminating reports whether a namespace is being deleted: what is in it goes too, in no order.
func (h *istiods) terminating(namespace string) bool {
	all, _ := h.cluster.Namespaces(context.Background(), func() []string { return nil })
	for i := range all {
		if all[i].Name == namespace {
			return all[i].Deleting
		}
	}
	return false
}

// runs reports whether the istiod of a ConfigMap runs. Helm and istioctl delete its Deployment first, a moment before, so it is looked for past all caches; if that
// fails, what is known decides.
func (h *istiods) runs(ctx context.Context, parts istiod.Objects, gone *istiod.ConfigMap) bool {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	runs, err := h.cluster.Runs(ctx, gone.Namespace, gone.OfRevision)
	if err == nil {
		return runs
	}
	log.FromContext(ctx).V(1).Info("the Deployments of istiod could not be read, and are judged by what is known", "problem", err.Error())
	for _, d := range parts.Deployments {
		if d.Namespace == gone.Namespace && d.OfRevision() == gone.OfRevision && !d.Deleting {
			return true
		}
	}
	return false
}
