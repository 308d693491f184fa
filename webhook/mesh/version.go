package mesh

import (
	"math"
	"strconv"
	"strings"
)

// Version is a version of Istio without what comes after its minor version.
type Version struct{ Major, Minor int }

// ParseVersion reads a spec.version of the Sail operator. These are 1.30: v1.30.1, the alias v1.30-latest, and v1.30.0-beta.1; the alias
// master, and a version that is not set, are none (the versions and aliases of sail-operator/pkg/istioversion/versions.yaml).
func ParseVersion(text string) (Version, bool) {
	major, rest, ok := strings.Cut(strings.TrimPrefix(text, "v"), ".")
	if !ok {
		return Version{}, false
	}
	if end := strings.IndexAny(rest, ".-+"); end >= 0 {
		rest = rest[:end]
	}
	left, majorErr := strconv.Atoi(major)
	right, minorErr := strconv.Atoi(rest)
	return Version{left, right}, majorErr == nil && minorErr == nil
}

// Skew is how many minor versions two versions are apart; 0 if that cannot be told. It is not known which minor version a new major one
// follows, so across those it is more than any number.
func Skew(a, b string) int {
	left, leftOK := ParseVersion(a)
	right, rightOK := ParseVersion(b)
	switch {
	case !leftOK || !rightOK:
		return 0
	case left.Major != right.Major:
		return math.MaxInt
	default:
		return max(left.Minor-right.Minor, right.Minor-left.Minor)
	}
}

// MaxSkew is how many minor versions apart what shares one IstioCNI may be: it works with control planes of its own minor version and of
// the next one (OpenShift Service Mesh 3, "Updating the Istio CNI").
const MaxSkew = 1
