package policy_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

const labelNamespace = "kubectl label namespace "

// commandsIn are the label commands of ways out, each without "kubectl label namespace NAME". They must all be about the namespace, unless
// that is "".
func commandsIn(t testing.TB, ways []policy.Way, namespace string) []string {
	t.Helper()
	var found []string
	for _, c := range commandsForAll(ways) {
		// Findings about something else than a namespace name those that they concern: app-01, app-02 and so on.
		for _, name := range c.namespaces {
			if namespace != "" && name != namespace && !strings.HasPrefix(name, namespace+"-") {
				t.Errorf("a command is about the namespace %q: %q", name, ways)
			}
		}
		found = append(found, c.arguments)
	}
	return found
}

// labelCommand is `kubectl label namespace NAME... ARGUMENTS`.
type labelCommand struct {
	namespaces []string
	arguments  string
}

// commandsForAll are the label commands of ways out, whichever namespaces they are about.
func commandsForAll(ways []policy.Way) []labelCommand {
	var found []labelCommand
	for _, way := range ways {
		for _, command := range way.Commands {
			text, labels := strings.CutPrefix(command, labelNamespace)
			if !labels {
				continue
			}
			words := strings.Fields(text)
			names := slices.IndexFunc(words, func(word string) bool { return strings.Contains(word, "=") || strings.HasSuffix(word, "-") })
			if names < 0 {
				names = len(words)
			}
			found = append(found, labelCommand{namespaces: words[:names], arguments: strings.Join(words[names:], " ")})
		}
	}
	return found
}

// waysThat are the ways out whose labels begin with any of these words.
func waysThat(ways []policy.Way, begin ...string) []policy.Way {
	return slices.DeleteFunc(slices.Clone(ways), func(way policy.Way) bool {
		return !slices.ContainsFunc(begin, func(words string) bool { return strings.HasPrefix(way.Label, words) })
	})
}

// patchIn is the patch of the last command that has one, "" if none has.
func patchIn(ways []policy.Way) string {
	patch := ""
	for _, way := range ways {
		for _, command := range way.Commands {
			if _, text, ok := strings.Cut(command, "-p '"); ok {
				patch = strings.TrimSuffix(text, "'")
			}
		}
	}
	return patch
}

// kubectlLabel is what `kubectl label namespace NAME ARGUMENTS` makes of stored labels, or kubectl's own refusal.
func kubectlLabel(stored map[string]string, arguments string) (map[string]string, error) {
	after, seen := maps.Clone(stored), map[string]bool{}
	words := strings.Fields(arguments)
	overwrite := slices.Contains(words, "--overwrite")
	for _, word := range slices.DeleteFunc(words, func(w string) bool { return w == "--overwrite" }) {
		key, value, sets := strings.Cut(word, "=")
		if !sets {
			key = strings.TrimSuffix(word, "-")
			if key == word {
				return nil, fmt.Errorf("%q neither sets nor removes a label", word)
			}
		}
		switch {
		case seen[key]:
			return nil, fmt.Errorf("%q: a label twice", word)
		case sets && !overwrite && after[key] != "" && after[key] != value:
			return nil, fmt.Errorf("%q: already has a value, and --overwrite is false", word)
		}
		if seen[key] = true; sets {
			after[key] = value
		} else {
			delete(after, key)
		}
	}
	if len(seen) == 0 {
		return nil, errors.New("at least one label update is required")
	}
	return after, nil
}

// checkRemedies runs every command that the findings name against the labels that are stored: what comes out must be
// admitted, and must not have the finding any more.
func checkRemedies(t testing.TB, fleet *mesh.Fleet, stored *mesh.Namespace, findings []policy.Finding) (commands int) {
	t.Helper()
	judge := policy.New(settings())
	for _, f := range findings {
		for _, command := range commandsIn(t, f.Ways, stored.Name) {
			commands++
			after, err := kubectlLabel(stored.Labels, command)
			if err != nil {
				t.Errorf("%s\n\tkubectl refuses %q: %v", f.Message(), command, err)
				continue
			}
			again := judge.Namespace(policy.NamespaceChange{
				Old: stored, New: &mesh.Namespace{Name: stored.Name, Labels: after}, Fleet: fleet, Now: now,
			})
			if again.Answer != policy.Allowed || slices.ContainsFunc(again.Warnings, func(left policy.Finding) bool {
				// Labels end a fight that they have begun, but not one with a mesh that takes every namespace.
				another := left.Rule.Code == "MF201" && !slices.ContainsFunc(left.Subjects, func(s string) bool { return slices.Contains(f.Subjects, s) })
				return left.Rule == f.Rule && left.Field == f.Field && !another
			}) {
				t.Errorf("stored %q\n\t%s\n\tafter %q it has %q: %s", labelText(stored.Labels), f.Message(), command, labelText(after), outcome(again))
			}
		}
	}
	return commands
}

// codes are those of all findings, denials first.
func codes(verdict policy.Verdict) []policy.Code {
	var all []policy.Code
	for _, f := range slices.Concat(verdict.Denials, verdict.Warnings) {
		all = append(all, f.Rule.Code)
	}
	return all
}

// outcome is a verdict in one line, such as "deny MF202 warn MF204".
func outcome(verdict policy.Verdict) string {
	var words []string
	for _, f := range verdict.Denials {
		words = append(words, "deny "+string(f.Rule.Code))
	}
	for _, f := range verdict.Warnings {
		words = append(words, "warn "+string(f.Rule.Code))
	}
	if len(words) == 0 {
		return "allow"
	}
	return strings.Join(words, " ")
}

// checkCommands runs the commands of all findings: those of a refused change against what stays stored, those of an
// admitted one, which are warnings, against what is stored now. If the namespace is discovered by several meshes, or no
// longer by the mesh whose control-plane namespace it is, only that finding's commands count: they decide where it belongs
// and repair the rest too, and the others cannot know that.
func checkCommands(t testing.TB, fleet *mesh.Fleet, old, updated *mesh.Namespace, verdict policy.Verdict) (commands int) {
	t.Helper()
	stored, findings := old, verdict.Denials
	if verdict.Answer == policy.Allowed {
		stored, findings = updated, verdict.Warnings
	}
	for _, decisive := range []policy.Code{"MF209", "MF201"} {
		if i := slices.IndexFunc(findings, func(f policy.Finding) bool { return f.Rule.Code == decisive }); i >= 0 {
			findings = findings[i : i+1]
		}
	}
	return checkRemedies(t, fleet, stored, findings)
}
