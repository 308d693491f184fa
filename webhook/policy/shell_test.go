package policy_test

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// shellFunctions stand for the programs in commands. An option that deletes all objects is the harm that a name can do without any quotes.
const shellFunctions = `run() { for word; do case "$word" in --all*) echo "an option: $word";; esac; done; }
kubectl() { cat > /dev/null; run "$@"; }
helm() { run "$@"; }
`

// hostile is a cluster in which all that can be a text from elsewhere is NAME: files have not been seen by an API server, and annotations
// are free.
func hostile(name string) []string {
	lines := []string{
		"Istio NAME1; in NAME-system; version v1.30.0; selects istio-discovery=mesh-1 | team=a",
		"Istio NAME2; in NAME-system; version v1.30.0NAME; selects istio-discovery=mesh-1 | env in (dev,test); injects-by-default",
		"Istio NAME3; in NAME3; RevisionBased; version v1.27.0; selects {}; overlaps NAME1; until 2026-08-01T11:00:00Z",
		"Istio NAME4; in NAME4; selects team=c; with {pilot: {configMap: false}}",
		"Istio NAME5" + strings.Repeat("long", 16) + "; in NAME5; selects istio-discovery=mesh-5; bundle NAME",
		"IstioRevision NAME6; in app; selects team notin (a),env",
		"Istiod NAME7/istio-NAME; release NAME; selects team=a",
		"Istiod NAME8/istio; selects {}; overlaps NAME1; until 2026-08-01T11:00:00Z",
		"IstioRevisionTag default; targets Istio NAME2",
		"IstioRevisionTag NAMEt; targets IstioRevision NAME6",
		"IstioRevisionTag NAME1; targets Istio NAME1",
		"IstioRevisionTag lost; targets Istio NAME33",
	}
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "NAME", name)
	}
	return lines
}

// hostileAnswers are the findings of everything as it stands, and of changes of each object.
func hostileAnswers(t *testing.T, name string) []policy.Finding {
	lines, judge := hostile(name), policy.New(settings())
	named := func(text string) map[string]string {
		read := map[string]string{}
		for key, value := range labels(t, text) {
			read[strings.ReplaceAll(key, "NAME", name)] = strings.ReplaceAll(value, "NAME", name)
		}
		return read
	}
	stored := objects(t, lines...)
	stored.Map = named("NAME1=NAME2 NAME9=gone")
	fleet := mesh.NewFleet(stored)
	namespaces := []mesh.Namespace{*namespace(t, name+"-system", ""), *namespace(t, name+"3", "")}
	for _, text := range []string{
		"istio-discovery=mesh-1 istio.io/rev=NAME6", "istio-discovery=mesh-1 istio.io/rev=NAMEt", "istio-discovery=NAME1 istio.io/rev=NAME1 istio-injection=enabled",
		"env=dev istio.io/rev=NAME22", "team=a mesh=NAME istio.io/rev=NAME1", "istio.io/dataplane-mode=ambient istio.io/rev=NAME1 maistra.io/member-of=NAME", "istio-discovery=NAME11",
	} {
		ns := namespace(t, name+"-"+strings.Repeat("x", len(namespaces)), "")
		maps.Copy(ns.Labels, named(text))
		namespaces = append(namespaces, *ns)
	}
	entries := meshMap(stored.Map)
	entries.Name, entries.Namespace = name, name
	var all []policy.Finding
	for _, o := range judge.State(policy.Existing{Fleet: fleet, Namespaces: namespaces, Map: entries, Now: now}) {
		all = append(all, o.Finding)
	}
	add := func(v policy.Verdict) { all = append(all, slices.Concat(v.Denials, v.Warnings, v.Untold)...) }
	for _, m := range fleet.Meshes() {
		for _, spec := range []string{"selects istio-discovery=mesh-1", "selects {}", "selects team=z; injects-by-default"} {
			kind, object := m.Kind, m.Name
			if kind == mesh.KindIstiod {
				object, spec = m.Sources[0].Name, spec+"; release "+name
			}
			change := meshChange(stored, stored.With(controlPlane(t, kind+" "+object+"; in istio-system-1; "+spec)), m.Ref)
			change.Namespaces = namespaces
			add(judge.Mesh(change))
		}
		gone := meshChange(stored, stored.Without(m.Ref), m.Ref)
		gone.Namespaces, gone.Removing = namespaces, true
		add(judge.Mesh(gone))
	}
	for i := range namespaces {
		ns := &namespaces[i]
		add(judge.Namespace(policy.NamespaceChange{Old: namespace(t, ns.Name, "env=prod"), New: ns, Fleet: fleet, Now: now, User: name, Pods: &mesh.Pods{}}))
	}
	for _, t := range fleet.Tags() {
		add(judge.Tag(policy.TagChange{Old: t, Before: fleet, Fleet: fleet, Namespaces: namespaces, Now: now}))
		add(judge.Tag(policy.TagChange{Old: t, New: t, Before: fleet, Fleet: fleet, Namespaces: namespaces, Now: now}))
	}
	add(judge.Map(policy.MapChange{Old: entries, New: entries, Fleet: fleet}))
	return all
}

func TestNoCommandRunsWhatANameSays(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"$(touch${IFS}pwned)", "a;touch${IFS}pwned;", "a'`touch${IFS}pwned`'", "a\ntouch pwned\n", "--all"} {
		var commands []string
		codes := map[policy.Code]bool{}
		for _, f := range hostileAnswers(t, name) {
			for _, way := range f.Ways {
				for _, command := range way.Commands {
					if strings.HasPrefix(command, "kubectl ") || strings.HasPrefix(command, "helm ") || strings.HasPrefix(command, "echo ") {
						commands, codes[f.Rule.Code] = append(commands, command), true
					}
				}
			}
		}
		slices.Sort(commands)
		commands = slices.Compact(commands)
		folder := t.TempDir()
		for _, command := range commands {
			run := exec.Command(shell, "-c", shellFunctions+command)
			run.Dir = folder
			out, err := run.CombinedOutput()
			if made, _ := os.ReadDir(folder); err != nil || len(out) > 0 || len(made) > 0 {
				t.Errorf("name %q: %s\n\t%v %s%v", name, command, err, out, made)
				_ = os.Remove(folder + "/pwned")
			}
		}
		if t.Logf("%q: %d commands of %d rules", name, len(commands), len(codes)); len(codes) < 12 {
			t.Errorf("only %d rules had commands", len(codes))
		}
	}
}
