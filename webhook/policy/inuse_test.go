package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// apps are namespaces, each "NAME: LABELS"; one that is being deleted is "NAME (deleting): LABELS".
func apps(t testing.TB, lines ...string) []mesh.Namespace {
	t.Helper()
	var all []mesh.Namespace
	for _, line := range lines {
		name, text, _ := strings.Cut(line, ":")
		name, deleting := strings.CutSuffix(name, " (deleting)")
		ns := namespace(t, name, text)
		ns.Deleting = deleting
		all = append(all, *ns)
	}
	return all
}

// afterWay does what the way out of a remedy that begins with these words says: each of its commands must be admitted in
// the fleet, for each namespace. It returns the namespaces as they are then.
func afterWay(t *testing.T, f policy.Finding, begins string, fleet *mesh.Fleet, namespaces []mesh.Namespace) []mesh.Namespace {
	t.Helper()
	ways := waysThat(f.Ways, begins)
	if len(ways) == 0 {
		t.Fatalf("no %q in: %q", begins, f.Ways)
	}
	after := slices.Clone(namespaces)
	commands := commandsForAll(ways[:1])
	if len(commands) == 0 {
		t.Errorf("no command after %q in: %q", begins, f.Ways)
	}
	judge := policy.New(settings())
	for _, command := range commands {
		for _, name := range command.namespaces {
			i := slices.IndexFunc(after, func(ns mesh.Namespace) bool { return ns.Name == name })
			changed, err := kubectlLabel(after[i].Labels, command.arguments)
			if err != nil {
				t.Fatalf("kubectl refuses %q: %v", command.arguments, err)
			}
			updated := &mesh.Namespace{Name: name, Labels: changed}
			if verdict := judge.Namespace(policy.NamespaceChange{Old: &after[i], New: updated, Fleet: fleet, Now: now}); verdict.Answer != policy.Allowed {
				t.Errorf("%q of %q: %s", command.arguments, name, outcome(verdict))
			}
			after[i] = *updated
		}
	}
	return after
}

// stored is the fleet before the change, and wanted the one with it.
func (c meshCase) stored(t *testing.T) *mesh.Fleet {
	t.Helper()
	return mesh.NewFleet(objects(t, c.others...).With(controlPlane(t, c.from)))
}

func (c meshCase) wanted(t *testing.T) *mesh.Fleet {
	t.Helper()
	if c.to == "" {
		old := controlPlane(t, c.from)
		return mesh.NewFleet(withoutMesh(objects(t, c.others...), mesh.Ref{Kind: old.Kind, Name: old.Metadata.Name}))
	}
	return mesh.NewFleet(objects(t, c.others...).With(controlPlane(t, c.to)))
}

// finding returns the finding of a rule, which there must be.
func finding(t *testing.T, verdict policy.Verdict, code policy.Code) policy.Finding {
	t.Helper()
	all := slices.Concat(verdict.Denials, verdict.Warnings)
	i := slices.IndexFunc(all, func(f policy.Finding) bool { return f.Rule.Code == code })
	if i < 0 {
		t.Fatalf("no %s: %s", code, outcome(verdict))
	}
	return all[i]
}
