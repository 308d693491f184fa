package policy

import "strings"

// Commands in ways out are pasted into a shell, and what they name may come from a file or an annotation that no API server has
// validated: a namespace can be called "a; rm -rf x" there. So all that is not a constant stands in a command as a ShellWord or a NameWord.

// ShellWord quotes a text for a POSIX shell, if it has to be. It must not be used for a word of its own that a text from elsewhere begins, since
// that may begin with a hyphen, which makes an option of it; see NameWord.
func ShellWord(text string) string {
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune("@%_+=:,./-", r) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// unnamed stands in a command for a name that is not known, or that no object can have.
const unnamed = "NAME"

// NameWord is the name of an object in a command. One that the API server would refuse is left to the reader.
func NameWord(name string) string {
	if name == "" || !alphanumeric(rune(name[0])) || !plainValue(name) {
		return unnamed
	}
	return name
}

// plainValue reports whether a text has only characters that names, versions and label values have, and that mean nothing to a shell or
// in YAML.
func plainValue(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !alphanumeric(r) && r != '.' && r != '-' && r != '_' })
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
