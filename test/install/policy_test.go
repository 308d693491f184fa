package install

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// What refusals say.
const (
	account = "system:serviceaccount:meshfence-system:meshfence"
	mayOnly = account + " may change nothing in the webhook configurations meshfence but the match conditions mesh-labels"
)

// TestWhatTheAccountMayChange makes, as meshfence's own account, every kind of change of a webhook configuration, with the rights of the
// manifests and with all rights. Only what meshfence really writes gets through.
func TestWhatTheAccountMayChange(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cert-manager", "self-signed"} {
		t.Run(mode, func(t *testing.T) { accountMayChange(t, mode) })
	}
}

func accountMayChange(t *testing.T, mode string) {
	t.Parallel()
	cluster, err := harness.Start(t.Context(), harness.Options{Manifests: []string{filepath.Join(mustRoot(t), "deploy", "meshfence-"+mode+".yaml")}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := cluster.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &world{Cluster: cluster, t: t}
	meshfence := w.as(account)
	refusedOnly := func(who client.Client, with string) {
		for _, change := range changes(w, mode) {
			got := who.Patch(t.Context(), change.of, client.RawPatch(types.JSONPatchType, []byte(change.patch)), client.DryRunAll)
			if change.refused == "" && got != nil || change.refused != "" && (!apierrors.IsForbidden(got) || !strings.HasSuffix(got.Error(), change.refused)) {
				t.Errorf("%s, %s: %v", with, change.name, got)
			}
		}
	}
	w.eventually("the policy is in force", func() error {
		label := client.RawPatch(types.JSONPatchType, []byte(`[{"op": "add", "path": "/metadata/labels/a", "value": "b"}]`))
		if err := meshfence.Patch(t.Context(), judging(), label, client.DryRunAll); !apierrors.IsForbidden(err) {
			return errors.Join(errors.New("a label can be added"), err)
		}
		return nil
	})
	refusedOnly(meshfence, "with the rights of the manifests")

	// A cluster whose roles say more than the manifests.
	w.do("give the account all rights", w.Client.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "too-much"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: account}},
	}))
	w.eventually("the account has all rights", func() error {
		return meshfence.List(t.Context(), &rbacv1.ClusterRoleList{}, client.Limit(1))
	})
	refusedOnly(meshfence, "with all rights")
	w.noOthers(meshfence)

	// It is about this account and no other.
	administrator := w.as("alice", "system:masters")
	for _, change := range changes(w, mode) {
		if err := administrator.Patch(t.Context(), change.of, client.RawPatch(types.JSONPatchType, []byte(change.patch)), client.DryRunAll); err != nil {
			t.Errorf("another account, %s: %v", change.name, err)
		}
	}
}

// noOthers makes, changes and deletes webhook configurations as a whole.
func (w *world) noOthers(meshfence client.Client) {
	w.t.Helper()
	const none = account + " may change the webhook configurations meshfence, and make, delete or change no others"
	other := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "other"}}
	w.do("make another configuration", w.Client.Create(w.t.Context(), other))
	for name, err := range map[string]error{
		"create": meshfence.Create(w.t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "new"}}, client.DryRunAll),
		"delete": meshfence.Delete(w.t.Context(), judging(), client.DryRunAll),
		"delete all": meshfence.DeleteAllOf(w.t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{},
			&client.DeleteAllOfOptions{DeleteOptions: client.DeleteOptions{DryRun: []string{metav1.DryRunAll}}}),
		"another": meshfence.Patch(w.t.Context(), other, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`)), client.DryRunAll),
	} {
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), none) {
			w.t.Errorf("%s: %v", name, err)
		}
	}
}

// as returns a client of somebody else.
func (w *world) as(user string, groups ...string) client.Client {
	w.t.Helper()
	config := rest.CopyConfig(w.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	c, err := client.New(config, client.Options{Scheme: w.Client.Scheme()})
	w.do("make a client", err)
	return c
}

func judging() *admissionregistrationv1.ValidatingWebhookConfiguration {
	return &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "meshfence"}}
}

func filling() *admissionregistrationv1.MutatingWebhookConfiguration {
	return &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "meshfence"}}
}

// accountChange is a JSON patch, and how the refusal of it ends; "" if it is allowed.
type accountChange struct {
	name    string
	of      client.Object
	patch   string
	refused string
}

// changes are one of each kind. Places are those of the manifests.
func changes(w *world, mode string) []accountChange {
	w.t.Helper()
	stored := judging()
	w.do("read the configuration", w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(stored), stored))
	own := namespace(harness.Namespace)
	w.do("read the namespace", w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(own), own))
	judgingAt, mapAt := -1, -1
	for i, webhook := range stored.Webhooks {
		switch webhook.Name {
		case "namespace.validate.meshfence.io":
			judgingAt = i
		case "meshmap.validate.meshfence.io":
			mapAt = i
		}
	}
	at := func(format string) string {
		return strings.NewReplacer("UID", string(own.UID), "NAMESPACES", fmt.Sprintf("/webhooks/%d", judgingAt), "MESHMAP", fmt.Sprintf("/webhooks/%d", mapAt)).Replace(format)
	}
	suffix, bundle := " and the owner", ": not whom a webhook asks, nor its caBundle"
	if mode == "self-signed" {
		suffix, bundle = ", the caBundles and the owner", ": not whom a webhook asks"
	}
	caBundle := ""
	if mode != "self-signed" {
		caBundle = mayOnly + suffix + bundle
	}
	refused := func(what string) string { return mayOnly + suffix + ": " + what }
	metadata := refused("not the metadata")
	list := refused("no webhook may be added, removed, renamed or moved")
	fields := refused("not the rules, selectors, policies or timeouts of a webhook")
	asks := mayOnly + suffix + bundle
	owner := refused("no owner but the namespace meshfence-system")
	const wrong = account + " may name the namespace meshfence-system as owner of the webhook configurations meshfence by its own uid only"
	const system = `"apiVersion": "v1", "kind": "Namespace", "name": "meshfence-system"`
	conditions := refused("no other match condition may be added, removed, renamed, moved or changed")
	const another = `{"name": "another.meshfence.io", "admissionReviewVersions": ["v1"], "sideEffects": "None", "clientConfig": {"url": "https://example.com/"}}`
	all := []accountChange{
		{"the match condition", judging(), `[{"op": "replace", "path": "NAMESPACES/matchConditions/0/expression", "value": "true"}]`, ""},
		{"the match condition to fill in", filling(), `[{"op": "replace", "path": "/webhooks/0/matchConditions/0/expression", "value": "true"}]`, ""},
		{"a caBundle", judging(), `[{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": "BUNDLE"}]`, caBundle},
		{"a caBundle to fill in", filling(), `[{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": "BUNDLE"}]`, caBundle},
		{"nothing", filling(), `[]`, ""},
		{"a label", judging(), `[{"op": "add", "path": "/metadata/labels/a", "value": "b"}]`, metadata},
		{"a label less", judging(), `[{"op": "remove", "path": "/metadata/labels/meshfence.io~1part"}]`, metadata},
		{"an annotation", filling(), `[{"op": "add", "path": "/metadata/annotations/a", "value": "b"}]`, metadata},
		{"a finalizer", filling(), `[{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/stays"]}]`, metadata},
		{"its namespace as the owner", filling(), `[{"op": "add", "path": "/metadata/ownerReferences", "value": [{` + system + `, "uid": "UID"}]}]`, ""},
		{"a namespace of before as the owner", filling(), `[{"op": "add", "path": "/metadata/ownerReferences", "value": [{` + system + `, "uid": "b"}]}]`, wrong},
		{"an owner that blocks", judging(), `[{"op": "add", "path": "/metadata/ownerReferences", "value": [{` + system + `, "uid": "UID", "blockOwnerDeletion": true}]}]`, owner},
		{"another namespace as the owner", judging(), `[{"op": "add", "path": "/metadata/ownerReferences", "value": [{"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": "UID"}]}]`, owner},
		{"another owner", filling(), `[{"op": "add", "path": "/metadata/ownerReferences", "value": [{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "b"}]}]`, owner},
		{"another webhook", filling(), `[{"op": "add", "path": "/webhooks/-", "value": ` + another + `}]`, list},
		{"a webhook less", judging(), `[{"op": "remove", "path": "/webhooks/0"}]`, list},
		{"no webhook left", filling(), `[{"op": "remove", "path": "/webhooks/0"}]`, list},
		{"another order", judging(), `[{"op": "move", "from": "/webhooks/0", "path": "/webhooks/1"}]`, list},
		{"another name", filling(), `[{"op": "replace", "path": "/webhooks/0/name", "value": "other.fill.meshfence.io"}]`, list},
		{"another webhook in its place", filling(), `[{"op": "replace", "path": "/webhooks/0", "value": ` + another + `}]`, list},
		{"a rule more", filling(), `[{"op": "add", "path": "/webhooks/0/rules/-", "value": {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}}]`, fields},
		{"a resource more", filling(), `[{"op": "add", "path": "/webhooks/0/rules/0/resources/-", "value": "pods"}]`, fields},
		{"a namespaceSelector", judging(), `[{"op": "remove", "path": "NAMESPACES/namespaceSelector"}]`, fields},
		{"an objectSelector", filling(), `[{"op": "add", "path": "/webhooks/0/objectSelector", "value": {"matchLabels": {"a": "b"}}}]`, fields},
		{"failurePolicy", judging(), `[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]`, fields},
		{"matchPolicy", judging(), `[{"op": "replace", "path": "/webhooks/0/matchPolicy", "value": "Exact"}]`, fields},
		{"sideEffects", judging(), `[{"op": "replace", "path": "/webhooks/0/sideEffects", "value": "None"}]`, fields},
		{"timeoutSeconds", judging(), `[{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 1}]`, fields},
		{"reinvocationPolicy", filling(), `[{"op": "replace", "path": "/webhooks/0/reinvocationPolicy", "value": "IfNeeded"}]`, fields},
		{"the address", filling(), `[{"op": "replace", "path": "/webhooks/0/clientConfig/url", "value": "https://example.com/"}]`, asks},
		{"a service", filling(), `[{"op": "replace", "path": "/webhooks/0/clientConfig", "value": {"service": {"namespace": "default", "name": "evil"}}}]`, asks},
		{"a match condition more", filling(), `[{"op": "add", "path": "/webhooks/0/matchConditions/-", "value": {"name": "never", "expression": "false"}}]`, conditions},
		{"a match condition less", filling(), `[{"op": "remove", "path": "/webhooks/0/matchConditions/0"}]`, conditions},
		{"no match conditions", filling(), `[{"op": "remove", "path": "/webhooks/0/matchConditions"}]`, conditions},
		{"another name of the match condition", judging(), `[{"op": "replace", "path": "NAMESPACES/matchConditions/0/name", "value": "other"}]`, conditions},
		{"a match condition of that name where there is none", judging(), `[{"op": "add", "path": "/webhooks/0/matchConditions", "value": [{"name": "mesh-labels", "expression": "false"}]}]`, conditions},
		{"another match condition", judging(), `[{"op": "replace", "path": "MESHMAP/matchConditions/0/expression", "value": "false"}]`, conditions},
	}
	bundled := base64.StdEncoding.EncodeToString(append(slices.Clone(stored.Webhooks[0].ClientConfig.CABundle), '\n')) // another text, the same authority
	for i := range all {
		all[i].patch = strings.ReplaceAll(at(all[i].patch), "BUNDLE", bundled)
	}
	return all
}
