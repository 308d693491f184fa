package mesh

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Offending returns what one of the source's Errors is about, by its content and not by its place in the list: the key, if a key
// or a value is wrong, which the error itself shows; else, if the operator or the number of values is, the requirement.
func (s *Source) Offending(err *field.Error) string {
	index, rest, _ := strings.Cut(strings.TrimPrefix(err.Field, s.path.String()+"["), "].")
	i, notANumber := strconv.Atoi(index)
	if notANumber != nil || i < 0 || i >= len(s.items) || s.items[i] == nil {
		return err.Field
	}
	if key, ok := strings.CutPrefix(rest, "matchLabels["); ok {
		return strings.TrimSuffix(key, "]")
	}
	index, rest, _ = strings.Cut(strings.TrimPrefix(rest, "matchExpressions["), "].")
	j, notANumber := strconv.Atoi(index)
	if notANumber != nil || j < 0 || j >= len(s.items[i].MatchExpressions) {
		return err.Field
	}
	r := s.items[i].MatchExpressions[j]
	if rest == "key" || strings.HasPrefix(rest, "values[") {
		return r.Key
	}
	return fmt.Sprintf("%s %s %q", r.Key, r.Operator, r.Values)
}
