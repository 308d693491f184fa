package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// secret stands in everything that is known of objects and that answers about others must not show.
const secret = "sEcReT"

// keepSecrets puts it there: into what no rule is about.
func keepSecrets(objects mesh.Objects) mesh.Objects {
	for _, list := range [][]*sail.ControlPlane{objects.Istios, objects.Revisions} {
		for _, cp := range list {
			hide(&cp.Metadata)
			cp.Spec.Values.Pilot.Env.ClusterTrustBundle, cp.Spec.Values.Global.ResourceScope = secret, "all"
		}
	}
	for _, tag := range objects.Tags {
		hide(&tag.Metadata)
	}
	return objects
}

func hide(m *sail.Meta) {
	m.UID, m.ResourceVersion, m.GenerateName = secret, secret, secret
	if m.Annotations == nil {
		m.Annotations = map[string]string{}
	}
	m.Annotations["example.com/"+secret] = secret
	for i := range m.OwnerReferences {
		m.OwnerReferences[i].UID = secret
	}
}

// keepLabels gives namespaces labels and values that no selector asks for.
func keepLabels(namespaces []mesh.Namespace) []mesh.Namespace {
	for i := range namespaces {
		namespaces[i].Labels["example.com/"+secret] = secret
	}
	return namespaces
}

func TestNoAnswerShowsWhatIsNotJudgedOfOtherObjects(t *testing.T) {
	judge := policy.New(settings())
	var verdicts []policy.Verdict
	for _, lines := range [][]string{busy(), guide()} {
		stored := keepSecrets(objects(t, lines...))
		fleet := mesh.NewFleet(stored)
		for _, labels := range []string{"istio-discovery=mesh-1 istio.io/rev=mesh-2", "istio-discovery=mesh-1 env=dev", "istio-injection=enabled", "team=a env=dev istio.io/rev=stable"} {
			namespaces := keepLabels(numbered(t, 12, labels))
			for _, m := range fleet.Meshes() {
				for _, spec := range []string{"selects istio-discovery=mesh-1", "selects {}", "selects team=z", "selects raw team In", "selects istio-discovery | team; version v1.20.0; injects-by-default"} {
					updated := controlPlane(t, m.Kind+" "+m.Name+"; in istio-system-1; "+spec)
					change := meshChange(stored, stored.With(updated), m.Ref)
					change.Namespaces = namespaces
					verdicts = append(verdicts, judge.Mesh(change))
					change.Before, change.Old = mesh.NewFleet(stored.Without(m.Ref)), nil
					verdicts = append(verdicts, judge.Mesh(change))
				}
				gone := meshChange(stored, stored.Without(m.Ref), m.Ref)
				gone.Namespaces, gone.Removing = namespaces, true
				verdicts = append(verdicts, judge.Mesh(gone))
			}
			verdicts = append(verdicts, judge.Namespace(policy.NamespaceChange{New: namespace(t, "app", labels), Fleet: fleet, Now: now}))
			for _, target := range []string{"Istio mesh-1", "Istio mesh-2", "IstioRevision canary", "Istio nobody"} {
				tag := tagNamed(t, "IstioRevisionTag stable; targets "+target)
				verdicts = append(verdicts, judge.Tag(policy.TagChange{
					New: mesh.TagOf(tag), Before: fleet, Fleet: mesh.NewFleet(stored.WithTag(tag)), Namespaces: namespaces, Now: now,
				}))
			}
		}
		entries := meshMap(map[string]string{"mesh-1": "mesh-2", "mesh-3": "nobody", "-x": ""})
		verdicts = append(verdicts, judge.Map(policy.MapChange{New: entries, Fleet: fleet}))
	}
	codes := map[policy.Code]bool{}
	for _, v := range verdicts {
		whole, others := v.Told()
		for _, f := range slices.Concat(whole, v.Warnings, v.Untold) {
			codes[f.Rule.Code] = true
			if text := fmt.Sprint(f.Message(), f.Field, f.Subjects); strings.Contains(text, secret) {
				t.Errorf("shown: %s", text)
			}
		}
		if text := fmt.Sprint(others, v.Notes, v.WarningLines("")); strings.Contains(text, secret) {
			t.Errorf("shown: %s", text)
		}
	}
	if len(codes) < 18 {
		t.Errorf("only %d rules had something to say", len(codes))
	}
}
