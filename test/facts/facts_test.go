// Package facts pins what meshfence relies on in the API server itself: how admission sees a namespace. The asked webhook
// is not meshfence but an observer, so that a difference between versions of Kubernetes shows here and not as a riddle in
// another test. What the operator's definitions do is pinned by test/cases/facts-of-the-definitions.txtar.
package facts

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/test/harness"
)

const nameLabel = "kubernetes.io/metadata.name"

// limit is how long anything here may take.
const limit = 30 * time.Second

func TestFactsOfTheAPIServer(t *testing.T) {
	log.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(t.Context(), 4*limit)
	defer cancel()
	cluster, err := harness.Start(ctx, harness.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	}()
	observer := observe(ctx, t, cluster.Client)
	t.Run("a generated name and its label are there when validating admission runs, and not before", func(t *testing.T) {
		generatedName(ctx, t, cluster.Client, observer)
	})
	t.Run("an object has its uid when validating admission runs, however it is created", func(t *testing.T) {
		uidAtCreation(ctx, t, cluster.Client, observer)
	})
	t.Run("if a namespace changes while validating admission judges an update, then the update is judged again", func(t *testing.T) {
		judgedAgain(ctx, t, cluster.Client, observer)
	})
	t.Run("a label that a mutating webhook wrote has no owner until a request writes it", func(t *testing.T) {
		managedFields(ctx, t, cluster, observer)
	})
	t.Run("warnings are whole as long as all together have 4096 characters, and else 256 each", func(t *testing.T) {
		warnings(ctx, t, cluster.Config, observer)
	})
}

// generatedName pins: with generateName the label kubernetes.io/metadata.name (and the name) is not there yet when
// mutating admission runs; it is when validating admission does.
func generatedName(ctx context.Context, t *testing.T, c client.Client, o *observer) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "generated-", Labels: map[string]string{observed: "yes"}}}
	if err := c.Create(ctx, ns); err != nil {
		t.Fatal(err)
	}
	mutating, validating := decode(t, o.next(ctx, t, o.mutating)), decode(t, o.next(ctx, t, o.validating))
	got := []metav1.ObjectMeta{
		{Name: mutating.Name, Labels: mutating.Labels},
		{Name: validating.Name, Labels: validating.Labels},
	}
	want := []metav1.ObjectMeta{
		{Labels: map[string]string{observed: "yes"}},
		{Name: ns.Name, Labels: map[string]string{observed: "yes", nameLabel: ns.Name}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("name and labels in mutating and in validating admission (-want +got):\n%s", diff)
	}
}

// uidAtCreation pins: a CREATE is judged with the uid that the object will be stored with, by POST as well as by
// server-side apply. The ledger tells by it whether a claim has come true.
func uidAtCreation(ctx context.Context, t *testing.T, c client.Client, o *observer) {
	posted := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "posted", Labels: map[string]string{observed: "yes"}}}
	applied := &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: "applied", Labels: map[string]string{observed: "yes"}},
	}
	if err := c.Create(ctx, posted); err != nil {
		t.Fatal(err)
	}
	first := o.next(ctx, t, o.validating)
	body, err := json.Marshal(applied)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Patch(ctx, applied, client.RawPatch(types.ApplyPatchType, body), client.FieldOwner("facts")); err != nil {
		t.Fatal(err)
	}
	second := o.next(ctx, t, o.validating)
	got := []any{first.Operation, decode(t, first).UID, second.Operation, decode(t, second).UID}
	want := []any{admissionv1.Create, posted.UID, admissionv1.Create, applied.UID}
	if diff := cmp.Diff(want, got); diff != "" || posted.UID == "" || applied.UID == "" {
		t.Errorf("operations and uids (-want +got):\n%s", diff)
	}
	drain(o.mutating)
}

// judgedAgain pins: the API server runs validating admission on an UPDATE against the very object that the following
// write is conditional on; if the object changes in between, the write is retried and admission runs again.
func judgedAgain(ctx context.Context, t *testing.T, c client.Client, o *observer) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "contended"}}
	if err := c.Create(ctx, ns); err != nil {
		t.Fatal(err)
	}
	release := o.hold()
	patched := make(chan error, 1)
	go func() { patched <- c.Patch(ctx, ns.DeepCopy(), mergeLabels(observed, "yes")) }()
	first := decode(t, o.next(ctx, t, o.validating))
	// Somebody else's change, which the observer is not asked about, is stored while the first answer is still out.
	if err := c.Patch(ctx, ns.DeepCopy(), mergeLabels("other", "change")); err != nil {
		t.Fatal(err)
	}
	release()
	second := decode(t, o.next(ctx, t, o.validating))
	if err := <-patched; err != nil {
		t.Fatal(err)
	}
	got := []map[string]string{first.Labels, second.Labels}
	want := []map[string]string{
		{observed: "yes", nameLabel: "contended"},
		{observed: "yes", nameLabel: "contended", "other": "change"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels in the first and in the second judgement (-want +got):\n%s", diff)
	}
}

func mergeLabels(key, value string) client.Patch {
	return client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+key+`":"`+value+`"}}}`))
}

func decode(t *testing.T, request *admissionv1.AdmissionRequest) *corev1.Namespace {
	t.Helper()
	ns := &corev1.Namespace{}
	if err := json.Unmarshal(request.Object.Raw, ns); err != nil {
		t.Fatal(err)
	}
	return ns
}

// warnings pins the limits within which the warnings of an answer have to be, see webhook/policy/warnings.go.
func warnings(ctx context.Context, t *testing.T, config *rest.Config, o *observer) {
	received := &collector{}
	config = rest.CopyConfig(config)
	config.WarningHandler = received
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// numbered are n texts of so many characters, all different: the API server gives out the same text only once.
	numbered := func(n, characters int) []string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("%02d", i)+strings.Repeat("ä", characters-2))
		}
		return all
	}
	for _, test := range []struct {
		name       string
		sent, want []string
	}{
		{"4096 characters in all", numbered(16, 256), numbered(16, 256)},
		{"one of 4096 characters", numbered(1, 4096), numbered(1, 4096)},
		{"a few more in all", numbered(16, 257), numbered(16, 256)},
		{"many more", numbered(20, 300), numbered(16, 256)},
		{"a control character", []string{"a\nb", "c"}, []string{"c"}},
		{"quotes and what is not ASCII", []string{`"mesh-1" … \ '*'`}, []string{`"mesh-1" … \ '*'`}},
	} {
		o.warn(test.sent...)
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "warned-", Labels: map[string]string{observed: "yes"}}}
		if err := c.Create(ctx, ns, client.DryRunAll); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, received.take()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	o.warn()
	drain(o.mutating)
	drain(o.validating)
}

// collector keeps the warnings that a client receives.
type collector struct {
	mu  sync.Mutex
	all []string
}

func (c *collector) HandleWarningHeader(_ int, _, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, text)
}

func (c *collector) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.all
	c.all = nil
	return taken
}
