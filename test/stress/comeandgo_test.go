package stress

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// meshMapOf returns the mesh map with one entry, for mesh-1.
func meshMapOf(revision string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: harness.Namespace, Name: "mesh-map"}, Data: map[string]string{"mesh-1": revision}}
}

// definitions deletes the definitions, and with them the meshes, and makes them again. The mesh map stays, so that it can
// be told all the time which labels are wrong.
func (s *suite) definitions(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	both := meshMapOf("mesh-1")
	both.Data["mesh-2"] = "mesh-2"
	must(t, s.Client.Create(t.Context(), both))
	l := s.startLoad(t)
	for range choose(1, 6) {
		l.more(t, labelled, 25)
		must(t, s.RemoveCRDs(t.Context()))
		l.more(t, labelled, 25)
		s.areReady(t, "there are no definitions")
		must(t, s.InstallCRDs(t.Context()))
		for _, name := range []string{"mesh-1", "mesh-2"} {
			took := s.soon(t, 10*time.Second, "a mesh can be created again", func() bool {
				return s.Client.Create(t.Context(), stressed(name, selecting(name), 0)) == nil
			})
			if err := s.Client.Create(t.Context(), stressed(name+"-too", selecting(name), 0)); classify(err) != denied {
				t.Errorf("a mesh that overlaps with the first one of new definitions: %v", err)
			}
			count(t, "definitions are there again: a mesh could be created %v later", took)
		}
		s.meshesCanBeMade(t, 10*time.Second)
	}
	l.end(t)
	l.never(t, labelled)
	s.neverPanicked(t)
}

// newVersion gives Istio a further version, which becomes the one that is stored, with fields that meshfence does not know.
func (s *suite) newVersion(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	l := s.startLoad(t)
	l.more(t, labelled, 25)
	must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := s.Client.Get(t.Context(), client.ObjectKey{Name: "istios." + sail.GroupVersion.Group}, crd); err != nil {
			return err
		}
		further := crd.Spec.Versions[0].DeepCopy()
		further.Name = "v2alpha1"
		crd.Spec.Versions[0].Storage = false
		crd.Spec.Versions = append(crd.Spec.Versions, *further)
		return s.Client.Update(t.Context(), crd)
	}))
	novel := func(name, value string) *unstructured.Unstructured {
		object := stressed(name, selecting(value), 0)
		object.SetAPIVersion(sail.GroupVersion.Group + "/v2alpha1")
		for path, value := range map[string]any{
			"spec.novelty": map[string]any{"deep": []any{int64(1), "two", map[string]any{"three": true}}}, "spec.updateStrategy.novelty": int64(1),
			"spec.values.novelty": "x", "spec.values.meshConfig.novelty": []any{"y"}, "status.novelty": int64(2),
		} {
			must(t, unstructured.SetNestedField(object.Object, value, strings.Split(path, ".")...))
		}
		return object
	}
	took := s.soon(t, 30*time.Second, "the new version is served", func() bool {
		return s.Client.Create(t.Context(), novel("novel-0", "novel-0")) == nil
	})
	count(t, "a mesh of the new version could be created %v later", took)
	rounds := choose(2, 30)
	for round := range rounds {
		name := fmt.Sprint("novel-", round)
		if round > 0 {
			must(t, s.Client.Create(t.Context(), novel(name, name)))
		}
		for _, too := range []*unstructured.Unstructured{novel(name+"-too", name), stressed(name+"-old", selecting(name), 0)} {
			if err := s.Client.Create(t.Context(), too); classify(err) != denied {
				t.Errorf("a mesh of version %s that overlaps: %v", too.GetAPIVersion(), err)
			}
		}
		must(t, s.Client.Patch(t.Context(), novel(name, name), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"novelty":{"deep":[]},"values":{"novelty":null}}}`))))
	}
	s.soon(t, 10*time.Second, "a mesh of the new version is known", func() bool {
		return patchLabels(t.Context(), s.Client, "default", `{"istio-discovery":"novel-1","istio.io/rev":"novel-1"}`) == nil
	})
	l.more(t, labelled, 25)
	s.areReady(t, "the definition has a new version")
	l.end(t)
	l.never(t, labelled)
	count(t, "%d meshes of a new version with unknown fields were stored and changed, and twice as many that overlap refused", rounds)
	s.neverPanicked(t)
}

// meshMap deletes and makes the mesh map, which decides what is filled in.
func (s *suite) meshMap(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	l := s.startLoad(t)
	must(t, s.Client.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": sail.GroupVersion.String(), "kind": "IstioRevisionTag", "metadata": map[string]any{"name": "stable"},
		"spec": map[string]any{"targetRef": map[string]any{"kind": "Istio", "name": "mesh-1"}},
	}}))
	s.eventually(t, "the tag is known", func() bool {
		return patchLabels(t.Context(), s.Client, "default", `{"istio-discovery":"mesh-1","istio.io/rev":"stable"}`) == nil
	})
	filled := func() string {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new", Labels: map[string]string{"istio-discovery": "mesh-1"}}}
		must(t, s.Client.Create(t.Context(), ns, client.DryRunAll))
		return ns.Labels[mesh.RevisionLabel]
	}
	rounds := choose(3, 20)
	for range rounds {
		must(t, s.Client.Create(t.Context(), meshMapOf("stable")))
		s.soon(t, 2*time.Second, "what the mesh map says is filled in", func() bool { return filled() == "stable" })
		must(t, s.Client.Delete(t.Context(), meshMapOf("")))
		s.soon(t, 2*time.Second, "the mesh map is forgotten", func() bool { return filled() == "mesh-1" })
	}
	l.more(t, labelled, 25)
	s.areReady(t, "the mesh map is gone")
	l.end(t)
	l.never(t, labelled)
	count(t, "the mesh map was made and deleted %d times, and followed within 2s", rounds)
}

// writes counts what happens to the two webhook configurations.
type writes struct {
	mu sync.Mutex
	// keys are the changes of meshfence's conditions, other all other changes.
	keys, other int
}

// countWrites watches until the test ends.
func (s *suite) countWrites(t *testing.T) *writes {
	t.Helper()
	w := &writes{}
	var group sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); group.Wait() })
	for _, list := range []client.ObjectList{&admissionregistrationv1.ValidatingWebhookConfigurationList{}, &admissionregistrationv1.MutatingWebhookConfigurationList{}} {
		watch, err := s.Client.Watch(ctx, list)
		must(t, err)
		group.Go(func() {
			defer watch.Stop()
			before := ""
			for event := range watch.ResultChan() {
				if object, ok := event.Object.(client.Object); ok && object.GetName() == "meshfence" {
					before = w.note(before, conditionsOf(object))
				}
			}
		})
	}
	return w
}

func (w *writes) note(before, after string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case before == "": // as it was when the watch began
	case before != after:
		w.keys++
	default:
		w.other++
	}
	return after
}

func (w *writes) counted() (keys, other int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keys, w.other
}

// conditionsOf returns meshfence's conditions.
func conditionsOf(configuration client.Object) string {
	var all strings.Builder
	add := func(conditions []admissionregistrationv1.MatchCondition) {
		for _, c := range conditions {
			if c.Name == match.ConditionName {
				all.WriteString(c.Expression + "\n")
			}
		}
	}
	switch c := configuration.(type) {
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		for i := range c.Webhooks {
			add(c.Webhooks[i].MatchConditions)
		}
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		for i := range c.Webhooks {
			add(c.Webhooks[i].MatchConditions)
		}
	}
	return all.String()
}

// labelKeys creates meshes whose selectors use label keys that nobody has used before, while a person edits the
// configuration. Two replicas keep it up to date: each new key is one write to each of the two configurations.
func (s *suite) labelKeys(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	l := s.startLoad(t)
	ctx := t.Context()
	counted := s.countWrites(t)
	const own = "not-robots"
	s.edit(t, func(c *admissionregistrationv1.ValidatingWebhookConfiguration) {
		c.Webhooks[4].MatchConditions = append(c.Webhooks[4].MatchConditions, admissionregistrationv1.MatchCondition{Name: own, Expression: "true"})
		c.Webhooks[4].TimeoutSeconds = new(int32(7))
	})
	keys, slowest := choose(3, 20), time.Duration(0)
	for i := range keys {
		key := fmt.Sprint("zone-", i)
		// With the new label the mesh discovers this namespace, whose revision there is not.
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "joins-" + key, Labels: map[string]string{"istio-discovery": key, "istio.io/rev": "nobody-s"}}}
		must(t, s.Client.Create(ctx, ns))
		must(t, s.Client.Create(ctx, stressed(key, []metav1.LabelSelector{{MatchLabels: map[string]string{"istio-discovery": key, key: "x"}}}, 0)))
		s.edit(t, func(c *admissionregistrationv1.ValidatingWebhookConfiguration) {
			c.Annotations = map[string]string{"a-person": fmt.Sprint(i)}
		})
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+key+`":"x"}}}`))
		slowest = max(slowest, s.soon(t, 2*time.Second, "the new key is asked about", func() bool {
			err := s.Client.Patch(ctx, ns.DeepCopy(), patch, client.DryRunAll)
			return err != nil && strings.Contains(err.Error(), "MF203")
		}))
	}
	count(t, "%d new label keys: each asked about at most %v after its mesh was stored", keys, slowest)
	l.more(t, unrelated, 100) // time to fight
	found := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	must(t, s.Client.Get(ctx, client.ObjectKey{Name: "meshfence"}, found))
	last := found.Webhooks[4].MatchConditions[len(found.Webhooks[4].MatchConditions)-1]
	if last.Name != own || *found.Webhooks[4].TimeoutSeconds != 7 || found.Annotations["a-person"] != fmt.Sprint(keys-1) {
		text, err := json.Marshal(found)
		must(t, err)
		t.Errorf("what a person has edited is not there any more: %s", text)
	}
	written, other := counted.counted()
	count(t, "two replicas wrote the two configurations %d times; a person %d times", written, other)
	if written != 2*keys || other != keys+1 {
		t.Errorf("%d changes of the conditions, want %d; %d other changes, want the person's %d", written, 2*keys, other, keys+1)
	}
	l.end(t)
	l.never(t, labelled)
}

// edit changes the validating configuration as a person does.
func (s *suite) edit(t *testing.T, change func(*admissionregistrationv1.ValidatingWebhookConfiguration)) {
	t.Helper()
	must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		c := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		if err := s.Client.Get(t.Context(), client.ObjectKey{Name: "meshfence"}, c); err != nil {
			return err
		}
		change(c)
		return s.Client.Update(t.Context(), c)
	}))
}
