package mesh

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ParseMap splits the data of the mesh map ConfigMap into the entries that can be used and an error for each that cannot:
// both sides must be a label value that is not empty, because the key is the value of a discovery label and the value
// becomes the value of istio.io/rev. White space around a value, such as a block scalar's last newline, is no part of it.
func ParseMap(data map[string]string) (entries map[string]string, errs field.ErrorList) {
	entries = make(map[string]string, len(data))
	for _, name := range slices.Sorted(maps.Keys(data)) {
		path := field.NewPath("data").Key(name)
		revision := strings.TrimSpace(data[name])
		if problems := append(problems(path, name), problems(path, revision)...); len(problems) > 0 {
			errs = append(errs, problems...)
			continue
		}
		entries[name] = revision
	}
	return entries, errs
}

func problems(path *field.Path, value string) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "a mesh map entry is <mesh name>: <revision or tag>, neither empty")}
	}
	var errs field.ErrorList
	for _, problem := range validation.IsValidLabelValue(value) {
		errs = append(errs, field.Invalid(path, value, problem))
	}
	return errs
}
