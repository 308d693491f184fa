package fleet

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/webhook/cluster"
	"github.com/meshfence/meshfence/webhook/match"
)

// configurations are the two webhook configurations as they are stored.
type configurations struct {
	Validating admissionregistrationv1.ValidatingWebhookConfiguration
	Mutating   admissionregistrationv1.MutatingWebhookConfiguration
}

func (s *suite) configurations(t *testing.T) *configurations {
	t.Helper()
	c := &configurations{}
	s.must(t, s.Client.Get(t.Context(), client.ObjectKey{Name: cluster.DefaultConfiguration}, &c.Validating))
	s.must(t, s.Client.Get(t.Context(), client.ObjectKey{Name: cluster.DefaultConfiguration}, &c.Mutating))
	return c
}

// conditions are all match conditions of all webhooks.
func (c *configurations) conditions() []*admissionregistrationv1.MatchCondition {
	var all []*admissionregistrationv1.MatchCondition
	for i := range c.Validating.Webhooks {
		for j := range c.Validating.Webhooks[i].MatchConditions {
			all = append(all, &c.Validating.Webhooks[i].MatchConditions[j])
		}
	}
	for i := range c.Mutating.Webhooks {
		for j := range c.Mutating.Webhooks[i].MatchConditions {
			all = append(all, &c.Mutating.Webhooks[i].MatchConditions[j])
		}
	}
	return all
}

// withoutKeys blanks what meshfence may write, and what the API server notes whenever something is written.
func (c *configurations) withoutKeys() *configurations {
	for _, condition := range c.conditions() {
		if condition.Name == match.ConditionName {
			condition.Expression = ""
		}
	}
	for _, meta := range []*metav1.ObjectMeta{&c.Validating.ObjectMeta, &c.Mutating.ObjectMeta} {
		meta.ResourceVersion, meta.Generation, meta.ManagedFields = "", 0, nil
	}
	return c
}

// asking counts the webhooks that ask about the key, and all that could.
func (c *configurations) asking(key string) (having, all int) {
	for _, condition := range c.conditions() {
		if condition.Name == match.ConditionName {
			all++
			if strings.Contains(condition.Expression, "'"+key+"'") {
				having++
			}
		}
	}
	return having, all
}

func (c *configurations) asksAbout(key string) bool {
	having, all := c.asking(key)
	return having == all && all == 2
}

// asked reports whether the API server asks the validating webhook, where nobody listens, about a new namespace with the label.
func (s *suite) asked(t *testing.T, key string) bool {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "asked", Labels: map[string]string{key: "x"}}}
	err := s.Client.Create(t.Context(), namespace, client.DryRunAll)
	if err != nil && !strings.Contains(err.Error(), "failed calling webhook") {
		t.Fatal(err)
	}
	return err != nil
}

// asked asks about label keys only.
func asked(keys ...string) match.Scope { return match.Scope{Keys: keys} }

func (s *suite) ensure(t *testing.T) {
	ctx := t.Context()
	s.must(t, s.InstallWebhooks(ctx))
	before := s.configurations(t)
	// What a person adds, in front of ours too.
	own := admissionregistrationv1.MatchCondition{Name: "not-robots", Expression: "!request.userInfo.username.startsWith('robot')"}
	for i := range before.Validating.Webhooks {
		before.Validating.Webhooks[i].MatchConditions = slices.Insert(before.Validating.Webhooks[i].MatchConditions, 0, own)
	}
	before.Mutating.Webhooks[0].MatchConditions = append(before.Mutating.Webhooks[0].MatchConditions, own)
	before.Mutating.Annotations = map[string]string{"a-person": "was here"}
	s.must(t, s.Client.Update(ctx, &before.Validating))
	s.must(t, s.Client.Update(ctx, &before.Mutating))

	first, second := s.newReplica(t, nil), s.newReplica(t, nil)
	s.must(t, first.EnsureKeys(ctx, asked("team", "example.com/zone")))
	after := s.configurations(t)
	if !after.asksAbout("team") || !after.asksAbout("example.com/zone") || !after.asksAbout("istio-discovery") {
		t.Errorf("the conditions do not have all keys: %v", after.conditions())
	}
	if got := first.writes(t); got != 2 {
		t.Errorf("the first replica wrote %v times, want once for each configuration", got)
	}
	for range 3 {
		s.must(t, first.EnsureKeys(ctx, asked("team")))
		s.must(t, second.EnsureKeys(ctx, asked("example.com/zone", "team", "istio.io/rev")))
	}
	if first.writes(t) != 2 || second.writes(t) != 0 {
		t.Errorf("the first replica wrote %v times, the second %v; want 2 and 0", first.writes(t), second.writes(t))
	}
	if diff := cmp.Diff(after, s.configurations(t)); diff != "" {
		t.Errorf("the keys were there, and yet something changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(before.withoutKeys(), after.withoutKeys()); diff != "" {
		t.Errorf("more than the keys has changed (-before +after):\n%s", diff)
	}
	eventually(t, soon, "a namespace with the key is asked about", func() bool { return s.asked(t, "team") })
	if s.asked(t, "unrelated") {
		t.Error("a namespace with another label is asked about")
	}
}

// forgetDeletions has the API server no longer ask about deleted Istios: nobody answers here.
func (s *suite) forgetDeletions(t *testing.T) {
	t.Helper()
	configuration := &s.configurations(t).Validating
	if name := configuration.Webhooks[0].Name; name != "istio.validate.meshfence.io" {
		t.Fatalf("the first webhook is %s", name)
	}
	operations := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/webhooks/0/rules/0/operations","value":["CREATE","UPDATE"]}]`))
	s.must(t, s.Client.Patch(t.Context(), configuration, operations))
	s.must(t, s.WaitWebhooks(t.Context()))
}

func (s *suite) upkeep(t *testing.T) {
	ctx := t.Context()
	zone := istio("a", "zone")
	s.create(t, zone)
	pass := func(o *cluster.Options) { o.NarrowEvery = 300 * time.Millisecond }
	first, second := s.newReplica(t, pass), s.newReplica(t, pass)
	s.must(t, first.EnsureKeys(ctx, asked("not-there-yet"))) // no configuration: nothing to do

	writes := func() float64 { return first.writes(t) + second.writes(t) }
	wantKey := func(limit time.Duration, when, key string, want bool) {
		t.Helper()
		eventually(t, limit, fmt.Sprintf("%s: asked about %s: %t", when, key, want), func() bool {
			having, all := s.configurations(t).asking(key)
			return all == 2 && having == map[bool]int{true: all, false: 0}[want]
		})
	}
	s.must(t, s.InstallWebhooks(ctx))
	wantKey(soon, "installed", "zone", true)
	wantKey(soon, "installed", "mesh", true)
	s.must(t, s.InstallWebhooks(ctx))
	wantKey(heals, "installed again with the manifests' keys", "zone", true)

	s.edit(t)
	wantKey(heals, "edited by a person", "zone", true)
	eventually(t, heals, "edited by a person: a namespace with zone is asked about", func() bool { return s.asked(t, "zone") })

	s.forgetDeletions(t)
	s.must(t, s.Client.Delete(ctx, zone))
	wantKey(soon+heals, "the mesh is gone", "zone", false)
	eventually(t, soon, "the mesh is gone: a namespace with zone is no longer asked about", func() bool { return !s.asked(t, "zone") })
	wantKey(soon, "the mesh is gone", "istio-discovery", true)
	s.must(t, first.EnsureKeys(ctx, asked("ensured")))
	if !s.configurations(t).asksAbout("ensured") {
		t.Error("ensured, but not asked about")
	}
	wantKey(heals, "ensured, and no mesh came", "ensured", false)

	// Both replicas look several times more, and find nothing to do.
	second.wantMeshes(t, soon, "deleted")
	settled := -1.0 // a write is counted a moment after it can be seen
	eventually(t, soon, "the replicas have come to rest", func() bool {
		before := settled
		settled = writes()
		return before == settled
	})
	stored := s.configurations(t)
	s.stays(t, 5*300*time.Millisecond, "no replica writes", func() bool { return writes() == settled })
	if diff := cmp.Diff(stored, s.configurations(t)); diff != "" {
		t.Errorf("the replicas do not agree (-before +after):\n%s", diff)
	}
}

// edit gives what is meshfence's to write an expression that is not meshfence's.
func (s *suite) edit(t *testing.T) {
	t.Helper()
	s.must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		edited := s.configurations(t)
		for _, condition := range edited.conditions() {
			if condition.Name == match.ConditionName {
				condition.Expression = "false"
			}
		}
		if err := s.Client.Update(t.Context(), &edited.Mutating); err != nil {
			return err
		}
		return s.Client.Update(t.Context(), &edited.Validating)
	}))
}

// stays fails the test if the condition ceases to hold within the time.
func (s *suite) stays(t *testing.T, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !condition() {
			t.Fatalf("no longer true: %s", what)
		}
	}
}

func (s *suite) manyKeys(t *testing.T) {
	ctx := t.Context()
	s.must(t, s.InstallWebhooks(ctx))
	r := s.newReplica(t, nil)
	keys := func(from, to int) []string {
		var list []string
		for i := from; i < to; i++ {
			list = append(list, fmt.Sprintf("discovery.example.com/a-long-label-key-number-%d", i))
		}
		return list
	}
	s.must(t, r.EnsureKeys(ctx, asked(keys(0, 900)...)))
	if after := s.configurations(t); !after.asksAbout(keys(0, 1)[0]) || !after.asksAbout(keys(899, 900)[0]) {
		t.Error("the conditions do not have 900 keys")
	}
	eventually(t, soon, "a namespace with one of 900 keys is asked about", func() bool { return s.asked(t, keys(450, 451)[0]) })
	if s.asked(t, "unrelated") {
		t.Error("with 900 keys, a namespace with another label is asked about")
	}

	s.must(t, r.EnsureKeys(ctx, asked(keys(900, 3000)...)))
	list := regexp.MustCompile(`discovery\.example\.com`)
	for _, condition := range s.configurations(t).conditions() {
		if list.MatchString(condition.Expression) {
			t.Errorf("3000 keys are still listed: %.100s", condition.Expression)
		}
	}
	eventually(t, soon, "any label is asked about", func() bool { return s.asked(t, "unrelated") && s.asked(t, keys(2000, 2001)[0]) })
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	s.must(t, s.Client.Patch(ctx, namespace, patch(`{"metadata":{"annotations":{"a":"b"}}}`), client.DryRunAll))
	if err := s.Client.Patch(ctx, namespace, patch(`{"metadata":{"labels":{"a":"b"}}}`), client.DryRunAll); err == nil {
		t.Error("a new label is not asked about")
	}
}
