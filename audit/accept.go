package audit

import (
	"encoding/json"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/istiod"
	"github.com/meshfence/meshfence/webhook/policy"
)

// Accepted is a finding that its object accepts for now, by an annotation that only users may write who may override the rule.
type Accepted struct {
	policy.Offence
	// Until is when that ends, as it was written; "" for never.
	Until string
}

// Accepting are the kinds whose annotations count: those of which meshfence is asked who writes them.
func Accepting() []string {
	return []string{KindNamespace, KindConfigMap, api.KindIstio, api.KindIstioRevision, api.KindIstioRevisionTag}
}

// Accept takes out of findings what their objects accept. Findings is not written.
func Accept(findings []policy.Offence, annotations func(Key) map[string]string, now time.Time) (left []policy.Offence, accepted []Accepted) {
	read := map[Key]policy.Acceptance{}
	for _, o := range findings {
		key := keyOf(o)
		if !slices.Contains(Accepting(), key.Kind) {
			left = append(left, o)
			continue
		}
		a, known := read[key]
		if !known {
			a = policy.ReadAcceptance(annotations(key))
			read[key] = a
		}
		if a.Covers(o.Rule.Code, now) {
			accepted = append(accepted, Accepted{o, a.Until})
		} else {
			left = append(left, o)
		}
	}
	return left, accepted
}

// AcceptanceCounts reports whether the annotations of an object of a resource count. Of a ConfigMap whose changes are not judged it is not known who wrote them.
func AcceptanceCounts(resource string, object metav1.Object) bool {
	return resource != "configmaps" || istiod.Guarded(object.GetLabels(), object.GetOwnerReferences())
}

// annotations are those of a stored object.
func (i *Inventory) annotations(key Key) map[string]string {
	o, there := i.Get(key)
	if !there {
		return nil
	}
	var object struct {
		Metadata struct {
			Annotations     map[string]string       `json:"annotations"`
			Labels          map[string]string       `json:"labels"`
			OwnerReferences []metav1.OwnerReference `json:"ownerReferences"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(o.Raw, &object); err != nil {
		return nil // what cannot be read accepts nothing
	}
	if key.Kind == KindConfigMap && !istiod.Guarded(object.Metadata.Labels, object.Metadata.OwnerReferences) {
		return nil // as in AcceptanceCounts
	}
	return object.Metadata.Annotations
}
