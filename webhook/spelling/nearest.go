package spelling

import "strings"

// maxDistance is how far a word may be from the one that was meant, and maxCompared how many bytes of each are compared.
const (
	maxDistance = 2
	maxCompared = 64
)

// Nearest returns the known word that was probably meant, the first of those that are equally near; "" if none is near. Letters of either case
// are the same. A word that is known already is not asked about.
func Nearest(word string, known []string) string {
	best, least := "", min(maxDistance, len(word)-1)+1
	for _, candidate := range known {
		if d := Distance(folded(word), folded(candidate)); candidate != word && d < least {
			best, least = candidate, d
		}
	}
	return best
}

func folded(word string) string { return strings.ToLower(word[:min(len(word), maxCompared)]) }
