package sail

import (
	"strings"
	"time"

	"github.com/meshfence/meshfence/webhook/api"
)

// Annotations that meshfence reads on an Istio, an IstioRevision or an IstioRevisionTag.
const (
	// AllowOverlapAnnotation names the meshes, comma-separated, that this one may overlap with.
	AllowOverlapAnnotation = api.AllowOverlapAnnotation
	// AllowOverlapUntilAnnotation ends that permission, RFC 3339.
	AllowOverlapUntilAnnotation = api.AllowOverlapUntilAnnotation
	// OverrideAnnotation names the rules whose denials are to be warnings.
	OverrideAnnotation = api.OverrideAnnotation
	// AcceptAnnotation names the rules whose findings the audit does not tell, and AcceptUntilAnnotation ends that, RFC 3339.
	AcceptAnnotation      = api.AcceptAnnotation
	AcceptUntilAnnotation = api.AcceptUntilAnnotation
	// FillAnnotation with the value "false" keeps meshfence from filling in istio.io/rev.
	FillAnnotation = api.FillAnnotation
)

// AnnotationsRead are all of them.
var AnnotationsRead = []string{AllowOverlapAnnotation, AllowOverlapUntilAnnotation, OverrideAnnotation, AcceptAnnotation, AcceptUntilAnnotation, FillAnnotation}

// AllowedOverlap is a declaration that this mesh may overlap with others.
type AllowedOverlap struct {
	// Meshes are the names of the others.
	Meshes []string
	// Until is the end as it was written, "" for no end.
	Until string
	// End is the end, in whole seconds; nil for no end, and the zero time (long ago) for one that is no RFC 3339 time, because a
	// declaration with an end that cannot be read must not go on for ever.
	End *time.Time
}

// InForce reports whether the declaration has not ended.
func (a AllowedOverlap) InForce(now time.Time) bool { return a.End == nil || now.Before(*a.End) }

// EndsBefore reports whether the declaration ends before another one does.
func (a AllowedOverlap) EndsBefore(other AllowedOverlap) bool {
	return a.End != nil && (other.End == nil || a.End.Before(*other.End))
}

// AllowedOverlap reads the declaration from the annotations; no meshes if there is none.
func (m Meta) AllowedOverlap() AllowedOverlap {
	var declared AllowedOverlap
	for name := range strings.SplitSeq(m.Annotations[AllowOverlapAnnotation], ",") {
		if name = strings.TrimSpace(name); name != "" {
			declared.Meshes = append(declared.Meshes, name)
		}
	}
	if until, ok := m.Annotations[AllowOverlapUntilAnnotation]; ok {
		end := End(until)
		declared.Until, declared.End = until, &end
	}
	return declared
}

// End reads a time as AllowOverlapUntilAnnotation and AcceptUntilAnnotation have it, in whole seconds; one that cannot be read is the zero time.
func End(rfc3339 string) time.Time {
	end, err := time.Parse(time.RFC3339, strings.TrimSpace(rfc3339))
	if err != nil {
		return time.Time{}
	}
	return end.Truncate(time.Second).UTC()
}

// Moment returns a time in the form of AllowOverlapUntilAnnotation.
func Moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }
