package fleet

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/cluster"
)

func (s *suite) reconfigured(t *testing.T) {
	ctx := t.Context()
	s.must(t, s.InstallWebhooks(ctx))
	maps := map[string]*corev1.ConfigMap{}
	for _, name := range []string{"first", "second"} {
		maps[name] = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ownNamespace, Name: name}, Data: map[string]string{"mesh-1": name}}
		s.create(t, maps[name])
	}
	r := s.newReplica(t, func(o *cluster.Options) { o.MeshMap, o.NarrowEvery = "first", 300*time.Millisecond })
	wantMap := func(when, want string) {
		t.Helper()
		eventually(t, soon, fmt.Sprintf("%s: the fleet maps mesh-1 to %q", when, want), func() bool {
			got, _ := r.Fleet().Mapped("mesh-1")
			return got == want
		})
		objects, err := r.Live(ctx)
		s.must(t, err)
		if got := objects.Map["mesh-1"]; got != want {
			t.Errorf("%s: a live read maps mesh-1 to %q, want %q", when, got, want)
		}
		s.must(t, r.Ready(nil))
	}
	wantMap("at the start", "first")

	r.Reconfigure("second", []string{"team"})
	wantMap("another name", "second")
	eventually(t, soon, "the new discovery label is asked about", func() bool { return s.configurations(t).asksAbout("team") })
	eventually(t, heals, "the old ones are no longer asked about", func() bool {
		having, _ := s.configurations(t).asking("istio-discovery")
		return having == 0
	})
	if !s.configurations(t).asksAbout("team") {
		t.Error("the new discovery label is no longer asked about")
	}
	s.must(t, s.Client.Patch(ctx, maps["first"], patch(`{"data":{"mesh-1":"no-longer-read"}}`)))
	s.must(t, s.Client.Patch(ctx, maps["second"], patch(`{"data":{"mesh-1":"changed"}}`)))
	wantMap("the other one changes", "changed")
	r.Reconfigure("third", nil)
	wantMap("a name that nothing has", "")
	s.create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ownNamespace, Name: "third"}, Data: map[string]string{"mesh-1": "third"}})
	wantMap("now something has it", "third")
}
