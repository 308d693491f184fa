package policy

import "strings"

// inWordsOfTheChart names fields of an istiod that the Sail operator did not install. The rules name those of the operator's objects, whose values are the
// chart's; what else they name is in the ConfigMap.
func inWordsOfTheChart(found []Finding) {
	for i := range found {
		f := &found[i]
		switch f.Field {
		case selectorsField:
			f.Field = "data.mesh: discoverySelectors"
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

// valuesOfSail is where an object of the Sail operator has the values of the chart.
const valuesOfSail = "spec.values."

func withoutSail(text string) string { return strings.ReplaceAll(text, valuesOfSail, "") }
