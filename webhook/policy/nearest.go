package policy

// longest is the length of the longest name that Kubernetes has; the cost of a comparison grows with it.
const longest = 253

// nearest returns the candidate that a person most likely meant by name: the one with the smallest edit distance, the
// first of equals, or "" if none is within a third of the name's length (and at least one edit).
func nearest(name string, candidates []string) string {
	if len(name) > longest {
		return ""
	}
	best, limit := "", max(1, len(name)/3)+1
	for _, candidate := range candidates {
		if d := editDistance(name, candidate); d < limit {
			best, limit = candidate, d
		}
	}
	return best
}

// editDistance counts the bytes to insert, delete or replace, two neighbours swapped counting once (names are ASCII).
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(last[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
