package facts

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// What a mutating webhook writes, in these tests and in meshfence.
const (
	revisionLabel    = "istio.io/rev"
	filledAnnotation = "meshfence.io/filled-revision"
)

// fill is the answer of a webhook that writes label and annotation.
const fill = `[{"op":"add","path":"/metadata/labels/istio.io~1rev","value":"mesh-1"},` +
	`{"op":"add","path":"/metadata/annotations","value":{"meshfence.io/filled-revision":"mesh-1"}}]`

// managed is a namespace with a label and an annotation that a mutating webhook wrote, and a folder for kubectl.
type managed struct {
	t       *testing.T
	cluster *harness.Cluster
	name    string
	dir     string
}

// managedFields pins what the API server notes of the owner of a label that a mutating webhook wrote. meshfence tells by it
// whether such a label is still its own (webhook/namespace_owner.go).
func managedFields(ctx context.Context, t *testing.T, cluster *harness.Cluster, o *observer) {
	o.patch(fill)
	defer o.patch("")
	manifest := func(name, labels string) string {
		return "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: " + name + "\n  labels:\n    observed: \"yes\"\n" + labels
	}
	for _, test := range []struct {
		name  string
		tools func(m *managed)
		// revision and filled are the label and the annotation in the end, owners the managers that own the label.
		revision, filled string
		owners           []string
	}{
		{"nobody owns what a webhook wrote", func(*managed) {}, "mesh-1", "mesh-1", nil},
		{
			"nor after changes of other labels, or patches with the value that it has", func(m *managed) {
				m.kubectl("label", "namespace", m.name, "team=a")
				m.kubectl("label", "namespace", m.name, "--overwrite", "istio.io/rev=mesh-1", "team=b")
				m.kubectl("patch", "namespace", m.name, "--type=merge", "-p", `{"metadata":{"labels":{"istio.io/rev":"mesh-1","team":"c"}}}`)
				m.kubectl("patch", "namespace", m.name, "--type=json", "-p", `[{"op":"add","path":"/metadata/labels/istio.io~1rev","value":"mesh-1"}]`)
			}, "mesh-1", "mesh-1", nil,
		},
		{
			"nor after a replacement or a client-side apply of what was read", func(m *managed) {
				read := m.kubectl("get", "namespace", m.name, "-o", "yaml")
				m.file("read.yaml", strings.Replace(read, "  labels:\n", "  labels:\n    team: a\n", 1))
				m.kubectl("replace", "-f", "read.yaml")
				m.file("read.yaml", m.kubectl("get", "namespace", m.name, "-o", "yaml"))
				m.kubectl("apply", "-f", "read.yaml")
			}, "mesh-1", "mesh-1", nil,
		},
		{
			"who sets another value owns it, also when it is the first one again", func(m *managed) {
				m.kubectl("label", "namespace", m.name, "--overwrite", "istio.io/rev=mesh-2")
				m.kubectl("label", "namespace", m.name, "--overwrite", "istio.io/rev=mesh-1")
			}, "mesh-1", "mesh-1", []string{"Update kubectl-label"},
		},
		{
			"who removes it owns it when it is set again", func(m *managed) {
				m.kubectl("label", "namespace", m.name, "istio.io/rev-")
				m.kubectl("label", "namespace", m.name, "istio.io/rev=mesh-1")
			}, "mesh-1", "mesh-1", []string{"Update kubectl-label"},
		},
		{
			"who applies it on the server's side owns it, with the value that it has, too", func(m *managed) {
				m.file("both.yaml", manifest(m.name, "    istio.io/rev: mesh-1\n"))
				m.kubectl("apply", "--server-side", "--field-manager=gitops", "-f", "both.yaml")
			}, "mesh-1", "mesh-1", []string{"Apply gitops"},
		},
		{
			"a copy that is created has the copier as owner, of the annotation too", func(m *managed) {
				m.name += "-copy"
				m.file("copy.yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: "+m.name+"\n  labels:\n    istio.io/rev: mesh-1\n"+
					"  annotations:\n    meshfence.io/filled-revision: mesh-1\n")
				m.kubectl("create", "-f", "copy.yaml")
			}, "mesh-1", "mesh-1", []string{"Update kubectl-create, with the annotation"},
		},
		{
			"replacing it by the manifest removes label and annotation", func(m *managed) {
				m.kubectl("replace", "-f", "manifest.yaml")
			}, "", "", nil,
		},
		{
			"removing the label leaves the annotation", func(m *managed) {
				m.kubectl("label", "namespace", m.name, "istio.io/rev-")
			}, "", "mesh-1", nil,
		},
		{
			"applying the manifest, on either side, leaves both", func(m *managed) {
				m.kubectl("apply", "-f", "manifest.yaml")
				m.kubectl("apply", "--server-side", "-f", "manifest.yaml")
			}, "mesh-1", "mesh-1", nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := manage(t, cluster, manifest)
			test.tools(m)
			m.check(ctx, cluster.Client, test.revision, test.filled, test.owners)
			drain(o.mutating)
			drain(o.validating)
		})
	}
	t.Run("who made the map of annotations on the client's side, and then applies none on the server's side, removes it whole", func(t *testing.T) {
		m := &managed{t: t, cluster: cluster, name: "moving", dir: t.TempDir()}
		m.file("manifest.yaml", manifest(m.name, ""))
		m.kubectl("apply", "--field-manager=gitops", "-f", "manifest.yaml")
		m.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=gitops", "-f", "manifest.yaml")
		m.check(ctx, cluster.Client, "mesh-1", "", nil)
		drain(o.mutating)
		drain(o.validating)
	})
	t.Run("a mutating webhook sees no uid in what replaces a namespace by a manifest, and the stored one in a patch", func(t *testing.T) {
		m := &managed{t: t, cluster: cluster, dir: t.TempDir()}
		// change has a namespace that the observer was not asked about changed into one that it is asked about.
		change := func(name string, args ...string) *corev1.Namespace {
			m.file("bare.yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: "+name+"\n")
			m.kubectl("create", "-f", "bare.yaml")
			m.file("manifest.yaml", manifest(name, ""))
			m.file("read.yaml", strings.Replace(m.kubectl("get", "namespace", name, "-o", "yaml"), "  labels:\n", "  labels:\n    observed: \"yes\"\n", 1))
			m.kubectl(args...)
			return decode(t, o.next(ctx, t, o.mutating))
		}
		replaced := change("whole", "replace", "-f", "manifest.yaml")
		labelled := change("patched", "label", "namespace", "patched", "observed=yes")
		read := change("edited", "replace", "-f", "read.yaml")
		if replaced.UID != "" || labelled.UID == "" || read.UID == "" {
			t.Errorf("uids of a replacement by a manifest %q, of a patch %q, of a replacement by what was read %q", replaced.UID, labelled.UID, read.UID)
		}
		drain(o.validating)
	})
	t.Run("a mutating webhook sees what the request itself makes a manager own", func(t *testing.T) {
		m := &managed{t: t, cluster: cluster, name: "claimed", dir: t.TempDir()}
		m.file("bare.yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: claimed\n  labels:\n    istio.io/rev: mesh-1\n")
		m.kubectl("create", "-f", "bare.yaml")
		m.file("both.yaml", manifest(m.name, "    istio.io/rev: mesh-1\n"))
		m.kubectl("apply", "--server-side", "--field-manager=gitops", "-f", "both.yaml")
		seen := o.next(ctx, t, o.mutating)
		before := &corev1.Namespace{}
		if err := json.Unmarshal(seen.OldObject.Raw, before); err != nil {
			t.Fatal(err)
		}
		got := [][]string{owners(t, before.ManagedFields), owners(t, decode(t, seen).ManagedFields)}
		want := [][]string{{"Update kubectl-create"}, {"Apply gitops", "Update kubectl-create"}}
		if diff := cmp.Diff(want, got); diff != "" || seen.Operation != admissionv1.Update {
			t.Errorf("owners before and after, on %s (-want +got):\n%s", seen.Operation, diff)
		}
		drain(o.validating)
	})
}

// manage creates a namespace whose label a webhook writes.
func manage(t *testing.T, cluster *harness.Cluster, manifest func(name, labels string) string) *managed {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "managed-"}}
	if err := cluster.Client.Create(t.Context(), ns, client.DryRunAll); err != nil { // for a name
		t.Fatal(err)
	}
	m := &managed{t: t, cluster: cluster, name: ns.Name, dir: t.TempDir()}
	m.file("manifest.yaml", manifest(ns.Name, ""))
	m.kubectl("create", "-f", "manifest.yaml")
	return m
}

func (m *managed) file(name, content string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(content), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *managed) kubectl(args ...string) string {
	m.t.Helper()
	stdout, stderr, err := m.cluster.RunKubectl(m.t.Context(), m.dir, args...)
	if err != nil {
		m.t.Fatalf("kubectl %q: %v\n%s", args, err, stderr)
	}
	return stdout
}

func (m *managed) check(ctx context.Context, c client.Client, revision, filled string, wanted []string) {
	m.t.Helper()
	ns := &corev1.Namespace{}
	if err := c.Get(ctx, client.ObjectKey{Name: m.name}, ns); err != nil {
		m.t.Fatal(err)
	}
	got := []any{ns.Labels[revisionLabel], ns.Annotations[filledAnnotation], owners(m.t, ns.ManagedFields)}
	if diff := cmp.Diff([]any{revision, filled, wanted}, got); diff != "" {
		m.t.Errorf("label, annotation and owners of the label (-want +got):\n%s", diff)
	}
}

// owners are the operations and names of the managers, sorted, that own the label, and whether they own the annotation too.
func owners(t *testing.T, entries []metav1.ManagedFieldsEntry) []string {
	t.Helper()
	var all []string
	for _, entry := range entries {
		fields := map[string]map[string]map[string]any{}
		text, err := json.Marshal(entry.FieldsV1)
		if err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal(text, &fields) // what is deeper than metadata does not fit, and does not matter
		if _, owns := fields["f:metadata"]["f:labels"]["f:"+revisionLabel]; !owns {
			continue
		}
		owner := string(entry.Operation) + " " + entry.Manager
		if _, too := fields["f:metadata"]["f:annotations"]["f:"+filledAnnotation]; too {
			owner += ", with the annotation"
		}
		all = append(all, owner)
	}
	slices.Sort(all)
	return all
}
