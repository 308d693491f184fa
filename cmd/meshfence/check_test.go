package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const meshes = `apiVersion: sailoperator.io/v1
kind: Istio
metadata:
  name: mesh-1
spec:
  version: v1.30.3
  namespace: istio-system-1
  values:
    meshConfig:
      discoverySelectors:
      - matchLabels:
          istio-discovery: mesh-1
---
apiVersion: sailoperator.io/v1
kind: Istio
metadata:
  name: mesh-2
spec:
  version: v1.30.3
  namespace: istio-system-2
  values:
    meshConfig:
      discoverySelectors:
      - matchLabels:
          istio-discovery: mesh-2
---
{apiVersion: v1, kind: Namespace, metadata: {name: istio-system-1, labels: {istio-discovery: mesh-1}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: istio-system-2, labels: {istio-discovery: mesh-2}}}
`

const crossed = `apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels:
    istio-discovery: mesh-2
    istio.io/rev: mesh-1
`

const right = `apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels:
    istio-discovery: mesh-2
    istio.io/rev: mesh-2
`

// folder writes files into a folder of the test, and returns it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFilesAreCheckedWithoutACluster(t *testing.T) {
	for _, test := range []struct {
		name   string
		files  map[string]string
		args   []string
		status int
		stdout []string // parts of it
		stderr []string
	}{
		{
			name: "what is right", files: map[string]string{"meshes.yaml": meshes, "shop.yaml": right},
			stdout: []string{"Nothing is wrong: looked at 2 Istios, 3 Namespaces (files) by "},
		},
		{
			name: "what is wrong", files: map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed}, status: 1,
			stdout: []string{"/shop.yaml:7:5  Namespace shop\n  deny MF202 RevisionOfAnotherMesh: ", "kubectl label namespace shop istio.io/rev=mesh-2 --overwrite", "1 finding, which would be refused"},
		},
		{name: "--fail-on never", files: map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed}, args: []string{"--fail-on", "never"}, stdout: []string{"MF202"}},
		{name: "--rules", files: map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed}, args: []string{"--rules", "MF202=off"}, stdout: []string{"Nothing is wrong"}},
		{name: "--rules to a warning", files: map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed}, args: []string{"--rules", "MF202=warn"}, stdout: []string{"warn MF202"}},
		{name: "--fail-on warn", files: map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed}, args: []string{"--rules", "MF202=warn", "--fail-on", "warn"}, status: 1, stdout: []string{"warn MF202"}},
		{
			name: "what depends on others", files: map[string]string{"shop.yaml": crossed},
			stdout: []string{`not judged: Namespace "shop" by MF203, which needs the mesh, or the tag, whose revision it names`, "Nothing is wrong"},
		},
		{
			name: "a file that cannot be read, beside what is wrong", files: map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed, "bad.yaml": "a: [b\n"}, status: 2,
			stdout: []string{"MF202", "incomplete, because of 1 problem"}, stderr: []string{"/bad.yaml:1: it cannot be read: "},
		},
		{
			name: "an object that cannot be judged", files: map[string]string{"meshes.yaml": "apiVersion: sailoperator.io/v1\nkind: Istio\nmetadata:\n  name: a\nspec: {values: {meshConfig: {discoverySelectors: all}}}\n"}, status: 2,
			stderr: []string{`/meshes.yaml:4:3: Istio "a" cannot be judged: `},
		},
		{
			name: "a name that no object can have", files: map[string]string{"meshes.yaml": meshes, "shop.yaml": strings.Replace(crossed, "name: shop", "name: shop; touch pwned", 1)}, status: 2,
			stdout: []string{"MF202", "kubectl label namespace NAME istio.io/rev=mesh-2 --overwrite", "incomplete, because of 1 problem"},
			stderr: []string{`/shop.yaml:4:3: Namespace "shop; touch pwned" cannot be stored: its name is invalid: a lowercase RFC 1123 label must `},
		},
		{
			name: "a deletion timestamp, which the API server would drop", files: map[string]string{"meshes.yaml": meshes, "shop.yaml": strings.Replace(crossed, "name: shop", "name: shop\n  deletionTimestamp: 2026-01-01T00:00:00Z", 1)}, status: 1,
			stdout: []string{"MF202"},
		},
		{
			name: "files of other programs",
			files: map[string]string{
				"meshes.yaml": meshes, "Chart.yaml": "apiVersion: v2\nname: meshes\nversion: 1.0.0\n", "kind.yaml": "apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\n",
				"report.json": `{"apiVersion": "meshfence.io/v1alpha1", "kind": "CheckReport"}`, "operator.yaml": "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {}\n",
			},
			stdout: []string{"Nothing is wrong: looked at 2 Istios, 2 Namespaces"}, stderr: []string{"/Chart.yaml:1:1: skipped, as it is no Kubernetes object: it has no kind and no metadata"},
		},
		{
			name: "the same object twice", files: map[string]string{"a.yaml": meshes, "b.yaml": crossed, "c.yaml": right},
			stdout: []string{"Nothing is wrong"}, stderr: []string{`/b.yaml:4:3: Namespace "shop" comes again at `, "/c.yaml:4:3, and only that counts"},
		},
		{
			name: "the same namespace, once with a namespace", status: 1,
			files:  map[string]string{"a.yaml": meshes, "b.yaml": right, "c.yaml": strings.Replace(crossed, "  name: shop\n", "  name: shop\n  namespace: x\n", 1)},
			stdout: []string{"/c.yaml:8:5  Namespace shop\n  deny MF202"}, stderr: []string{`/b.yaml:4:3: Namespace "shop" comes again at `, "/c.yaml:4:3, and only that counts"},
		},
		{
			name: "the mesh map, once with its namespace", status: 1,
			files: map[string]string{
				"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mesh-map, namespace: meshfence-system}\ndata: {mesh-1: mesh-1}\n",
				"b.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mesh-map}\ndata: {mesh-1: 'bad value!'}\n",
			},
			stdout: []string{"/b.yaml:4:8  ConfigMap meshfence-system/mesh-map"}, stderr: []string{`/a.yaml:3:12: ConfigMap "mesh-map" comes again at `, "/b.yaml:3:12, and only that counts"},
		},
		{
			name: "in their order", files: map[string]string{"a.yaml": crossed, "b.yaml": meshes}, args: []string{"--replay"},
			stdout: []string{"warn MF203 UnknownRevision", "files, replayed in their order"},
		},
		{
			name: "filled in", files: map[string]string{"a.yaml": meshes, "b.yaml": "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-discovery: mesh-1}}}"}, args: []string{"--replay"},
			stdout: []string{"Nothing is wrong"}, stderr: []string{"b.yaml:1:", "meshfence filled in istio.io/rev=mesh-1, because"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := folder(t, test.files)
			stdout, stderr, status := output(t, append([]string{"check", "-f", dir}, test.args...)...)
			if status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			for _, part := range test.stdout {
				if !strings.Contains(stdout, part) {
					t.Errorf("standard output lacks %q:\n%s", part, stdout)
				}
			}
			for _, part := range test.stderr {
				if !strings.Contains(stderr, part) {
					t.Errorf("standard error lacks %q:\n%s", part, stderr)
				}
			}
			if len(test.stderr) == 0 && stderr != "" {
				t.Errorf("standard error: %s", stderr)
			}
		})
	}
}

// The selector of the other mesh is shown that the finding names, and not the one at the same place of its list.
func TestAnOverlapShowsTheSelectorOfTheOtherMesh(t *testing.T) {
	mesh := func(name, selectors string) string {
		return "{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: " + name + "}, spec: {version: v1.30.3, namespace: " + name + ", values: {meshConfig: {discoverySelectors: [\n" + selectors + "]}}}}\n"
	}
	dir := folder(t, map[string]string{
		"a.yaml": mesh("a", "{matchLabels: {team: a}}\n"),
		"b.yaml": mesh("b", "{matchLabels: {team: b}},\n{matchLabels: {team: c}},\n{matchLabels: {other: x}}\n"),
	})
	t.Chdir(dir)
	for _, related := range []string{"\n       b.yaml:4:1: Istio \"b\"\n", "\n       a.yaml:2:1: Istio \"a\"\n"} {
		if stdout, _, _ := output(t, "check", "-f", "."); !strings.Contains(stdout, related) {
			t.Errorf("it lacks %q:\n%s", related, stdout)
		}
	}
}

// The exit status says the same whatever is written.
func TestEveryFormatHasTheSameStatus(t *testing.T) {
	wrong := folder(t, map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed})
	clean := folder(t, map[string]string{"meshes.yaml": meshes, "shop.yaml": right})
	broken := folder(t, map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed, "bad.yaml": "a: [b\n"})
	for _, format := range []string{"table", "wide", "json", "yaml", "sarif", "junit", "github", "markdown"} {
		for dir, want := range map[string]int{clean: 0, wrong: 1, broken: 2} {
			if _, _, status := output(t, "check", "-f", dir, "-o", format); status != want {
				t.Errorf("%s: %d, want %d", format, status, want)
			}
		}
	}
}

func TestFormatsGoToFilesBesideStandardOutput(t *testing.T) {
	dir, out := folder(t, map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed}), t.TempDir()
	stdout, _, status := output(t, "check", "-f", dir, "-o", "table", "-o", "sarif="+filepath.Join(out, "x.sarif"), "-o", "junit="+filepath.Join(out, "x.xml"))
	sarif, err := os.ReadFile(filepath.Join(out, "x.sarif"))
	if err != nil || status != 1 || !strings.Contains(stdout, "MF202") || !strings.Contains(string(sarif), `"version": "2.1.0"`) {
		t.Errorf("status %d, %v, %s\n%s", status, err, stdout, sarif)
	}
	if junit, err := os.ReadFile(filepath.Join(out, "x.xml")); err != nil || !strings.HasPrefix(string(junit), "<?xml") {
		t.Errorf("%v %s", err, junit)
	}
}

func TestIfAllFormatsGoToFilesThenStandardErrorHasTheVerdict(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x.sarif")
	baseline := writeFile(t, "baseline.yaml", "apiVersion: meshfence.io/v1alpha1\nkind: CheckBaseline\nfindings:\n- {fingerprint: a, code: MF201, object: Namespace gone}\n")
	_, stderr, status := output(t, "check", "-f", writeFile(t, "shop.yaml", crossed), "--baseline", baseline, "-o", "sarif="+out)
	if want := "Nothing is wrong: looked at 1 Namespace (files) by 30 rules; 2 not judged (-o table lists them)\n" +
		"the baseline has an entry that nothing corresponds to any more: MF201 Namespace gone\n"; stderr != want || status != 0 {
		t.Errorf("status %d\n%s", status, cmp.Diff(want, stderr))
	}
	if _, stderr, _ := output(t, "check", "-f", writeFile(t, "shop.yaml", right), "-o", "sarif="+out, "-o", "github"); stderr != "" {
		t.Errorf("beside standard output: %s", stderr)
	}
}

// A file that stands for a cluster takes its place, without credentials.
func TestFilesAreLaidOverAFleetFile(t *testing.T) {
	fleet := writeFile(t, "fleet.yaml", "")
	text, stderr, status := output(t, "map", "-f", folder(t, map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed}), "-o", "fleet")
	if status != 0 || stderr != "" {
		t.Fatal(status, stderr)
	}
	if err := os.WriteFile(fleet, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text   string
		status int
		says   string
	}{
		"it stays wrong":   {strings.Replace(crossed, "labels:\n", "labels:\n    team: a\n", 1), 0, "; 1 finding not counted (--all lists them)"},
		"it is put right":  {right, 0, "Nothing is wrong"},
		"another is wrong": {strings.Replace(crossed, "shop", "cart", 1), 1, "1 finding, which would be refused"},
	} {
		stdout, _, status := output(t, "check", "-f", writeFile(t, "shop.yaml", test.text), "--against", fleet)
		if status != test.status || !strings.Contains(stdout, test.says) {
			t.Errorf("%s: %d\n%s", name, status, stdout)
		}
	}
	if _, stderr, status := output(t, "check", "--against", writeFile(t, "empty.yaml", "")); status != 2 || !strings.Contains(stderr, "it has no object; meshfence map -o fleet writes such a file") {
		t.Errorf("an empty file: %d, %s", status, stderr)
	}
	stdout, _, status := output(t, "check", "--against", fleet)
	if status != 1 || !strings.Contains(stdout, "(the cluster of "+fleet+")") {
		t.Errorf("the fleet itself: %d\n%s", status, stdout)
	}
}

func TestABaselineFailsForNewFindingsOnly(t *testing.T) {
	dir := folder(t, map[string]string{"meshes.yaml": meshes, "shop.yaml": crossed})
	baseline := filepath.Join(t.TempDir(), "baseline.yaml")
	if _, _, status := output(t, "check", "-f", dir, "--write-baseline", baseline); status != 1 {
		t.Errorf("written: %d", status)
	}
	stdout, _, status := output(t, "check", "-f", dir, "--baseline", baseline)
	if status != 0 || !strings.Contains(stdout, "the baseline accepts 1 more") {
		t.Errorf("%d\n%s", status, stdout)
	}
	if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), []byte(right), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, _, status = output(t, "check", "-f", dir, "--baseline", baseline)
	if status != 0 || !strings.Contains(stdout, "the baseline has an entry that nothing corresponds to any more: MF202 Namespace shop") {
		t.Errorf("put right: %d\n%s", status, stdout)
	}
}

// Names of files and kinds of a pull request are shown in the log of a workflow.
func TestStandardErrorIsNoCommandOfAnAttacker(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("::error::a.yaml", "a: [\n")
	write("b\n::error::b.yaml", "a: [\n")
	write("c\x1b[31m.yaml", "apiVersion: v1\nkind: \"x\\n::error::c \\e[31m\"\n")
	write("d.yaml", meshes)
	t.Chdir(dir)
	for _, args := range [][]string{
		{"check", "-f", "::error::a.yaml", "-f", "."}, {"check", "-f", ".", "--against", "b\n::error::b.yaml"}, {"check", "-f", "d.yaml", "--baseline", "b\n::error::b.yaml"},
		{"map", "-f", "::error::a.yaml", "-f", "."}, {"map", "-f", "d.yaml", "--against", "b\n::error::b.yaml"}, {"explain", "namespace", "istio-system-1", "-f", "::error::a.yaml", "-f", "."},
		{"check", "-f", "d.yaml", "--rules", "b\n::error::b=off"},
	} {
		stdout, stderr, _ := output(t, args...)
		if stderr == "" {
			t.Errorf("%q: nothing on standard error; standard output:\n%s", args, stdout)
		}
		for line := range strings.Lines(stdout + stderr) {
			if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.ContainsAny(line, "\x1b\r") {
				t.Errorf("%q: %q", args, line)
			}
		}
	}
}

func TestAWrongCheckIsExplained(t *testing.T) {
	const usage = "\nRun 'meshfence check --help' for usage.\n"
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-o", "xml"}, `meshfence: -o "xml" is not one of table, wide, json, yaml, sarif, junit, github, markdown` + usage},
		{[]string{"-o", "json", "-o", "table"}, "meshfence: -o: only one format can go to standard output; give the others a file, as in -o sarif=meshfence.sarif" + usage},
		{[]string{"-o", "json="}, "meshfence: -o json=: there is no file behind the equals sign" + usage},
		{[]string{"-o", "json=x/a.out", "-o", "yaml=./x/a.out"}, "meshfence: -o yaml=./x/a.out: another format goes to that file already" + usage},
		{[]string{"--fail-on", "info"}, `meshfence: --fail-on "info" is not one of deny, warn, never` + usage},
		{[]string{"--against", "nothing"}, "meshfence: --against nothing needs files to look at: -f FILE" + usage},
		{[]string{"--replay"}, "meshfence: --replay needs files to answer: -f FILE" + usage},
		{[]string{"-f", ".", "--against", "missing.yaml"}, "meshfence: --against missing.yaml: it cannot be read: no such file or directory; meshfence map -o fleet writes such a file\n"},
		{[]string{"-f", "check.go", "--baseline", "missing.yaml"}, "meshfence: --baseline: open missing.yaml: no such file or directory\n"},
		{[]string{"-f", "check.go", "--baseline", "/dev/zero"}, "meshfence: --baseline: read /dev/zero: it is no regular file\n"},
		{[]string{"-f", "check.go", "--baseline", "."}, "meshfence: --baseline: read .: it is a folder, and no file\n"},
		{[]string{"-f", "check.go", "--config", "/dev/zero"}, "meshfence: --config read /dev/zero: it is no regular file; without --config the defaults are used\n"},
		{[]string{"--kubeconfig", "/dev/null"}, "meshfence: no API server to talk to: not in a cluster, and there is no kubeconfig; set KUBECONFIG or use --kubeconfig FILE\n"},
	} {
		stdout, stderr, status := output(t, append([]string{"check"}, test.args...)...)
		if diff := cmp.Diff(test.want, stderr); diff != "" || status != 2 || stdout != "" {
			t.Errorf("%v: status %d, standard output %q (-want +got):\n%s", test.args, status, stdout, diff)
		}
	}
}
