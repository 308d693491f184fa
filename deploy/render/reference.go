package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The lines of a document between which the values are listed.
const (
	begin = "<!-- values: begin, written by make generate -->\n"
	end   = "<!-- values: end -->\n"
)

// replaceReference replaces what stands between the two marks of a document by the table of the chart's values.
func replaceReference(doc, values []byte) ([]byte, error) {
	before, rest, found := bytes.Cut(doc, []byte(begin))
	_, after, foundEnd := bytes.Cut(rest, []byte(end))
	if !found || !foundEnd {
		return nil, errors.New("docs/install.md: the marks around the values are missing")
	}
	table, err := reference(values)
	if err != nil {
		return nil, fmt.Errorf("deploy/chart/values.yaml: %w", err)
	}
	return bytes.Join([][]byte{before, []byte(begin), []byte(table), []byte(end), after}, nil), nil
}

// reference makes a Markdown table of a values file: the path, the default and the comment of each value.
func reference(values []byte) (string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(values, &document); err != nil {
		return "", err
	}
	if len(document.Content) != 1 {
		return "", errors.New("no values")
	}
	var table strings.Builder
	table.WriteString("| value | default | what it is |\n| --- | --- | --- |\n")
	err := rows(&table, "", document.Content[0])
	return table.String(), err
}

// rows writes a row for each value of a mapping; those of a mapping with comments of its own inside follow one by one.
func rows(table *strings.Builder, prefix string, mapping *yaml.Node) error {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		path := prefix + key.Value
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 {
			if comment := text(key); comment != "" {
				fmt.Fprintf(table, "| `%s` | | %s |\n", path, comment)
			}
			if err := rows(table, path+".", value); err != nil {
				return err
			}
			continue
		}
		value.Style = yaml.FlowStyle
		shown, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "| `%s` | `%s` | %s |\n", path, strings.TrimSpace(string(shown)), text(key))
	}
	return nil
}

// text returns the comment above a key as the cell of a table.
func text(key *yaml.Node) string {
	var words []string
	for _, line := range strings.Split(key.HeadComment, "\n") {
		if line = strings.TrimSpace(strings.TrimPrefix(line, "#")); line != "" {
			words = append(words, line)
		}
	}
	return strings.ReplaceAll(strings.Join(words, " "), "|", "\\|")
}
