package policy_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// entries are a mesh map's data.
type entries = map[string]string

func TestMF401(t *testing.T) {
	long := strings.Repeat("a", 64)
	runMapCases(t, []mapCase{
		{
			name: "if a value is no label value, then the map is refused", create: entries{"mesh-1": "not a label value"},
			want: "deny MF401",
		},
		{
			name: "if it is of a mesh that does not exist, then it can only be left out", create: entries{"prod": "a,b"},
			want: "deny MF401",
		},
		{
			name: "if a value is empty, then it is refused", create: entries{"mesh-1": ""},
			want: "deny MF401",
		},
		{
			name: "if a value is white space, then it is empty", create: entries{"mesh-1": " \n\t"},
			want: "deny MF401",
		},
		{name: "if white space is around a value, then it is no part of it", create: entries{"mesh-1": "mesh-1\n", "mesh-2": "  mesh-2 "}, want: "allow"},
		{
			name: "if a key is no label value, then it is refused", create: entries{"-mesh": "mesh-1"},
			want: "deny MF401",
		},
		{
			name: "if a key has 64 characters, then it is refused", create: entries{long: "mesh-1"},
			want: "deny MF401",
		},
		{
			name: "if both sides are bad, then both are told", create: entries{"-mesh": long + "b"},
			want: "deny MF401",
		},
		{
			name: "if a value is very long, then its beginning is shown", create: entries{"mesh-1": strings.Repeat("x y ", 1000)},
			want: "deny MF401",
		},
		{
			name: "if an entry is in binaryData, then it is refused", create: entries{"binary:mesh-1": ""},
			want: "deny MF401",
		},
		{
			name: "if a stored map gets one into binaryData, then the command takes it from there", from: entries{}, to: entries{"binary:mesh-1": ""},
			want: "deny MF401",
		},
		{
			name: "if a stored map gets a bad entry, then it is refused", from: entries{"mesh-2": "mesh-2"}, to: entries{"mesh-2": "mesh-2", "mesh-1": "a b"},
			want: "deny MF401",
		},
		{
			name: "if it had the entry before, then a change of another entry is admitted in silence", from: entries{"mesh-1": "a b"}, to: entries{"mesh-1": "a b", "mesh-2": "mesh-2"},
			want: "allow",
		},
		{
			name: "if one of two bad entries is repaired, then that is admitted", from: entries{"mesh-1": "a b", "x": ""}, to: entries{"mesh-1": "mesh-1", "x": ""},
			want: "allow",
		},
		{
			name: "if one of an entry's two problems is solved, then that is admitted", from: entries{"-mesh": "a b"}, to: entries{"-mesh": "mesh-1"},
			want: "warn MF401",
		},
		{
			name: "if a bad value becomes another one that is bad in the same way, then it is refused", from: entries{"mesh-1": "a b"}, to: entries{"mesh-1": "c d"},
			want: "deny MF401",
		},
		{
			name: "if a bad value becomes bad in another way, then it is refused", from: entries{"mesh-1": "a b"}, to: entries{"mesh-1": ""},
			want: "deny MF401",
		},
		{
			name: "if a good value becomes bad, then it is refused", from: entries{"mesh-1": "mesh-1"}, to: entries{"mesh-1": "mesh-1,mesh-2"},
			want: "deny MF401",
		},
		{name: "if all bad entries go, then nobody says anything", from: entries{"mesh-1": "a b", "x": ""}, to: entries{}, want: "allow"},
		{
			name: "if several are bad, then all are told, in the order of their names", create: entries{"b": "", "a": "", "binary:a": "", "mesh-1": "mesh-1"},
			want: "deny MF401 deny MF401 deny MF401",
		},
		{
			name: "if the rule only warns, then it is admitted with a warning", create: entries{"mesh-1": ""},
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF401": policy.Warn}},
			want:    "warn MF401",
		},
		{
			name: "if the rule is off, then nobody says anything", create: entries{"mesh-1": ""},
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF401": policy.Off}}, want: "allow",
		},
	})
}

// What is refused and what is ignored when it is stored nevertheless must be the same.
func TestMF401FindsWhatIsIgnored(t *testing.T) {
	for _, value := range []string{"", " ", "a", "A.b_c-1", "-a", "a-", ".a", "a.", "a b", "a\nb", "é", strings.Repeat("a", 63), strings.Repeat("a", 64), "a,b", " a ", "mesh-1\n"} {
		for _, key := range []string{"a", "-a", "a-", strings.Repeat("a", 63), strings.Repeat("a", 64), "A_b.c", "..a"} {
			data := entries{key: value}
			usable, _ := mesh.ParseMap(data)
			verdict := (mapCase{create: data}).judge(t)
			if found := slices.Contains(codes(verdict), "MF401"); found == (len(usable) == 1) {
				t.Errorf("%q: %q is used: %v, found: %v", key, value, len(usable) == 1, found)
			}
		}
	}
}

// patched is what a command makes of the stored map; nil if it has none.
func patched(t *testing.T, stored entries, ways []policy.Way) entries {
	t.Helper()
	text := patchIn(ways)
	if text == "" {
		return nil
	}
	var patch struct{ Data, BinaryData map[string]*string }
	if err := json.Unmarshal([]byte(text), &patch); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	after := maps.Clone(stored)
	for name, revision := range patch.Data {
		if delete(after, name); revision != nil {
			after[name] = *revision
		}
	}
	for name := range patch.BinaryData {
		delete(after, "binary:"+name)
	}
	return after
}

// Every command of a finding about a stored mesh map is admitted, and the entry is right then.
func TestTheCommandsAboutTheMeshMapRepairIt(t *testing.T) {
	fleets := [][]string{guide(), append(guide(), "IstioRevisionTag stable; targets Istio mesh-2"), {
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=prod",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=prod", guide()[1],
	}}
	names := []string{"mesh-1", "mesh-2", "mesh-l", "prod", "-mesh", "binary:mesh-1", "nobody-of-that-name"}
	revisions := []string{"mesh-1", "mesh-2", "mesh-1-v1-29-0", "mesh1", "stable", "default", "", "a b"}
	commands := 0
	for _, lines := range fleets {
		for _, name := range names {
			for _, revision := range revisions {
				for _, stored := range []entries{{}, {name: revision}, {name: revision, "mesh-2": "mesh-2"}, {"mesh-1": "mesh-1"}} {
					updated := maps.Clone(stored)
					updated[name] = revision
					c := mapCase{fleet: lines, from: stored, to: updated}
					verdict := c.judge(t)
					at, findings := stored, verdict.Denials
					if verdict.Answer == policy.Allowed {
						at, findings = updated, verdict.Warnings
					}
					for _, f := range findings {
						after := patched(t, at, f.Ways)
						if after == nil {
							continue
						}
						commands++
						again := (mapCase{fleet: lines, from: at, to: after}).judge(t)
						if again.Answer != policy.Allowed || mentions(again, f.Field) {
							t.Errorf("%v to %v: %s\n\tafter it %v: %s", stored, updated, f.Message(), after, outcome(again))
						}
					}
				}
			}
		}
	}
	if commands < 100 {
		t.Errorf("only %d commands were tried", commands)
	}
}

func mentions(verdict policy.Verdict, field string) bool {
	for _, f := range append(verdict.Denials, verdict.Warnings...) {
		if f.Field == field {
			return true
		}
	}
	return false
}
