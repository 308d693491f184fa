package observed

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/selector"
)

// configMapDrift finds mesh configurations of the Sail operator whose selectors are not those of their IstioRevision: the operator has not written them yet,
// or something else writes them. One that cannot be used is MF910's business.
func configMapDrift(v *view) []policy.Offence {
	var found []policy.Offence
	for _, c := range v.allConfigs() {
		source := v.source(c.installedFor())
		if source == nil || c.parsed == nil || c.err != nil || source.Listing != mesh.Selective && source.Listing != mesh.Unset {
			continue
		}
		there, err := c.parsed.Selectors()
		if err != nil {
			continue
		}
		if len(there) == 0 {
			there = []selector.Selector{selector.All()}
		}
		is, should := written(there), written(termsOf(source))
		if slices.Equal(is, should) {
			continue
		}
		found = append(found, policy.Offence{Kind: "ConfigMap", Namespace: c.Namespace, Name: c.Name, Finding: policy.Finding{
			Field:  "data.mesh",
			Detail: fmt.Sprintf("its discovery selectors (%s) are not those of %s (%s)", spelled(is), source.Ref, spelled(should)),
			Effect: "istiod discovers by the ConfigMap, while meshfence and the operator go by the " + source.Kind,
			Ways: []policy.Way{
				run("see what writes it", fmt.Sprintf("kubectl get configmap %s --namespace %s -o yaml --show-managed-fields", c.Name, c.Namespace)),
				run("see whether the operator has done its work", "kubectl get "+kubectlName(source.Ref)),
			},
			Subjects: []string{source.String()},
		}})
	}
	return found
}

// source returns the source of an IstioRevision, nil if there is none.
func (v *view) source(revision string) *mesh.Source {
	if revision == "" {
		return nil
	}
	ref := mesh.Ref{Kind: api.KindIstioRevision, Name: revision}
	m := v.fleet.MeshOf(ref)
	if m == nil {
		return nil
	}
	i := slices.IndexFunc(m.Sources, func(s mesh.Source) bool { return s.Ref == ref })
	if i < 0 {
		return nil
	}
	return &m.Sources[i]
}

func termsOf(source *mesh.Source) []selector.Selector {
	var all []selector.Selector
	for _, term := range source.Terms {
		all = append(all, term.Selector)
	}
	return all
}

// written are selectors as texts, sorted.
func written(selectors []selector.Selector) []string {
	var texts []string
	for _, s := range selectors {
		texts = append(texts, s.String())
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// spelled is a list of selectors for a person.
func spelled(texts []string) string {
	if len(texts) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:shown], "; "), len(texts)-shown)
	}
	return strings.Join(texts, "; ")
}
