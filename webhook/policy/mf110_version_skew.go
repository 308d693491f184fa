package policy

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// maxSkew is how many minor versions meshes may be apart: IstioCNI, of which there is one in a cluster, works with control
// planes of its own minor version and of the next one (OpenShift Service Mesh 3, "Updating the Istio CNI").
const maxSkew = 1

// versionSkew finds other meshes whose minor version is more than one away. A version without numbers, such as master, is
// compared with nothing.
func versionSkew(m *mesh.Mesh, w *World) []Finding {
	var far []*mesh.Mesh
	for _, other := range otherMeshes(m, w) {
		if skew(m, other) > maxSkew {
			far = append(far, other)
		}
	}
	if len(far) == 0 {
		return nil
	}
	texts := make([]string, len(far))
	for i, other := range far {
		texts[i] = fmt.Sprintf("%s (%s)", theMesh(other), other.Version)
	}
	return []Finding{{
		Field:    "spec.version",
		Detail:   fmt.Sprintf("%s is more than one minor version away from %s", m.Version, joinAnd(texts)),
		Effect:   "all meshes of a cluster share one IstioCNI",
		Ways:     nearerVersion(m, w),
		Subjects: refs(far),
	}}
}

// skewedBefore reports whether the old mesh was at least as far away from each of the meshes that the finding is about, so
// that an update that comes nearer is not refused for being still too far.
func skewedBefore(f Finding, old, updated *mesh.Mesh, w *World) bool {
	for _, other := range otherMeshes(updated, w) {
		if slices.Contains(f.Subjects, other.String()) && skew(updated, other) > skew(old, other) {
			return false
		}
	}
	return true
}

// skew is how many minor versions two meshes are apart; 0 if that cannot be told. It is not known which minor version a new
// major one follows, so across those it is more than any number.
func skew(a, b *mesh.Mesh) int {
	left, leftOK := versionOf(a)
	right, rightOK := versionOf(b)
	switch {
	case !leftOK || !rightOK:
		return 0
	case left.major != right.major:
		return math.MaxInt
	default:
		return max(left.minor-right.minor, right.minor-left.minor)
	}
}

// istioVersion is a version of Istio without what comes after its minor version.
type istioVersion struct{ major, minor int }

// versionOf reads spec.version. These are 1.30: v1.30.1, the alias v1.30-latest, and v1.30.0-beta.1; the alias master, and a
// version that is not set, are none (the versions and aliases of sail-operator/pkg/istioversion/versions.yaml).
func versionOf(m *mesh.Mesh) (istioVersion, bool) {
	major, rest, ok := strings.Cut(strings.TrimPrefix(m.Version, "v"), ".")
	if !ok {
		return istioVersion{}, false
	}
	if end := strings.IndexAny(rest, ".-+"); end >= 0 {
		rest = rest[:end]
	}
	left, majorErr := strconv.Atoi(major)
	right, minorErr := strconv.Atoi(rest)
	return istioVersion{left, right}, majorErr == nil && minorErr == nil
}

// nearerVersion names the minor versions that are near enough to all other meshes.
func nearerVersion(m *mesh.Mesh, w *World) remedy {
	own, _ := versionOf(m)
	lowest, highest := 0, math.MaxInt
	for _, other := range otherMeshes(m, w) {
		theirs, ok := versionOf(other)
		switch {
		case !ok:
			continue
		case theirs.major != own.major:
			return remedy{say("bring all meshes to one major version first")}
		}
		lowest, highest = max(lowest, theirs.minor-maxSkew), min(highest, theirs.minor+maxSkew)
	}
	const list = "kubectl explain istios.spec.version --api-version=sailoperator.io/v1"
	switch {
	case lowest > highest:
		return remedy{
			say("no version is near enough to all of them: bring the other meshes together first, one minor version at a time"), run("see the versions that exist", list),
		}
	case lowest == highest:
		return remedy{run(fmt.Sprintf("choose a spec.version of v%d.%d from those that exist", own.major, lowest), list)}
	default:
		return remedy{run(fmt.Sprintf("choose a spec.version of v%d.%d to v%[1]d.%[3]d from those that exist", own.major, lowest, highest), list)}
	}
}
