package istiod

import (
	"encoding/json"

	"github.com/meshfence/meshfence/webhook/yamlpath"
)

// maxLocated is how many bytes a text may have for which lines are told: the nodes of YAML take fifty times the room of their text.
const maxLocated = 128 << 10

// Lines returns a function that puts the line of the text into the path of a field in the mesh configuration of a ConfigMap, as in
// data.mesh: line 3: discoverySelectors[0]. A path whose field is not there stays as it is.
func Lines(raw []byte) func(path string) string {
	var object struct {
		Data map[string]string `json:"data"`
	}
	text := yamlpath.Text{}
	if json.Unmarshal(raw, &object) == nil && len(object.Data[MeshKey]) <= maxLocated {
		text = yamlpath.ReadText(object.Data[MeshKey])
	}
	return func(path string) string {
		field, inner, _ := yamlpath.Split(path)
		if line, _, found := text.Find(inner); found && field == "data."+MeshKey {
			return yamlpath.WithLine(path, line)
		}
		return path
	}
}
