package policy_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// owned are the managers of a label, and whether they applied it on the server's side.
type owned map[string]bool

// object is what the API server stores of the namespace app, as far as it matters here. What tools do to it is observed on a real
// one by test/facts (managers_test.go) and test/answers (tools_test.go).
type object struct {
	labels map[string]string
	owners map[string]owned // by label
	filled string           // the annotation meshfence.io/filled-revision
	// lastApplied are the labels in the annotation of client-side applies, nil if there is none.
	lastApplied map[string]string
	// annotator made the map of annotations, "" if meshfence did.
	annotator string
	// rewritten says that the request writes the namespace whole.
	rewritten bool
}

func (o object) clone() object {
	o.labels, o.owners = maps.Clone(o.labels), maps.Clone(o.owners)
	for key, managers := range o.owners {
		o.owners[key] = maps.Clone(managers)
	}
	return o
}

// write sets a label, or removes it if the value is "". The manager owns what it changes; one that applies on the server's side
// also what it finds.
func (o object) write(manager string, applies bool, key, value string) {
	switch had := o.labels[key]; {
	case value == "":
		delete(o.labels, key)
		delete(o.owners, key)
	case had != value:
		o.labels[key], o.owners[key] = value, owned{manager: applies}
	case applies:
		if o.owners[key] == nil {
			o.owners[key] = owned{}
		}
		o.owners[key][manager] = true
	}
}

// tool changes a namespace, given the labels that a repository has, which never have istio.io/rev.
type tool struct {
	name string
	use  func(o *object, random *rand.Rand, wanted map[string]string)
}

func tools() []tool {
	return []tool{
		{"kubectl label", func(o *object, random *rand.Rand, wanted map[string]string) {
			for key, value := range wanted {
				o.write("kubectl-label", false, key, value)
			}
			for _, key := range slices.Sorted(maps.Keys(o.labels)) {
				if _, kept := wanted[key]; !kept && key != mesh.RevisionLabel && random.IntN(2) == 0 {
					o.write("kubectl-label", false, key, "")
				}
			}
		}},
		{"kubectl patch", func(o *object, random *rand.Rand, wanted map[string]string) {
			keys := slices.Sorted(maps.Keys(wanted))
			if len(keys) > 0 {
				key := keys[random.IntN(len(keys))]
				o.write("kubectl-patch", false, key, wanted[key])
			}
		}},
		{"kubectl patch --subresource=status, which writes labels too", func(o *object, random *rand.Rand, wanted map[string]string) {
			for _, c := range repository() {
				if value := wanted[c.key]; random.IntN(2) == 0 {
					o.write("kubectl-patch-status", false, c.key, value)
				}
			}
		}},
		{"kubectl label istio.io/rev-", func(o *object, _ *rand.Rand, _ map[string]string) {
			o.write("kubectl-label", false, mesh.RevisionLabel, "")
		}},
		{"kubectl replace, Argo CD with Replace=true", func(o *object, _ *rand.Rand, wanted map[string]string) {
			for key := range o.labels {
				if _, kept := wanted[key]; !kept {
					o.write("kubectl-replace", false, key, "")
				}
			}
			for key, value := range wanted {
				o.write("kubectl-replace", false, key, value)
			}
			o.filled, o.lastApplied, o.annotator, o.rewritten = "", nil, "", true
		}},
		{"kubectl apply", clientSide("kubectl-client-side-apply")},
		{"Argo CD", clientSide("argocd-controller")},
		{"kubectl apply --server-side", serverSide("kubectl")},
		{"Argo CD with ServerSideApply=true", serverSide("argocd-controller")},
		{"Flux", serverSide("kustomize-controller")},
		{"something that removes other annotations than its own", func(o *object, _ *rand.Rand, _ map[string]string) { o.filled = "" }},
	}
}

// creates reports whether it is the first of the five tools that can create a namespace.
func creates(t tool) bool { return t.name == "kubectl apply" }

// clientSide merges three ways: what was applied last and is not wanted any more goes.
func clientSide(manager string) func(*object, *rand.Rand, map[string]string) {
	return func(o *object, _ *rand.Rand, wanted map[string]string) {
		for key := range o.lastApplied {
			if _, kept := wanted[key]; !kept {
				o.write(manager, false, key, "")
			}
		}
		for key, value := range wanted {
			o.write(manager, false, key, value)
		}
		if o.lastApplied == nil && o.filled == "" {
			o.annotator = manager
		}
		o.lastApplied = wanted
	}
}

// serverSide gives up what the manager owned and does not want any more. One that has made the map of annotations on the client's
// side, and has none, removes it whole.
func serverSide(manager string) func(*object, *rand.Rand, map[string]string) {
	return func(o *object, _ *rand.Rand, wanted map[string]string) {
		for key, managers := range o.owners {
			if _, kept := wanted[key]; kept {
				continue
			}
			if _, owns := managers[manager]; owns {
				if delete(managers, manager); len(managers) == 0 {
					o.write(manager, true, key, "")
				}
			}
		}
		for key, value := range wanted {
			o.write(manager, true, key, value)
		}
		if o.annotator == manager {
			o.filled, o.lastApplied, o.annotator = "", nil, ""
		}
	}
}

// repository are the labels that a manifest can have.
func repository() []choice {
	return []choice{
		{"istio-discovery", []string{"mesh-1", "mesh-1", "mesh-2", "mesh-3"}},
		{"mesh", []string{"mesh-2"}},
		{"team", []string{"a", "b"}},
		{mesh.InjectionLabel, []string{"enabled", "disabled"}},
		{mesh.DataplaneModeLabel, []string{"ambient"}},
	}
}

// manifest has nearly always a discovery label, and others seldom.
func manifest(random *rand.Rand) map[string]string {
	wanted := map[string]string{}
	for _, c := range repository() {
		if often := c.key == "istio-discovery"; often == (random.IntN(6) > 0) {
			wanted[c.key] = c.values[random.IntN(len(c.values))]
		}
	}
	return wanted
}

// tidyFleet is a cluster whose meshes are apart, with all that decides about filling in.
func tidyFleet(random *rand.Rand) []string {
	pick := func(choices ...string) string { return choices[random.IntN(len(choices))] }
	lines := []string{
		"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1" + pick("", " | mesh=mesh-1", ",team=a") + pick("", "; RevisionBased; version v1.30.0", "; fill false"),
		"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2" + pick("", ",team notin (b)") + pick("", "; profile ambient", "; RevisionBased; version v1.30.0"),
		pick("Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3", "Istio mesh-3; in istio-system-3; profile remote", "Istio gateway; in openshift-ingress; bundle own",
			"Istio default; in istio-system; injects-by-default; selects istio-discovery=default",
			"Istio "+strings.Repeat("long", 14)+"; in istio-system-3; RevisionBased; version v1.30.0; selects istio-discovery=mesh-3",
			"Istio mesh-3; in istio-system-3; selects mesh=mesh-2; overlaps mesh-1,mesh-2"),
		pick("IstioRevisionTag default; targets Istio mesh-1", "IstioRevisionTag stable; targets Istio mesh-1", "IstioRevisionTag stable; targets Istio mesh-2"),
	}
	return append(lines, pick("map", "map", "map mesh-1=mesh-1", "map mesh-2=mesh-2", "map mesh-1=mesh-2", "map mesh-2=stable mesh-3=mesh-3"))
}

// managed is a namespace that tools change, in a cluster with meshfence.
type managed struct {
	fleet  *mesh.Fleet
	policy *policy.Policy
	stored *object
}

func (o *object) namespace() *mesh.Namespace {
	if o == nil {
		return nil
	}
	labels := maps.Clone(o.labels)
	labels[mesh.NameLabel] = "app"
	return &mesh.Namespace{Name: "app", Labels: labels}
}

func (o *object) origin() policy.Origin {
	if o == nil {
		return policy.Origin{}
	}
	origin := policy.Origin{Filled: o.filled, Owner: policy.NoOwner}
	if len(o.owners[mesh.RevisionLabel]) > 0 {
		origin.Owner = policy.SomeOwner
	}
	return origin
}

// request has meshfence change and judge what a tool has made, and stores it if it is admitted. because says that the request is
// refused because of istio.io/rev: without the label it would be admitted.
func (m *managed) request(made object) (because string) {
	old, updated := m.stored.namespace(), made.namespace()
	if m.asked(old, updated) {
		fill := m.policy.Fill(policy.FillChange{Old: old, New: updated, Before: m.stored.origin(), After: made.origin(), Rewritten: made.rewritten, Fleet: m.fleet})
		switch fill.Answer {
		case policy.LeaveAlone:
		case policy.Add, policy.Replace:
			made.labels[mesh.RevisionLabel], made.filled = fill.Revision, fill.Revision
			delete(made.owners, mesh.RevisionLabel)
		case policy.Remove:
			delete(made.labels, mesh.RevisionLabel)
			delete(made.owners, mesh.RevisionLabel)
			made.filled = ""
		}
	}
	verdict := m.judge(old, made.namespace())
	if verdict.Answer == policy.Allowed {
		made.rewritten = false
		m.stored = &made
		return ""
	}
	without := made.clone()
	delete(without.labels, mesh.RevisionLabel)
	if m.judge(old, without.namespace()).Answer == policy.Allowed {
		return outcome(verdict)
	}
	return ""
}

func (m *managed) judge(old, updated *mesh.Namespace) policy.Verdict {
	return m.policy.Namespace(policy.NamespaceChange{Old: old, New: updated, Fleet: m.fleet, Now: now})
}

// asked reports whether the mutating webhook is called, as package match has it.
func (m *managed) asked(old, updated *mesh.Namespace) bool {
	if old == nil {
		return true
	}
	keys := slices.Concat(settings().DiscoveryLabels, m.fleet.SelectorKeys(), []string{mesh.RevisionLabel, mesh.InjectionLabel, mesh.DataplaneModeLabel})
	return slices.ContainsFunc(keys, func(key string) bool {
		before, had := old.Labels[key]
		after, has := updated.Labels[key]
		return had != has || before != after
	})
}

// right reports whether istio.io/rev is absent, or what a fresh namespace with the other labels would get, or, where those lead to
// several meshes and a fresh one would get none, the revision that it had in one of them.
func (m *managed) right() bool {
	revision, present := m.stored.labels[mesh.RevisionLabel]
	fresh := m.stored.namespace()
	delete(fresh.Labels, mesh.RevisionLabel)
	fill := m.policy.Fill(policy.FillChange{New: fresh, Fleet: m.fleet})
	if !present || fill.Revision == revision {
		return true
	}
	return fill.Answer == policy.LeaveAlone && slices.ContainsFunc(m.fleet.Injecting(m.stored.labels), func(injects *mesh.Mesh) bool {
		return slices.ContainsFunc(injects.Sources[0].Terms, func(t mesh.Term) bool { return t.Selector.AsksForLabel() && t.Selector.Matches(fresh.Labels) })
	})
}

// Whatever tools do with a manifest that never mentions istio.io/rev, no request is refused because of it, and it is right
// after every request.
func TestToolsThatNeverWriteTheRevisionAreNeverRefusedBecauseOfIt(t *testing.T) {
	const fleets, sequences, steps = 150, 12, 12
	random := rand.New(rand.NewPCG(7, 8))
	admitted, present := 0, 0
	for i := range fleets {
		lines := tidyFleet(random)
		if i%3 == 0 {
			lines = randomFleet(random)
		}
		m := &managed{fleet: fleet(t, lines...), policy: policy.New(settings())}
		for range sequences {
			m.stored = nil
			var story []string
			for range steps {
				made, use := m.next(random)
				story = append(story, fmt.Sprintf("%s: %q", use, labelText(made.labels)))
				before := m.stored
				if because := m.request(made); because != "" || m.stored != nil && !m.right() {
					t.Fatalf("%s; stored %q\n\t%s\nin\n\t%s", because, labelText(m.stored.labels), strings.Join(story, "\n\t"), strings.Join(lines, "\n\t"))
				}
				if m.stored != before {
					admitted++
				}
				if m.stored != nil && m.stored.labels[mesh.RevisionLabel] != "" {
					present++
				}
			}
		}
	}
	if t.Logf("%d changes, %d with istio.io/rev in the end", admitted, present); present < admitted/10 {
		t.Error("too few: the test does not show much")
	}
}

// next is what a random tool makes of the namespace, with a random manifest.
func (m *managed) next(random *rand.Rand) (object, string) {
	wanted := manifest(random)
	if m.stored == nil {
		made := object{labels: map[string]string{}, owners: map[string]owned{}}
		first := tools()[slices.IndexFunc(tools(), creates)+random.IntN(5)] // one that can create
		first.use(&made, random, wanted)
		return made, "created by " + first.name
	}
	made, use := m.stored.clone(), tools()[random.IntN(len(tools()))]
	use.use(&made, random, wanted)
	return made, use.name
}
