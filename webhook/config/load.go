package config

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Load reads the text of a configuration file. codes are the rule codes that exist. The error, if any, is an
// *InvalidError with every problem of the text; the configuration is nil then.
//
// The YAML library is yaml v3 and not sigs.k8s.io/yaml, for two reasons: it keeps line numbers, and it follows YAML 1.2
// in that an unquoted off is a word. To YAML 1.1 it is a boolean, and `rules: {MF110: off}` would mean "false".
func Load(data []byte, codes []string) (*Configuration, error) {
	root, err := parse(data)
	if err != nil {
		return nil, err
	}
	f := &file{Configuration: *Default()}
	if err := invalid(decode(root, f, codes)); err != nil {
		return nil, err
	}
	return &f.Configuration, nil
}

// parse returns the root node of the text's only YAML document.
func parse(data []byte) (*yaml.Node, error) {
	stream := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err := stream.Decode(&document)
	if errors.Is(err, io.EOF) || err == nil && len(document.Content) == 0 {
		return nil, atTop(0, "the file is empty; it must have at least apiVersion: "+APIVersion+" and kind: "+Kind)
	}
	if err != nil {
		return nil, atTop(0, "this is not YAML: "+err.Error())
	}
	switch err := stream.Decode(&second); {
	case err == nil:
		return nil, atTop(second.Line, "a second YAML document begins here; the file must have only one")
	case !errors.Is(err, io.EOF):
		return nil, atTop(0, "this is not YAML: "+err.Error())
	}
	return document.Content[0], nil
}

// atTop returns the error for a problem of the file as a whole.
func atTop(line int, detail string) error {
	return invalid([]Problem{{Line: line, Err: field.Invalid(top(), field.OmitValueType{}, detail)}})
}

// top stands for the path of the whole file: an empty path has no text of its own.
func top() *field.Path { return field.NewPath("(top level)") }
