package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/api"
)

// notAllowedToAccept finds rules of which an object is to accept findings although the user may not override them. A right that could not be
// asked for is none.
func notAllowedToAccept(old, updated *Acceptance, w *World) []Finding {
	var found []Finding
	for _, code := range updated.beyond(old) {
		right := w.overriding[code]
		if right == Granted {
			continue
		}
		name := OverrideName(code)
		f := Finding{
			Field: "metadata.annotations[" + api.AcceptAnnotation + "]", Subjects: []string{string(code)}, Forbidden: true,
			Detail: fmt.Sprintf("the audit would no longer tell of %s, and user %q may not override %s", code, w.User, code),
			Ways:   remedy{run("an administrator can allow it", grant("meshfence-override-"+name, OverrideVerb, OverrideGroup, name, w.User)...)},
		}
		if right != Refused {
			f.Detail = fmt.Sprintf("the audit would no longer tell of %s, and meshfence could not check whether user %q may override %s", code, w.User, code)
			f.Ways = remedy{say("try again in a few seconds")}
		}
		found = append(found, f)
	}
	return found
}
