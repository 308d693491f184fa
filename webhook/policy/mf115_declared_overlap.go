package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// declaredOverlap tells of the overlaps that are admitted because they are declared, or harmless because the meshes write
// ConfigMaps of different names, and of declarations that have ended.
func declaredOverlap(m *mesh.Mesh, w *World) []Finding {
	var found []Finding
	var harmless []*mesh.Mesh
	comparison := mesh.Compare(m, w.Now)
	for _, other := range w.Fleet.Meshes() {
		if other.Ref == m.Ref || !comparison.Overlaps(other) {
			continue
		}
		switch by, inForce := mesh.Declaration(m, other, w.Now); {
		case !anyOf(comparison.Among(other, sameBundle)):
			harmless = append(harmless, other)
		case inForce:
			found = append(found, declaredFinding(m, other, by))
		case by != nil:
			found = append(found, endedFinding(m, other, by, w))
		}
	}
	if len(harmless) > 0 {
		found = append(found, harmlessFinding(m, harmless))
	}
	return found
}

// sameBundle reports whether two istiods write ConfigMaps of one name.
func sameBundle(a, b *mesh.Source) bool { return a.TrustBundle == b.TrustBundle }

func declaredFinding(m, other, by *mesh.Mesh) Finding {
	until := "without an end"
	if by.Allowed.Until != "" {
		until = "until " + strings.TrimSpace(by.Allowed.Until)
	}
	return Finding{
		Field:  selectorsField,
		Detail: fmt.Sprintf("its selectors overlap with those of %s, as %s of %s declares %s", other.Ref, mesh.AllowOverlapAnnotation, by.Ref, until),
		Effect: fmt.Sprintf("both istiods write the ConfigMap %s to the namespaces that both match, so they must have the same root certificate",
			m.Sources[0].TrustBundle),
		Ways:     remedy{say(fmt.Sprintf("when one of them is deleted, or their selectors are apart, remove the annotation from %s", by.Ref))},
		Subjects: []string{"declared", other.String()},
	}
}

// extension is how much later than now the end of a declaration is proposed: a week.
const extension = 7 * 24 * time.Hour

func endedFinding(m, other, by *mesh.Mesh, w *World) Finding {
	f := Finding{
		Explains: true, Field: "metadata.annotations[" + mesh.AllowOverlapUntilAnnotation + "]",
		Detail:   fmt.Sprintf("its selectors overlap with those of %s, and %s", other.Ref, ended(by)),
		Subjects: []string{"ended", other.String()},
	}
	f.Ways = w.remedied(func() remedy { return declareAgain(m, f, by, w) })
	return f
}

// declareAgain gives a declaration another end.
func declareAgain(m *mesh.Mesh, f Finding, by *mesh.Mesh, w *World) remedy {
	end := mesh.Moment(w.Now.Add(extension))
	if by == m && !w.Updating {
		return remedy{run("declare it for a week", fmt.Sprintf("annotations: {%s: %q}", mesh.AllowOverlapUntilAnnotation, end))}
	}
	p := proposal{editing{by.Ref, mesh.Edit{Until: end}}, []string{annotateCommand(by, mesh.AllowOverlapUntilAnnotation+"="+end)}}
	ended := Finding{Field: f.Field, Subjects: f.Subjects[1:]} // an overlap that is declared again is told too
	is := func(after *mesh.Fleet, _ []mesh.Namespace) bool {
		now := after.Mesh(m.Ref)
		return now == nil || !among(ended, declaredOverlap(now, w.in(after)))
	}
	return w.ways("declare it for another week", p, true, is).
		or(fmt.Sprintf("to declare it again, give %s another %s", by.Ref, mesh.AllowOverlapUntilAnnotation))
}

// ended says that a declaration is not in force any more, and why.
func ended(by *mesh.Mesh) string {
	if by.Allowed.End != nil && by.Allowed.End.IsZero() {
		return fmt.Sprintf("the declaration of it by %s is ignored, because its end is not an RFC 3339 time (%s: %q)",
			by.Ref, mesh.AllowOverlapUntilAnnotation, by.Allowed.Until)
	}
	return fmt.Sprintf("the declaration of it by %s has ended (%s: %s)", by.Ref, mesh.AllowOverlapUntilAnnotation,
		strings.TrimSpace(by.Allowed.Until))
}

func harmlessFinding(m *mesh.Mesh, others []*mesh.Mesh) Finding {
	var subjects []string
	for _, other := range others {
		subjects = append(subjects, other.String())
	}
	slices.Sort(subjects)
	f := Finding{
		Field:    selectorsField,
		Detail:   fmt.Sprintf("its selectors overlap with those of %s", firstRefs(subjects)),
		Effect:   fmt.Sprintf("that is harmless, because their istiods write ConfigMaps of different names (%s)", bundleNames(m, others)),
		Ways:     remedy{say("keep the names of their ConfigMaps different (spec.values.global.trustBundleName), or their selectors apart")},
		Subjects: subjects,
	}
	if slices.ContainsFunc(others, func(other *mesh.Mesh) bool { return sharesRevocationList(m, other) }) {
		f.Ways = append(f.Ways, say("if one of them revokes certificates (ca-crl.pem in its Secret cacerts), keep the names of their ConfigMaps for that "+
			"different too (spec.values.pilot.crlConfigMapName)"))
	}
	return f
}

// sharesRevocationList reports whether the istiods write their lists of revoked certificates to ConfigMaps of one name. All of
// them do unless they are told another one, and do no harm as long as both lists are empty: they are unless the Secret
// with the root certificate has a list, which no field of a mesh tells.
func sharesRevocationList(m, other *mesh.Mesh) bool {
	return m.Sources[0].RevocationList == other.Sources[0].RevocationList
}

// firstRefs lists the first objects and counts the others.
func firstRefs(refs []string) string {
	if len(refs) <= maxNamed {
		return strings.Join(refs, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(refs[:maxNamed], ", "), len(refs)-maxNamed)
}

// bundleNames are the names of the ConfigMaps, that of m first, each once.
func bundleNames(m *mesh.Mesh, others []*mesh.Mesh) string {
	names := []string{m.Sources[0].TrustBundle}
	for _, other := range others {
		if name := other.Sources[0].TrustBundle; !slices.Contains(names, name) && len(names) < maxNamed {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
