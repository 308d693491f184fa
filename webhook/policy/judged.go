package policy

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// usualLabels is how many labels a namespace may have and be judged as it is: several times what they have.
const usualLabels = 256

// JudgedKeys are the keys, sorted, of all labels of a namespace that a judgement against these fleets can depend on. With other
// labels, more or fewer, the verdict is the same.
func (p *Policy) JudgedKeys(fleets ...*mesh.Fleet) []string {
	keys := []string{
		mesh.NameLabel, mesh.RevisionLabel, mesh.InjectionLabel, mesh.DataplaneModeLabel, mesh.MaistraMemberLabel, maistraIgnoreLabel,
	}
	keys = append(keys, p.settings.DiscoveryLabels...)
	for _, fleet := range fleets {
		keys = append(keys, fleet.SelectorKeys()...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// judged returns the namespace, nil for nil, with those of its labels that count, if it has very many: a judgement looks at the
// labels again and again, and copies them for each change of labels that a message may propose.
func (p *Policy) judged(ns *mesh.Namespace, fleet *mesh.Fleet) *mesh.Namespace {
	if ns == nil || len(ns.Labels) <= usualLabels {
		return ns
	}
	counting := *ns
	counting.Labels = map[string]string{}
	for _, key := range p.JudgedKeys(fleet) {
		if value, present := ns.Labels[key]; present {
			counting.Labels[key] = value
		}
	}
	return &counting
}
