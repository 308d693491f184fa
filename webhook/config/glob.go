package config

import "strings"

// Globs are patterns for names. In a pattern, "*" stands for any run of characters, also for none; every other character
// stands for itself. path.Match is not used because it also gives a meaning to "?", "[", "\" and "/", and user names may
// contain all of them ("https://issuer.example#subject").
type Globs []string

// Match reports whether any of the patterns matches the whole name.
func (g Globs) Match(name string) bool {
	for _, pattern := range g {
		if matchGlob(pattern, name) {
			return true
		}
	}
	return false
}

// MatchAll reports whether one of the patterns matches every name that begins with prefix: a pattern without a star at its
// end says how a name ends.
func (g Globs) MatchAll(prefix string) bool {
	for _, pattern := range g {
		if strings.HasSuffix(pattern, "*") && matchGlob(pattern, prefix) {
			return true
		}
	}
	return false
}

// matchGlob takes the text between the stars from left to right, each at its first place. Taking the first place is
// enough: whatever a later place would leave for the rest, an earlier one leaves too.
func matchGlob(pattern, name string) bool {
	first, rest, hasStar := strings.Cut(pattern, "*")
	if !hasStar {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for {
		part, further, hasMore := strings.Cut(rest, "*")
		if !hasMore {
			return strings.HasSuffix(name, rest)
		}
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name, rest = name[at+len(part):], further
	}
}
