package istiod

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook/selector"
	"github.com/meshfence/meshfence/webhook/yamlpath"
)

// MeshKey is the key of a ConfigMap that has the mesh configuration.
const MeshKey = "mesh"

// What the aliases of a text may add to it: so many times its size, and so many bytes more. A text of 100 KB could become gigabytes; istiod, which has no limit, would not
// come up with it.
const (
	growth = 10
	spare  = 64 << 10
)

// DefaultRevision is the revision of an istiod that was given none.
const DefaultRevision = "default"

// ConfigMapName returns the name of the ConfigMap from which the istiod of a revision reads its mesh configuration
// (istio/manifests/charts/istio-control/istio-discovery/templates/configmap.yaml).
func ConfigMapName(revision string) string {
	if revision == "" || revision == DefaultRevision {
		return configMapPrefix
	}
	return configMapPrefix + "-" + revision
}

// MeshConfig is what is read of a mesh configuration (istio.io/api/mesh/v1alpha1). Other fields are not looked at.
type MeshConfig struct {
	// DiscoverySelectors say which namespaces are discovered: ORed, and none means all. A nil item selects everything.
	DiscoverySelectors []*metav1.LabelSelector `json:"discoverySelectors"`
	// RootNamespace has the configuration that holds for the whole mesh.
	RootNamespace string `json:"rootNamespace"`
	TrustDomain   string `json:"trustDomain"`
}

// ParseMeshConfig reads the text of a mesh configuration, YAML or JSON. An error means that istiod does not take it: one that runs keeps what it had,
// and one that starts has none (istio/pkg/config/mesh/kubemesh/watcher.go).
func ParseMeshConfig(text string) (*MeshConfig, error) {
	read := &MeshConfig{}
	if limit := growth*len(text) + spare; yamlpath.AliasesOfTextAdd(text, limit) > limit {
		return nil, &TextError{Problem: fmt.Sprintf("its aliases make more than %d times its size of it", growth)}
	}
	// YAML becomes JSON first, as there: a value of another type is an error then, rather than a text.
	object, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = unmarshal(object, read)
	}
	if err != nil {
		return nil, newTextError(text, err)
	}
	return read, nil
}

// TextError is why the text of a mesh configuration does not parse.
type TextError struct {
	// Problem is what is wrong.
	Problem string
	// Field is the path of the field that has another type, without the indices of lists; "" if it is not YAML, or no field is known.
	Field string
	// At is the line of the text, from 1; 0 if it is not known.
	At int
}

// Error says what is wrong.
func (e *TextError) Error() string { return "it does not parse: " + e.Problem }

// Line is the line of the text, from 1; 0 if it is not known.
func (e *TextError) Line() int { return e.At }

var lineInError = regexp.MustCompile(`\bline (\d+): `)

// newTextError puts errors of the readers of YAML and JSON into words without the types of Go.
func newTextError(text string, err error) *TextError {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		e := &TextError{Problem: fmt.Sprintf("it is %s, and no fields", withArticle(wrong.Value)), Field: wrong.Field}
		if e.Field != "" {
			e.Problem = fmt.Sprintf("%s: found %s where istiod reads %s", e.Field, withArticle(wrong.Value), withArticle(jsonType(wrong.Type)))
		}
		if len(text) <= maxLocated {
			e.At = yamlpath.ReadText(text).FindType(e.Field, wrong.Value)
		}
		return e
	}
	e := &TextError{Problem: strings.TrimPrefix(strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "), "yaml: ")}
	if at := lineInError.FindStringSubmatch(e.Problem); at != nil {
		e.At, _ = strconv.Atoi(at[1]) // it is a number, or too great for one
	}
	return e
}

// jsonType is the type of JSON that is read as a type of Go.
func jsonType(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Slice:
		return "array"
	case reflect.String:
		return "string"
	default:
		return "object"
	}
}

func withArticle(noun string) string {
	if strings.ContainsAny(noun[:1], "ao") {
		return "an " + noun
	}
	return "a " + noun
}

// unmarshal reads JSON under the names that protobuf gives fields in JSON, and under those of their definition, which count where the others are absent
// (github.com/golang/protobuf/jsonpb).
func unmarshal(object []byte, read *MeshConfig) error {
	var fields map[string]json.RawMessage
	if err := kjson.UnmarshalCaseSensitivePreserveInts(object, &fields); err != nil {
		return err
	}
	for defined, name := range map[string]string{"discovery_selectors": "discoverySelectors", "root_namespace": "rootNamespace", "trust_domain": "trustDomain"} {
		if _, there := fields[name]; !there && fields[defined] != nil {
			fields[name] = fields[defined]
		}
	}
	renamed, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return kjson.UnmarshalCaseSensitivePreserveInts(renamed, read)
}

// Selectors reads the discovery selectors. The errors name them by path.
func (c *MeshConfig) Selectors() ([]selector.Selector, error) {
	var all []selector.Selector
	var errs field.ErrorList
	for i, item := range c.DiscoverySelectors {
		if item == nil {
			all = append(all, selector.All())
			continue
		}
		s, wrong := selector.Parse(item, field.NewPath("discoverySelectors").Index(i))
		all, errs = append(all, s), append(errs, wrong...)
	}
	if err := errs.ToAggregate(); err != nil {
		return nil, errors.New(err.Error())
	}
	return all, nil
}
