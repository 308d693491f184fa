package picture

import "fmt"

// Options say how much of a map is shown, and how.
type Options struct {
	// MaxNamespaces is how many namespaces of each mesh are shown before the rest is only counted: those that are wrong come first. 0 shows all.
	// The formats for programs, json and yaml, always hold all, and so does the table of html.
	MaxNamespaces int
	// Meshes are the names of those that are shown, with the namespaces that they discover or inject. None means all.
	Meshes []string
	// ASCII keeps the formats for a terminal, tree and wide, to ASCII characters.
	ASCII bool
}

// Draw writes the map down. It returns an error if the format or a mesh of the options does not exist.
func Draw(m *Map, format Format, options Options) (string, error) {
	writers := map[Format]func(*view) (string, error){
		Tree:    always(tree),
		Wide:    always(wide),
		JSON:    asJSON,
		YAML:    asYAML,
		Mermaid: always(mermaid),
		Dot:     always(dot),
		SVG:     always(svg),
		HTML:    asHTML,
	}
	if _, err := ParseFormat(string(format)); err != nil {
		return "", err
	}
	if options.MaxNamespaces < 0 {
		return "", fmt.Errorf("%d namespaces cannot be shown", options.MaxNamespaces)
	}
	v, err := look(m, options)
	if err != nil {
		return "", err
	}
	return writers[format](v)
}

// always makes a writer of one that cannot fail.
func always(write func(*view) string) func(*view) (string, error) {
	return func(v *view) (string, error) { return write(v), nil }
}
