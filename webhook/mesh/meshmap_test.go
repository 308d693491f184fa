package mesh_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
)

func TestParseMapKeepsTheEntriesThatCanBeUsedAndSaysWhatIsWrongWithTheOthers(t *testing.T) {
	const (
		syntax = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end " +
			"with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is " +
			"'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
		empty = "Required value: a mesh map entry is <mesh name>: <revision or tag>, neither empty"
	)
	long := strings.Repeat("x", 64)
	for name, test := range map[string]struct {
		data, entries map[string]string
		errs          []string
	}{
		"if there is no data, then there are no entries": {nil, map[string]string{}, nil},
		"if every entry is right, then all are kept": {
			map[string]string{"mesh-1": "mesh-1-v1-30-0", "mesh-2": "default", "Mesh_3.x": "V1", strings.Repeat("a", 63): strings.Repeat("b", 63)},
			map[string]string{"mesh-1": "mesh-1-v1-30-0", "mesh-2": "default", "Mesh_3.x": "V1", strings.Repeat("a", 63): strings.Repeat("b", 63)},
			nil,
		},
		"if there is white space around a value, then it does not count": {
			map[string]string{"mesh-1": "prod\n", "mesh-2": "\t stable \r\n"}, map[string]string{"mesh-1": "prod", "mesh-2": "stable"}, nil,
		},
		"if a value is empty, then its entry is left out": {
			map[string]string{"mesh-1": "", "mesh-2": " \n", "mesh-3": "prod"}, map[string]string{"mesh-3": "prod"},
			[]string{"data[mesh-1]: " + empty, "data[mesh-2]: " + empty},
		},
		"if a key is empty, then its entry is left out": {
			map[string]string{"": "prod"}, map[string]string{}, []string{"data[]: " + empty},
		},
		"if key and value are wrong, then both are told": {
			map[string]string{"-mesh": "a b"}, map[string]string{},
			[]string{`data[-mesh]: Invalid value: "-mesh": ` + syntax, `data[-mesh]: Invalid value: "a b": ` + syntax},
		},
		"if a key is too long, then its entry is left out": {
			map[string]string{long: "prod"}, map[string]string{},
			[]string{"data[" + long + `]: Invalid value: "` + long + `": must be no more than 63 bytes`},
		},
		"if a value is too long and has bad characters, then both are told": {
			map[string]string{"mesh-1": "-" + long}, map[string]string{},
			[]string{
				`data[mesh-1]: Invalid value: "-` + long + `": must be no more than 63 bytes`,
				`data[mesh-1]: Invalid value: "-` + long + `": ` + syntax,
			},
		},
		"if many are wrong, then they are told by key, and the others work": {
			map[string]string{"z": "a/b", "a": "ä", "m": "prod", "k": "two words"}, map[string]string{"m": "prod"},
			[]string{
				`data[a]: Invalid value: "ä": ` + syntax, `data[k]: Invalid value: "two words": ` + syntax, `data[z]: Invalid value: "a/b": ` + syntax,
			},
		},
		"if a value looks like a list, then it is one value and a wrong one": {
			map[string]string{"mesh-1": "mesh-1,mesh-2"}, map[string]string{}, []string{`data[mesh-1]: Invalid value: "mesh-1,mesh-2": ` + syntax},
		},
	} {
		t.Run(name, func(t *testing.T) {
			entries, errs := mesh.ParseMap(test.data)
			if diff := cmp.Diff(test.entries, entries); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			var texts []string
			for _, err := range errs {
				texts = append(texts, err.Error())
			}
			if diff := cmp.Diff(test.errs, texts); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheFleetAnswersFromTheMeshMap(t *testing.T) {
	f := mesh.NewFleet(mesh.Objects{Map: map[string]string{"mesh-1": "prod", "mesh-3": "prod", "mesh-2": "stable"}})
	if revision, ok := f.Mapped("mesh-1"); !ok || revision != "prod" {
		t.Errorf("mesh-1 is mapped to %q, %v", revision, ok)
	}
	if revision, ok := f.Mapped("mesh-4"); ok || revision != "" {
		t.Errorf("mesh-4 is mapped to %q, %v", revision, ok)
	}
	if diff := cmp.Diff([]string{"mesh-1", "mesh-3"}, f.MappedTo("prod")); diff != "" {
		t.Errorf("mapped to prod (-want +got):\n%s", diff)
	}
	if got := f.MappedTo("canary"); got != nil {
		t.Errorf("mapped to canary: %v", got)
	}
}
