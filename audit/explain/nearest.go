package explain

import (
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshfence/meshfence/webhook/mesh"
)

func sortedKeys(set map[string]string) []string { return slices.Sorted(maps.Keys(set)) }

// nearest tells which selector comes nearest to discovering labels, and the requirement of it that fails; "" if no mesh selects anything.
func nearest(fleet *mesh.Fleet, set map[string]string) string {
	best, fewest, most := "", 0, 0 // failing and met requirements of the best so far
	for _, m := range fleet.Meshes() {
		for i := range m.Sources {
			if m.Sources[i].Listing != mesh.Selective {
				continue
			}
			for j, item := range m.Sources[i].Items() {
				failing, total := unmet(item, set)
				// Of a selector with one requirement that fails nothing is near, unless its label is there with another value.
				if len(failing) == 0 || len(failing) == total && !mentions(item, set) {
					continue
				}
				if met := total - len(failing); best == "" || len(failing) < fewest || len(failing) == fewest && met > most {
					best, fewest, most = fmt.Sprintf("the nearest selector is spec.values.meshConfig.discoverySelectors[%d] of %s, which asks for %s", j, m.Ref, failing[0]), len(failing), met
				}
			}
		}
	}
	return best
}

// unmet returns the requirements of a selector that labels do not meet, and how many it has.
func unmet(item *metav1.LabelSelector, set map[string]string) (failed []string, total int) {
	if item == nil {
		return nil, 0
	}
	for _, one := range requirements(item) {
		total++
		if parsed, err := metav1.LabelSelectorAsSelector(one); err == nil && !parsed.Matches(labels.Set(set)) {
			text := metav1.FormatLabelSelector(one)
			if len(one.MatchLabels) == 1 {
				for key, value := range one.MatchLabels {
					if has, ok := set[key]; ok {
						text += fmt.Sprintf("; the namespace has %s=%s%s", key, has, DidYouMean(has, []string{value}))
					}
				}
			}
			failed = append(failed, text)
		}
	}
	return failed, total
}

// requirements takes a selector apart, in the order of its keys.
func requirements(item *metav1.LabelSelector) []*metav1.LabelSelector {
	var all []*metav1.LabelSelector
	for _, key := range sortedKeys(item.MatchLabels) {
		all = append(all, &metav1.LabelSelector{MatchLabels: map[string]string{key: item.MatchLabels[key]}})
	}
	for i := range item.MatchExpressions {
		all = append(all, &metav1.LabelSelector{MatchExpressions: item.MatchExpressions[i : i+1]})
	}
	return all
}

// mentions reports whether labels have a key that a selector asks about.
func mentions(item *metav1.LabelSelector, set map[string]string) bool {
	for key := range item.MatchLabels {
		if _, ok := set[key]; ok {
			return true
		}
	}
	for _, e := range item.MatchExpressions {
		if _, ok := set[e.Key]; ok {
			return true
		}
	}
	return false
}
