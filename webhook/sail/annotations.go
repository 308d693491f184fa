package sail

import (
	"math"
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
	// FillAnnotation with the value "false" keeps meshfence from filling in istio.io/rev.
	FillAnnotation = api.FillAnnotation
)

// annotationsRead are all of them.
var annotationsRead = []string{AllowOverlapAnnotation, AllowOverlapUntilAnnotation, OverrideAnnotation, FillAnnotation}

// AllowedOverlap is a declaration that this mesh may overlap with others.
type AllowedOverlap struct {
	// Meshes are the names of the others.
	Meshes []string
	// Until is the end as it was written, "" for no end.
	Until string
	// UntilUnix is the end in seconds since 1970: the largest number for no end, 0 (long ago) for an end that is no
	// RFC 3339 time, because a declaration that nobody can read must not go on for ever.
	UntilUnix int64
}

// AllowedOverlap reads the declaration from the annotations; no meshes if there is none.
func (m Meta) AllowedOverlap() AllowedOverlap {
	declared := AllowedOverlap{UntilUnix: math.MaxInt64}
	for name := range strings.SplitSeq(m.Annotations[AllowOverlapAnnotation], ",") {
		if name = strings.TrimSpace(name); name != "" {
			declared.Meshes = append(declared.Meshes, name)
		}
	}
	if until, ok := m.Annotations[AllowOverlapUntilAnnotation]; ok {
		declared.Until, declared.UntilUnix = until, unixOrPast(until)
	}
	return declared
}

func unixOrPast(rfc3339 string) int64 {
	end, err := time.Parse(time.RFC3339, strings.TrimSpace(rfc3339))
	if err != nil {
		return 0
	}
	return end.Unix()
}

// Moment returns seconds since 1970 in the form of AllowOverlapUntilAnnotation.
func Moment(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
