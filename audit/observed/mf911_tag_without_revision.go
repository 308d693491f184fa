package observed

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/policy"
)

// tagWithoutRevision finds the webhooks of tags whose revision is gone, as istioctl tag and Helm leave them. For those of an IstioRevisionTag MF304 has
// said it.
func tagWithoutRevision(v *view) []policy.Offence {
	installed := map[string]bool{}
	for i := range v.injectors {
		if in := &v.injectors[i]; in.tag() == "" {
			installed[in.revision()] = true
		}
	}
	var found []policy.Offence
	for _, in := range sorted(v.injectors, func(a, b injector) int { return compareMeta(&a.meta, &b.meta) }) {
		revision := in.revision()
		if in.tag() == "" || in.owner(api.SailGroup, api.KindIstioRevisionTag) != "" || installed[revision] || len(v.revisions[revision]) > 0 {
			continue
		}
		found = append(found, policy.Offence{Kind: "MutatingWebhookConfiguration", Name: in.Name, Finding: policy.Finding{
			Field:  "metadata.labels[" + api.RevisionLabel + "]",
			Detail: fmt.Sprintf("it is tag %q for revision %q, which is not installed", in.tag(), revision),
			Effect: fmt.Sprintf("new pods of namespaces with istio.io/rev=%s are refused, because the istiod that they are sent to is not there", in.tag()),
			Ways: []policy.Way{
				run("see which namespaces use it", "kubectl get namespaces --selector istio.io/rev="+policy.NameWord(in.tag())),
				run("point it at a revision that is there", in.setTag()),
				run("or remove it", "kubectl delete "+string(Injectors)+" "+in.Name),
			},
			Subjects: []string{revision},
		}})
	}
	return found
}

// setTag is the command that points a tag elsewhere. Without the namespace istioctl makes further webhooks, of another name, and leaves these.
func (in *injector) setTag() string {
	command := "istioctl tag set " + policy.NameWord(in.tag()) + " --revision REVISION"
	if services := in.services(); len(services) == 1 {
		command += " --istioNamespace " + policy.NameWord(services[0])
	}
	return command + " --overwrite"
}
