package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// longestShown is how many characters of a bad value a message shows: a label value has at most 63, and a ConfigMap may
// hold a mebibyte.
const longestShown = 80

// meshMapInvalid finds the entries that cannot be used, which mesh.ParseMap leaves out: both sides must be label values that
// are not empty, because the key is looked up by the value of a discovery label, and the value becomes that of istio.io/rev.
// A repair of one side of an entry leaves no new finding about the other; another revision that cannot be used is one.
func meshMapInvalid(m *mesh.Map, w *World) []Finding {
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(m.Data)) {
		revision := strings.TrimSpace(m.Data[name])
		ofName, ofRevision := notALabel("name", name), notALabel("revision", revision)
		if problems := slices.Concat(ofName, ofRevision); len(problems) > 0 {
			f := unusable(m, w, entryPath(name), name, entry(shown(name), shown(m.Data[name])), problems)
			for i := len(ofName); i < len(problems); i++ {
				f.Subjects[i] += ": " + revision
			}
			found = append(found, f)
		}
	}
	for _, name := range slices.Sorted(slices.Values(m.Binary)) {
		found = append(found, unusable(m, w, binaryPath(name), name, shown(name), []string{"its revision is binary, not text in data"}))
	}
	return found
}

// notALabel says what keeps a part of an entry from being a label value; nothing if nothing does.
func notALabel(part, value string) []string {
	switch {
	case value == "":
		return []string{"its " + part + " is empty"}
	case len(value) > validation.LabelValueMaxLength:
		return []string{"its " + part + " has more than " + strconv.Itoa(validation.LabelValueMaxLength) + " characters"}
	case len(validation.IsValidLabelValue(value)) > 0:
		return []string{"its " + part + " is no label value: only letters, digits, '-', '_' and '.', with a letter or digit at both ends"}
	default:
		return nil
	}
}

func unusable(m *mesh.Map, w *World, path, name, written string, problems []string) Finding {
	f := Finding{
		Field:  path,
		Detail: fmt.Sprintf("the entry %q cannot be used: %s", written, strings.Join(problems, ", and ")),
		Ways:   leaveOut(m, w, name),
	}
	if own := w.Fleet.Named(name); own != nil && len(notALabel("", name)) == 0 {
		f.Ways = changeMap("give it the active revision of "+own.Name, m, w, mapEdits{name: &own.ActiveRevision})
	}
	for _, problem := range problems {
		f.Subjects = append(f.Subjects, path+" "+problem)
	}
	return f
}

// shown is a text as a message has it: not longer than a person reads.
func shown(text string) string {
	text = strings.TrimSpace(text)
	if characters := []rune(text); len(characters) > longestShown {
		return string(characters[:longestShown]) + ellipsis
	}
	return text
}
