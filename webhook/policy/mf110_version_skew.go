package policy

import (
	"fmt"
	"math"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// versionSkew finds other meshes whose minor version is more than one away. A version without numbers, such as master, is
// compared with nothing.
func versionSkew(m *mesh.Mesh, w *World) []Finding {
	var far []*mesh.Mesh
	for _, other := range otherMeshes(m, w) {
		if mesh.Skew(m.Version, other.Version) > mesh.MaxSkew {
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
		if slices.Contains(f.Subjects, other.String()) && mesh.Skew(updated.Version, other.Version) > mesh.Skew(old.Version, other.Version) {
			return false
		}
	}
	return true
}

// nearerVersion names the minor versions that are near enough to all other meshes.
func nearerVersion(m *mesh.Mesh, w *World) remedy {
	own, _ := mesh.ParseVersion(m.Version)
	lowest, highest := 0, math.MaxInt
	for _, other := range otherMeshes(m, w) {
		theirs, ok := mesh.ParseVersion(other.Version)
		switch {
		case !ok:
			continue
		case theirs.Major != own.Major:
			return remedy{say("bring all meshes to one major version first")}
		}
		lowest, highest = max(lowest, theirs.Minor-mesh.MaxSkew), min(highest, theirs.Minor+mesh.MaxSkew)
	}
	const list = "kubectl explain istios.spec.version --api-version=sailoperator.io/v1"
	switch {
	case lowest > highest:
		return remedy{
			say("no version is near enough to all of them: bring the other meshes together first, one minor version at a time"), run("see the versions that exist", list),
		}
	case lowest == highest:
		return remedy{run(fmt.Sprintf("choose a spec.version of v%d.%d from those that exist", own.Major, lowest), list)}
	default:
		return remedy{run(fmt.Sprintf("choose a spec.version of v%d.%d to v%[1]d.%[3]d from those that exist", own.Major, lowest, highest), list)}
	}
}
