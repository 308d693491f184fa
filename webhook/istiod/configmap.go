package istiod

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/sail"
)

const (
	configMapPrefix = "istio"
	injectorPrefix  = "istio-sidecar-injector"
	// valuesKey is the key of an injector's ConfigMap that has the values of the chart that its templates use.
	valuesKey = "values"
)

// ConfigMap is a ConfigMap that an istiod reads: that of its mesh configuration, or that of its injector.
type ConfigMap struct {
	Meta
	// OfRevision is the revision whose istiod reads it, which its name tells and not its label.
	OfRevision string
	// Config is the mesh configuration; nil if this is an injector's ConfigMap.
	Config *Config
	// Values are of an injector's ConfigMap; nil if this is a mesh configuration.
	Values *sail.Values
}

// Config is the mesh configuration of a ConfigMap.
type Config struct {
	// Text reports whether the ConfigMap has the key. An istiod that starts without it has no selectors.
	Text bool
	// Mesh is what the text says; nil if it does not parse.
	Mesh *MeshConfig
	// Err is why it does not parse.
	Err error
}

// maxUnguarded is how long a mesh configuration may be, in bytes, of a ConfigMap whose changes are not judged. That of an OpenShift ingress has some hundred.
const maxUnguarded = 64 << 10

// ReadsConfigMap reports whether an istiod could read a ConfigMap of that name.
func ReadsConfigMap(name string) bool {
	_, config := revisionOf(name, configMapPrefix)
	return config // an injector's begins with it, too
}

// DecodeConfigMap reads a ConfigMap; nil if no istiod reads one of this name and labels.
func DecodeConfigMap(raw []byte) (*ConfigMap, error) {
	object, err := decode[struct {
		Metadata   rawMeta           `json:"metadata"`
		Data       map[string]string `json:"data"`
		BinaryData map[string]any    `json:"binaryData"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if _, labelled := object.Metadata.Labels[api.RevisionLabel]; !labelled {
		return nil, nil //nolint:nilnil // it is none of an istiod's
	}
	read := &ConfigMap{Meta: object.Metadata.read()}
	text, hasText := object.Data[MeshKey]
	own, isConfig := revisionOf(read.Name, configMapPrefix)
	if isConfig && (hasText || read.Name == ConfigMapName(read.Revision)) {
		read.OfRevision = own
		if len(text) > maxUnguarded && read.Installer >= SailLibrary {
			read.Config = &Config{Text: true, Err: fmt.Errorf("it is longer than %d KiB, which is not read where another program installs the istiod", maxUnguarded>>10)}
		} else {
			read.Config = readConfig(text, hasText, object.BinaryData)
		}
		return read, nil
	}
	own, isInjector := revisionOf(read.Name, injectorPrefix)
	if !isInjector {
		return nil, nil //nolint:nilnil // it is none of an istiod's
	}
	read.OfRevision, read.Values = own, readValues(object.Data[valuesKey])
	return read, nil
}

// readConfig reads the text. What is in binaryData istiod does not see.
func readConfig(text string, hasText bool, binary map[string]any) *Config {
	config := &Config{Text: hasText}
	if !hasText {
		if _, there := binary[MeshKey]; there {
			config.Err = fmt.Errorf("it is in binaryData, where istiod does not look")
		}
		return config
	}
	config.Mesh, config.Err = ParseMeshConfig(text)
	return config
}

// readValues reads the values of the chart as far as the injector's ConfigMap has them. What does not parse says nothing: istiod would inject nothing
// then, and discovers as before.
func readValues(text string) *sail.Values {
	values := &sail.Values{}
	if err := json.Unmarshal([]byte(text), values); err != nil {
		return &sail.Values{}
	}
	return values
}

// revisionOf reads the revision from a name that the charts make of it.
func revisionOf(name, prefix string) (revision string, ok bool) {
	if name == prefix {
		return DefaultRevision, true
	}
	revision, ok = strings.CutPrefix(name, prefix+"-")
	return revision, ok && revision != ""
}
