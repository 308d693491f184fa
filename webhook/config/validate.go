package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/spelling"
)

// Validate returns everything that is wrong with the values; codes are the rule codes that exist.
func (c *Configuration) Validate(codes []string) field.ErrorList {
	var problems field.ErrorList
	top := func(name string) *field.Path { return field.NewPath(name) }
	add := func(err *field.Error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	add(isOneOf(c.Mode, top("mode"), ModeEnforce, ModeWarn))
	for _, code := range slices.Sorted(maps.Keys(c.Rules)) {
		add(isRuleCode(code, top("rules").Key(code), codes))
		add(isOneOf(c.Rules[code], top("rules").Key(code), ActionDeny, ActionWarn, ActionOff))
	}
	problems = append(problems, areAll(c.DiscoveryLabels, top("discoveryLabels"), isLabelKey)...)
	problems = append(problems, areAll(c.ExemptNamespaces, top("exemptNamespaces"), isNamespaceGlob)...)
	problems = append(problems, areAll(c.ExemptUsers, top("exemptUsers"), isUserGlob)...)
	problems = append(problems, areAll(c.ControlPlaneNamespaces, top("controlPlaneNamespaces"), isNamespaceGlob)...)
	problems = append(problems, areAll(c.FillFrom, top("fillFrom"), isFillSource)...)
	add(isMeshMapName(c.MeshMap.Name, top("meshMap").Child("name")))
	return problems
}

// areAll returns what is wrong with a list, whose values have to be valid and different.
func areAll[T ~string](values []T, p *field.Path, isValid func(T, *field.Path) *field.Error) (problems field.ErrorList) {
	for i, value := range values {
		if err := isValid(value, p.Index(i)); err != nil {
			problems = append(problems, err)
		} else if slices.Contains(values[:i], value) {
			problems = append(problems, field.Duplicate(p.Index(i), string(value)))
		}
	}
	return problems
}

func isOneOf[T ~string](value T, p *field.Path, allowed ...T) *field.Error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return field.NotSupported(p, string(value), allowed)
}

func isFillSource(value FillSource, p *field.Path) *field.Error {
	return isOneOf(value, p, fillSources()...)
}

func isLabelKey(value string, p *field.Path) *field.Error {
	if len(validation.IsQualifiedName(value)) == 0 {
		return nil
	}
	return field.Invalid(p, value, "must be a label key: up to 63 letters, digits, '-', '_' and '.', optionally after a domain and '/'")
}

func isConfigMapName(value string, p *field.Path) *field.Error {
	if len(validation.IsDNS1123Subdomain(value)) == 0 {
		return nil
	}
	return field.Invalid(p, value, "must be the name of a ConfigMap: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit")
}

// unjudgedConfigMaps are those that the API server does not send to meshfence: the ledger, and what programs write into every
// namespace (the condition written-by-people of the webhook meshmap.validate.meshfence.io).
func unjudgedConfigMaps() []string {
	return []string{api.Claims, api.DefaultTrustBundle, "kube-root-ca.crt", "openshift-service-ca.crt"}
}

func isMeshMapName(value string, p *field.Path) *field.Error {
	if slices.Contains(unjudgedConfigMaps(), value) {
		return field.Invalid(p, value, "changes of this ConfigMap are not judged, because programs write it; choose another name")
	}
	return isConfigMapName(value, p)
}

// isNamespaceGlob refuses what no namespace name can match, above all the "?" and "[…]" of other glob languages.
func isNamespaceGlob(value string, p *field.Path) *field.Error {
	if value != "" && strings.Trim(value, "abcdefghijklmnopqrstuvwxyz0123456789-*") == "" {
		return nil
	}
	return field.Invalid(p, value, "must be a namespace name of lower-case letters, digits and '-', in which '*' stands for any characters")
}

// isUserGlob allows nearly everything: user names come from outside (OIDC, certificates) and have no syntax.
func isUserGlob(value string, p *field.Path) *field.Error {
	if value != "" && strings.TrimSpace(value) == value && !strings.ContainsFunc(value, unicode.IsControl) {
		return nil
	}
	return field.Invalid(p, value, "must be a user name, without space around it, in which '*' stands for any characters")
}

func isRuleCode(code string, p *field.Path, codes []string) *field.Error {
	if slices.Contains(codes, code) {
		return nil
	}
	return field.Invalid(p, field.OmitValueType{}, "there is no rule with this code"+didYouMean(code, codes))
}

func unknownField(p *field.Path, name string, known []string) *field.Error {
	detail := fmt.Sprintf("there is no such field%s (fields here: %s)", didYouMean(name, known), strings.Join(known, ", "))
	return field.Invalid(p, field.OmitValueType{}, detail)
}

// didYouMean returns `; did you mean "…"?` with the nearest of the known words, or nothing if there are none.
func didYouMean(word string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	nearest := slices.MinFunc(slices.Sorted(slices.Values(known)), func(a, b string) int {
		return distance(word, a) - distance(word, b)
	})
	return fmt.Sprintf("; did you mean %q?", nearest)
}

// maxCompared bounds what a comparison costs, in characters. No known word is nearly as long.
const maxCompared = 64

// distance is the edit distance of the beginnings of two words, upper and lower case being the same.
func distance(a, b string) int {
	return spelling.Distance(strings.ToLower(a[:min(len(a), maxCompared)]), strings.ToLower(b[:min(len(b), maxCompared)]))
}
