package policy_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// What the remedies about meshes ask for.
var (
	patchCommand   = regexp.MustCompile(`: kubectl patch (istios|istiorevisions)\.sailoperator\.io (\S+) --type=merge -p '(.*)'$`)
	manifestLines  = regexp.MustCompile(`give it a selector of its own: (spec: .*)$`)
	addExpression  = regexp.MustCompile(`keep them apart by one more item of matchExpressions in \S*discoverySelectors\[(\d+)\] of .*: (\{.*\})$`)
	otherExample   = regexp.MustCompile(`choose another one for \S*discoverySelectors\[(\d+)\], for example: (\{.*\})$`)
	revisionToGo   = regexp.MustCompile(`the selector is that of the older IstioRevision "(\S+)"`)
	revisionToWait = regexp.MustCompile(`the selector is the old one of the active IstioRevision "(\S+)"`)
)

// follower is a person who does what the remedies say, to the letter, until the request is admitted.
type follower struct {
	t       *testing.T
	stored  mesh.Objects
	request *sail.ControlPlane
	update  *sail.ControlPlane // the stored object that the request changes, or nil
}

func (f *follower) judge(old, updated *sail.ControlPlane) policy.Verdict {
	ref := mesh.Ref{Kind: updated.Kind, Name: updated.Metadata.Name}
	before := f.stored
	if old != nil {
		before = before.With(old)
	}
	return policy.New(settings()).Mesh(meshChange(before, f.stored.With(updated), ref))
}

// follow does what one remedy says; it returns false if that needs a person's own thought.
func (f *follower) follow(ways []policy.Way) bool {
	list := &f.request.Spec.Values.MeshConfig.DiscoverySelectors
	if overlap := slices.IndexFunc(ways, func(way policy.Way) bool { return strings.HasPrefix(way.Label, "declare the overlap") }); overlap >= 0 {
		ways = ways[:overlap] // the ways out by other selectors come first
	}
	remedy := ""
	if len(ways) > 0 {
		last := ways[len(ways)-1]
		remedy = last.Label
		if n := len(last.Commands); n > 0 {
			remedy += ": " + last.Commands[n-1]
		}
	}
	switch {
	case patchCommand.MatchString(remedy):
		match := patchCommand.FindStringSubmatch(remedy)
		f.patch(match[1], match[2], match[3])
	case manifestLines.MatchString(remedy):
		f.merge(f.request, manifestLines.FindStringSubmatch(remedy)[1])
	case addExpression.MatchString(remedy):
		match := addExpression.FindStringSubmatch(remedy)
		var r metav1.LabelSelectorRequirement
		f.unmarshal(match[2], &r)
		item := (*list)[f.number(match[1])].DeepCopy()
		item.MatchExpressions = append(item.MatchExpressions, r)
		f.replace(f.number(match[1]), item)
	case otherExample.MatchString(remedy):
		match := otherExample.FindStringSubmatch(remedy)
		var item metav1.LabelSelector
		f.unmarshal(match[2], &item)
		f.replace(f.number(match[1]), &item)
	case revisionToGo.MatchString(remedy):
		f.removeRevision(revisionToGo.FindStringSubmatch(remedy)[1])
	case revisionToWait.MatchString(remedy):
		f.removeRevision(revisionToWait.FindStringSubmatch(remedy)[1])
	default:
		return false
	}
	return true
}

// patch runs a command: against the request if it is about the same object, else against a stored one, which must be
// admitted at once.
func (f *follower) patch(resource, name, text string) {
	list, kind := f.stored.Istios, sail.KindIstio
	if resource == "istiorevisions" {
		list, kind = f.stored.Revisions, sail.KindIstioRevision
	}
	if kind == f.request.Kind && name == f.request.Metadata.Name {
		f.merge(f.request, text)
		return
	}
	i := slices.IndexFunc(list, func(cp *sail.ControlPlane) bool { return cp.Metadata.Name == name })
	if i < 0 {
		f.t.Fatalf("the command is about %s %q, which does not exist", kind, name)
	}
	patched := *list[i]
	f.merge(&patched, text)
	if verdict := f.judge(list[i], &patched); verdict.Answer != policy.Allowed {
		f.t.Errorf("the command is refused itself: %s", verdict.Denials[0].Message())
	}
	f.stored = f.stored.With(&patched)
}

// merge sets the selectors that a manifest or a merge patch has.
func (f *follower) merge(into *sail.ControlPlane, text string) {
	var patch sail.ControlPlane
	f.unmarshal(text, &patch)
	into.Spec.Values.MeshConfig.DiscoverySelectors = patch.Spec.Values.MeshConfig.DiscoverySelectors
}

func (f *follower) replace(i int, item *metav1.LabelSelector) {
	list := slices.Clone(f.request.Spec.Values.MeshConfig.DiscoverySelectors)
	list[i] = item
	f.request.Spec.Values.MeshConfig.DiscoverySelectors = list
}

func (f *follower) removeRevision(name string) {
	f.stored.Revisions = slices.DeleteFunc(slices.Clone(f.stored.Revisions), func(cp *sail.ControlPlane) bool {
		return cp.Metadata.Name == name
	})
}

func (f *follower) unmarshal(text string, into any) {
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		f.t.Fatalf("%s: %v", text, err)
	}
}

func (f *follower) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// admitted follows the first remedy of each refusal. It returns how many it took, and false if one needs thought.
func (f *follower) admitted(limit int) (steps int, ok bool) {
	for steps = range limit {
		verdict := f.judge(f.update, f.request)
		if verdict.Answer == policy.Allowed {
			return steps, true
		}
		if !f.follow(verdict.Denials[0].Ways) {
			return steps, false
		}
	}
	f.t.Errorf("still refused after %d remedies: %s", limit, f.judge(f.update, f.request).Denials[0].Message())
	return limit, false
}

// randomSelectors are one or two of a few that overlap in every way, with an invalid one only where that is stored already.
func randomSelectors(random *rand.Rand, stored bool) string {
	choices := []string{
		"istio-discovery=mesh-1", "istio-discovery=mesh-2", "istio-discovery in (mesh-1,mesh-2)", "istio-discovery",
		"istio-discovery=mesh-1,team=a", "team=a", "team in (a,b)", "!istio-discovery", "team notin (a)", "null", "{}",
	}
	if stored {
		choices = append(choices, "raw team in a")
	}
	list := choices[random.IntN(len(choices))]
	if random.IntN(2) == 0 {
		list += " | " + choices[random.IntN(len(choices))]
	}
	return list
}

func TestIfAMeshIsRefusedThenFollowingTheRemediesToTheLetterGetsItAdmitted(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	const rounds = 500
	followed, thought := 0, 0
	for range rounds {
		lines := []string{
			"Istio mesh-1; in istio-system-1; selects " + randomSelectors(random, true),
			"Istio mesh-2; in istio-system-2; RevisionBased; version v1.30.0; selects " + randomSelectors(random, true),
		}
		if random.IntN(3) == 0 {
			lines = append(lines, "IstioRevision mesh-2-v1-29-0; of mesh-2; in istio-system-2; selects "+randomSelectors(random, true))
		}
		if random.IntN(3) == 0 {
			lines = append(lines, "IstioRevision mesh-1; of mesh-1; in istio-system-1; selects "+randomSelectors(random, true))
		}
		f := &follower{t: t, stored: objects(t, lines...)}
		if request := "selects " + randomSelectors(random, false); random.IntN(2) == 0 {
			f.request = controlPlane(t, "Istio mesh-3; in istio-system-3; "+request)
		} else {
			f.update, f.request = f.stored.Istios[0], controlPlane(t, "Istio mesh-1; in istio-system-1; "+request)
		}
		lines = append(lines, fmt.Sprintf("asked for: %v", f.request.Spec.Values.MeshConfig.DiscoverySelectors))
		steps, ok := f.admitted(20)
		if followed += steps; !ok {
			thought++
		}
		if t.Failed() {
			t.Fatalf("in\n\t%s", strings.Join(lines, "\n\t"))
		}
	}
	t.Logf("%d remedies followed; %d requests needed thought", followed, thought)
	if thought > rounds/7 { // a command is given only where it is enough by itself
		t.Errorf("%d of %d requests needed thought: the remedies help too rarely", thought, rounds)
	}
}
