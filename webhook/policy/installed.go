package policy

import (
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// inWordsOfTheChart names fields of an istiod that the Sail operator did not install. The rules name those of the operator's objects, whose values are the
// chart's; what else they name is in the ConfigMap.
func inWordsOfTheChart(found []Finding) {
	for i := range found {
		f := &found[i]
		switch f.Field {
		case selectorsField:
			f.Field = textField
		case "spec.namespace":
			f.Field = "metadata.namespace"
		case "spec.version":
			f.Field = "metadata.labels[app.kubernetes.io/version]"
		default:
			f.Field = strings.TrimPrefix(f.Field, valuesOfSail)
		}
		f.Detail, f.Effect = withoutSail(f.Detail), withoutSail(f.Effect)
		for j := range f.Ways {
			f.Ways[j].Label = withoutSail(f.Ways[j].Label)
		}
	}
}

// configMapOf is the ConfigMap of an istiod's selectors, "" for those of an object of the Sail operator.
func configMapOf(s *mesh.Source) string {
	if s.Kind != kindConfigMap {
		return ""
	}
	return s.Name
}

// textField is the path of the selectors in the text of a mesh configuration.
const textField = inText + "discoverySelectors"

// inText is what the path of a field in such a text begins with. A line may come next.
const inText = "data.mesh: "

// valuesOfSail is where an object of the Sail operator has the values of the chart.
const valuesOfSail = "spec.values."

func withoutSail(text string) string { return strings.ReplaceAll(text, valuesOfSail, "") }
