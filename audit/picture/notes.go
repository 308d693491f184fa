package picture

import "slices"

// notes are the sentences about the map.
func (v *view) notes() []string { return slices.Clip(v.Notices) }

// missing says what the map lacks.
func (v *view) missing() []string {
	texts := make([]string, len(v.Gaps))
	for i, gap := range v.Gaps {
		texts[i] = "Not in this map: " + gap
	}
	return texts
}

// remark is what stands behind the name of a revision.
func (r Revision) remark() string {
	switch {
	case r.Active && r.Version != "":
		return " (active, " + r.Version + ")"
	case r.Active:
		return " (active)"
	case r.Version != "":
		return " (" + r.Version + ")"
	}
	return ""
}
