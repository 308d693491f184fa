package match_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"

	"github.com/meshfence/meshfence/webhook/match"
)

func TestWhichConfigMapsAreSent(t *testing.T) {
	condition := newCondition(match.MeshConfigExpression())
	of := func(name string, edits ...func(*corev1.ConfigMap)) *corev1.ConfigMap {
		c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "plane", Labels: map[string]string{"istio.io/rev": "a"}}, Data: map[string]string{"mesh": "x"}}
		for _, edit := range edits {
			edit(c)
		}
		return c
	}
	data := func(key, value string) func(*corev1.ConfigMap) {
		return func(c *corev1.ConfigMap) { c.Data[key] = value }
	}
	none := func(c *corev1.ConfigMap) { c.Data, c.Labels = nil, nil }
	annotated := func(key string) func(*corev1.ConfigMap) {
		return func(c *corev1.ConfigMap) { c.Annotations = map[string]string{key: "x"} }
	}
	owned := func(c *corev1.ConfigMap) {
		c.OwnerReferences = []metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "IstioRevision", Name: "a", UID: "u"}}
	}
	labelled := func(key string) func(*corev1.ConfigMap) {
		return func(c *corev1.ConfigMap) { c.Labels[key] = "x" }
	}
	for name, test := range map[string]struct {
		old, current *corev1.ConfigMap
		want         bool
	}{
		"created":                          {nil, of("istio-a"), true},
		"the default revision's":           {nil, of("istio"), true},
		"deleted":                          {of("istio-a"), nil, true},
		"another text":                     {of("istio-a"), of("istio-a", data("mesh", "y")), true},
		"the text goes, and the labels":    {of("istio-a"), of("istio-a", none), true},
		"the labels come":                  {of("istio-a", none), of("istio-a"), true},
		"an overlap is declared":           {of("istio-a"), of("istio-a", annotated("meshfence.io/allow-overlap")), true},
		"nothing changes":                  {of("istio-a"), of("istio-a"), false},
		"another key":                      {of("istio-a"), of("istio-a", data("meshNetworks", "y")), false},
		"an annotation of another program": {of("istio-a"), of("istio-a", annotated("example.com/x")), false},
		"of another name":                  {nil, of("values-a"), false},
		"of a revision that begins as a certificate's name": {nil, of("istio-ca-west"), true},
		"the Sail operator no longer owns it":               {of("istio-a", owned), of("istio-a"), true},
		"the Sail operator adopts it, or so it says":        {of("istio-a"), of("istio-a", owned), true},
		"what the Sail operator owns changes":               {of("istio-a", owned), of("istio-a", owned, data("mesh", "y")), false},
		"it becomes the Sail library's":                     {of("istio-a"), of("istio-a", labelled("managed-by")), true},
		"it was Service Mesh 2's":                           {of("istio-a", labelled("maistra-version")), of("istio-a"), true},
		"findings are accepted":                             {of("istio-a"), of("istio-a", annotated("meshfence.io/accept")), true},
		"a root certificate":                                {nil, of("istio-ca-root-cert"), false},
		"the Sail operator's":                               {nil, of("istio-a", owned), false},
		"the Sail operator's, deleted":                      {of("istio-a", owned), nil, false},
		"a name that only looks like it":                    {nil, of("istiod"), false},
		"without data or labels":                            {of("istio-a", none), of("istio-a", none), false},
		"deleted without data or labels":                    {of("istio-a", none), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			operation, options, shown := admission.Update, runtime.Object(&metav1.UpdateOptions{}), test.current
			var old, current runtime.Object
			if test.old != nil {
				old = test.old
			} else {
				operation, options = admission.Create, &metav1.CreateOptions{}
			}
			if test.current != nil {
				current = test.current
			} else {
				operation, options, shown = admission.Delete, &metav1.DeleteOptions{}, test.old
			}
			kind, resource := corev1.SchemeGroupVersion.WithKind("ConfigMap"), corev1.SchemeGroupVersion.WithResource("configmaps")
			request := admission.NewAttributesRecord(current, old, kind, "plane", shown.Name, resource, "", operation, options, false, nil)
			attributes, err := admission.NewVersionedAttributes(request, kind, interfaces)
			if err != nil {
				t.Fatal(err)
			}
			result := condition.Match(t.Context(), attributes, nil, nil)
			if result.Error != nil || result.Matches != test.want {
				t.Errorf("matches %t, want %t (%v)", result.Matches, test.want, result.Error)
			}
		})
	}
}
