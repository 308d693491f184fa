package policy_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// now is the time of every judgement here: 2026-08-01T12:00:00Z.
var now = time.Unix(1785585600, 0)

// mf201 to mf204 are rules for tests that make up findings.
var (
	mf201 = policy.Rule{Code: "MF201", Name: "DiscoveredByMany", Action: policy.Deny}
	mf202 = policy.Rule{Code: "MF202", Name: "RevisionOfAnotherMesh", Action: policy.Deny}
	mf203 = policy.Rule{Code: "MF203", Name: "UnknownRevision", Action: policy.Deny}
	mf204 = policy.Rule{Code: "MF204", Name: "ConflictingInjectionLabels", Action: policy.Deny}
)

// guide is the fleet of the OpenShift guide "Deploying multiple service meshes on a single cluster", and a tag that makes
// mesh-1 the one that istio-injection=enabled uses.
func guide() []string {
	return []string{
		"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
		"IstioRevisionTag default; targets Istio mesh-1",
	}
}

// settings are those of an empty configuration file.
func settings() policy.Settings {
	return policy.Settings{
		DiscoveryLabels: []string{"istio-discovery", "mesh"},
		FillFrom:        []policy.FillSource{policy.MeshMap, policy.FollowingTag, policy.ActiveRevision},
		ControlPlane:    func(namespace string) bool { return strings.HasPrefix(namespace, "istio-system") },
	}
}

// fleet builds a snapshot from objects, which see.
func fleet(t testing.TB, lines ...string) *mesh.Fleet {
	t.Helper()
	return mesh.NewFleet(objects(t, lines...))
}

// objects reads a cluster in words: one object a line, what it is first, then its properties, separated by "; ".
//
//	Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1 | env in (dev,test)
//	IstioRevision mesh-1-v1-29-0; of mesh-1; selects {}
//	IstioRevisionTag default; targets Istio mesh-1
//	map mesh-1=stable mesh-2=mesh-2
//
// Properties of an Istio or IstioRevision: "in NAMESPACE", "selects SELECTOR | SELECTOR" (see selectors), "of ISTIO" (the
// controller), "version V", "RevisionBased", "profile P", "values-profile P", "bundle NAME" (global.trustBundleName),
// "env-bundle NAME" and "ambient" (istiod's environment), "with {VALUES}" (any values in YAML), "injects-by-default",
// "overlaps MESH,MESH", "until TIME" and "fill false" (the annotations), "malformed REASON".
//
//	Istiod usergroup-1/istio-a; release istiod; selects team=a
//
// is the istiod of revision a that Helm installed in that namespace; without "no-config" its ConfigMap is there.
func objects(t testing.TB, lines ...string) mesh.Objects {
	t.Helper()
	var all mesh.Objects
	for _, line := range lines {
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case sail.KindIstio:
			all.Istios = append(all.Istios, controlPlane(t, line))
		case sail.KindIstioRevision:
			all.Revisions = append(all.Revisions, controlPlane(t, line))
		case mesh.KindIstiod:
			all.Istiods = append(all.Istiods, controlPlane(t, line))
		case sail.KindIstioRevisionTag:
			all.Tags = append(all.Tags, tag(t, rest))
		case "map":
			all.Map = labels(t, rest)
		default:
			t.Fatalf("%q: what is %q?", line, kind)
		}
	}
	return all
}

func controlPlane(t testing.TB, line string) *sail.ControlPlane {
	t.Helper()
	parts := strings.Split(line, "; ")
	kind, name, _ := strings.Cut(parts[0], " ")
	cp := &sail.ControlPlane{Kind: kind, Metadata: sail.Meta{Name: name, Annotations: map[string]string{}}}
	if kind == mesh.KindIstiod {
		namespace, configMap, _ := strings.Cut(name, "/")
		cp.Spec.Namespace, cp.Installed = namespace, &sail.Installed{Revision: cmp.Or(strings.TrimPrefix(strings.TrimPrefix(configMap, "istio"), "-"), "default")}
	}
	for _, part := range parts[1:] {
		word, value, _ := strings.Cut(part, " ")
		property(t, cp, word, value)
	}
	return cp
}

func property(t testing.TB, cp *sail.ControlPlane, word, value string) {
	t.Helper()
	switch word {
	case "release":
		cp.Installed.Release, cp.Installed.By = value, "Helm"
	case "no-config":
		cp.Installed.NoConfig = true
	case "in":
		cp.Spec.Namespace = value
	case "selects":
		cp.Spec.Values.MeshConfig.DiscoverySelectors = selectors(t, value)
	case "of":
		controller := true
		cp.Metadata.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "sailoperator.io/v1", Kind: sail.KindIstio, Name: value, Controller: &controller,
		}}
	case "version":
		cp.Spec.Version = value
	case "RevisionBased":
		cp.Spec.UpdateStrategy.Type = sail.RevisionBased
	case "profile":
		cp.Spec.Profile = value
	case "values-profile":
		cp.Spec.Values.Profile = &value
	case "bundle":
		cp.Spec.Values.Global.TrustBundleName = value
	case "env-bundle":
		cp.Spec.Values.Pilot.Env.TrustBundle = value
	case "ambient":
		on := "true"
		cp.Spec.Values.Pilot.Env.Ambient = &on
	case "with":
		raw, err := yaml.YAMLToJSON([]byte(value))
		if err == nil {
			err = json.Unmarshal(raw, &cp.Spec.Values)
		}
		if err != nil {
			t.Fatal(err)
		}
	case "injects-by-default":
		cp.Spec.Values.Injector.EnableNamespacesByDefault = true
	case "overlaps":
		cp.Metadata.Annotations[sail.AllowOverlapAnnotation] = value
	case "until":
		cp.Metadata.Annotations[sail.AllowOverlapUntilAnnotation] = value
	case "fill":
		cp.Metadata.Annotations[sail.FillAnnotation] = value
	case "malformed":
		cp.Malformed = fmt.Errorf("%s", value)
	default:
		t.Fatalf("%s %q: what is %q?", cp.Kind, cp.Metadata.Name, word)
	}
}

// selectors reads discoverySelectors: items as kubectl's --selector takes them, or {}, or null, or "raw KEY OPERATOR
// VALUE…" for what kubectl would not take; separated by " | ". Nothing at all is the empty list.
func selectors(t testing.TB, text string) []*metav1.LabelSelector {
	t.Helper()
	list := []*metav1.LabelSelector{}
	if text == "" {
		return list
	}
	for item := range strings.SplitSeq(text, " | ") {
		switch words := strings.Fields(item); {
		case item == "null":
			list = append(list, nil)
		case item == "{}":
			list = append(list, &metav1.LabelSelector{})
		case words[0] == "raw":
			list = append(list, &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
				Key: words[1], Operator: metav1.LabelSelectorOperator(words[2]), Values: words[3:],
			}}})
		default:
			parsed, err := metav1.ParseToLabelSelector(item)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, parsed)
		}
	}
	return list
}

func tag(t testing.TB, text string) *sail.Tag {
	t.Helper()
	name, target, ok := strings.Cut(text, "; targets ")
	kind, targetName, named := strings.Cut(target, " ")
	if !ok || !named {
		t.Fatalf("%q: a tag is NAME; targets KIND NAME", text)
	}
	return &sail.Tag{Metadata: sail.Meta{Name: name}, Spec: sail.TagSpec{TargetRef: sail.TargetRef{Kind: kind, Name: targetName}}}
}

// labels reads "key=value key=value".
func labels(t testing.TB, text string) map[string]string {
	t.Helper()
	read := map[string]string{}
	for _, pair := range strings.Fields(text) {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			t.Fatalf("%q: labels are key=value", text)
		}
		read[key] = value
	}
	return read
}

// labelText is the reverse of labels, without the label that every namespace has.
func labelText(labels map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if key != mesh.NameLabel {
			pairs = append(pairs, key+"="+labels[key])
		}
	}
	return strings.Join(pairs, " ")
}

// namespace is a stored one, or one that is created by its name: with the label that every namespace has.
func namespace(t testing.TB, name, text string) *mesh.Namespace {
	t.Helper()
	ns := &mesh.Namespace{Name: name, Labels: labels(t, text)}
	ns.Labels[mesh.NameLabel] = name
	return ns
}

// numbered are n namespaces with the same labels: app-01, app-02 and so on.
func numbered(t testing.TB, n int, text string) []mesh.Namespace {
	t.Helper()
	list := make([]mesh.Namespace, n)
	for i := range list {
		list[i] = *namespace(t, fmt.Sprintf("app-%02d", i+1), text)
	}
	return list
}

// namespaceCase is a CREATE of the namespace app with the labels create, or, if from or to is not empty, an UPDATE.
type namespaceCase struct {
	name             string
	fleet            []string // guide() if there are none
	create, from, to string
	deleting         bool
	all              []mesh.Namespace // the cluster's; nil if they cannot be had
	// pods, user and rights are what the webhook has asked for, if it has.
	pods    *mesh.Pods
	user    string
	rights  map[mesh.Ref]policy.Right
	actions policy.Actions
	want    string // the codes, as outcome writes them; the text is in testdata/findings
}

func (c namespaceCase) judge(t *testing.T) policy.Verdict {
	t.Helper()
	if c.fleet == nil {
		c.fleet = guide()
	}
	change := policy.NamespaceChange{
		New: namespace(t, "app", c.create), Fleet: fleet(t, c.fleet...), Now: now, Pods: c.pods, User: c.user, Rights: c.rights,
	}
	if c.from != "" || c.to != "" {
		change.Old, change.New = namespace(t, "app", c.from), namespace(t, "app", c.to)
	}
	change.New.Deleting = c.deleting
	if c.all != nil {
		change.All = func() []mesh.Namespace { return c.all }
	}
	s := settings()
	s.Actions = c.actions
	return policy.New(s).Namespace(change)
}

func runNamespaceCases(t *testing.T, cases []namespaceCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { compare(t, c.judge(t), c.want) })
	}
}

// meshCase is a CREATE of the mesh create, or an UPDATE from the mesh from to the mesh to, or a DELETE of the mesh from if to
// is empty; beside others.
type meshCase struct {
	name             string
	others           []string
	create, from, to string
	namespaces       []mesh.Namespace
	exempt           func(namespace string) bool
	deleting         bool
	losing           *policy.Loss
	installing       *policy.Installing
	actions          policy.Actions
	want             string // the codes, as outcome writes them; the text is in testdata/findings
}

// judge puts the changed object into the stored ones, or takes it out of them, as the webhook does.
func (c meshCase) judge(t *testing.T) policy.Verdict {
	t.Helper()
	before, after := objects(t, c.others...), objects(t, c.others...)
	var ref mesh.Ref
	if c.from != "" {
		old := controlPlane(t, c.from)
		before = before.With(old)
		ref = meshOf(before, old)
	}
	if text := c.create + c.to; text != "" {
		updated := controlPlane(t, text)
		after = after.With(updated)
		ref = meshOf(after, updated)
	} else {
		after = withoutMesh(after, ref)
	}
	change := meshChange(before, after, ref)
	change.Namespaces, change.Exempt, change.Deleting, change.Creating = c.namespaces, c.exempt, c.deleting, c.create != ""
	change.Losing, change.Removing, change.Installing = c.losing, c.losing != nil, c.installing
	s := settings()
	s.Actions = c.actions
	return policy.New(s).Mesh(change)
}

// meshOf is the mesh that a stored object belongs to, as the webhook finds it.
func meshOf(stored mesh.Objects, cp *sail.ControlPlane) mesh.Ref {
	return mesh.NewFleet(stored).MeshOf(mesh.SourceRef(cp)).Ref
}

// withoutMesh are the objects that are left when a mesh is deleted: an Istio takes the revisions that it controls with it.
func withoutMesh(stored mesh.Objects, ref mesh.Ref) mesh.Objects {
	left := stored.Without(ref)
	for _, r := range stored.Revisions {
		if ref.Kind == sail.KindIstio && r.Metadata.Controller(sail.KindIstio) == ref.Name {
			left = left.Without(mesh.Ref{Kind: sail.KindIstioRevision, Name: r.Metadata.Name})
		}
	}
	return left
}

// meshChange is a change of one mesh; Old or New are nil where the mesh is not.
func meshChange(before, after mesh.Objects, ref mesh.Ref) policy.MeshChange {
	c := policy.MeshChange{Before: mesh.NewFleet(before), Fleet: mesh.NewFleet(after), Now: now}
	c.Old, c.New = c.Before.Mesh(ref), c.Fleet.Mesh(ref)
	return c
}

// tagCase is a CREATE of the tag create, or an UPDATE from the tag from to the tag to, or a DELETE of the tag from if to is
// empty; beside others. Tags are written as in objects.
type tagCase struct {
	name             string
	others           []string
	create, from, to string
	namespaces       []mesh.Namespace
	actions          policy.Actions
	want             string // the codes, as outcome writes them; the text is in testdata/findings
}

func (c tagCase) judge(t *testing.T) policy.Verdict {
	t.Helper()
	before, after := objects(t, c.others...), objects(t, c.others...)
	change := policy.TagChange{Namespaces: c.namespaces, Now: now}
	if c.from != "" {
		before = before.WithTag(tagNamed(t, c.from))
		change.Old = mesh.TagOf(tagNamed(t, c.from))
	}
	if text := c.create + c.to; text != "" {
		after = after.WithTag(tagNamed(t, text))
		change.New = mesh.TagOf(tagNamed(t, text))
	}
	change.Before, change.Fleet = mesh.NewFleet(before), mesh.NewFleet(after)
	s := settings()
	s.Actions = c.actions
	return policy.New(s).Tag(change)
}

// tagNamed reads "IstioRevisionTag NAME; targets KIND NAME".
func tagNamed(t testing.TB, line string) *sail.Tag {
	t.Helper()
	rest, ok := strings.CutPrefix(line, sail.KindIstioRevisionTag+" ")
	if !ok {
		t.Fatalf("%q is not a tag", line)
	}
	return tag(t, rest)
}

func runTagCases(t *testing.T, cases []tagCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { compare(t, c.judge(t), c.want) })
	}
}

// mapCase is a CREATE of the mesh map create, or, if from or to is not nil, an UPDATE, in a fleet. A key of the form
// binary:NAME stands for NAME in binaryData.
type mapCase struct {
	name             string
	fleet            []string // guide() if there are none
	create, from, to map[string]string
	namespaces       []mesh.Namespace
	actions          policy.Actions
	want             string // the codes, as outcome writes them; the text is in testdata/findings
}

func (c mapCase) judge(t *testing.T) policy.Verdict {
	t.Helper()
	if c.fleet == nil {
		c.fleet = guide()
	}
	change := policy.MapChange{New: meshMap(c.create), Fleet: fleet(t, c.fleet...), Namespaces: c.namespaces}
	if c.from != nil || c.to != nil {
		change.Old, change.New = meshMap(c.from), meshMap(c.to)
	}
	s := settings()
	s.Actions = c.actions
	return policy.New(s).Map(change)
}

func meshMap(entries map[string]string) *mesh.Map {
	m := &mesh.Map{Namespace: "meshfence-system", Name: "mesh-map", Data: map[string]string{}}
	for name, revision := range entries {
		if binary, ok := strings.CutPrefix(name, "binary:"); ok {
			m.Binary = append(m.Binary, binary)
		} else {
			m.Data[name] = revision
		}
	}
	slices.Sort(m.Binary)
	slices.Reverse(m.Binary) // no order that anybody may rely on
	return m
}

func runMapCases(t *testing.T, cases []mapCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { compare(t, c.judge(t), c.want) })
	}
}

func runMeshCases(t *testing.T, cases []meshCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { compare(t, c.judge(t), c.want) })
	}
}

// texts are those that a finding's message is made of.
func texts(f policy.Finding) []string {
	all := []string{f.Detail, f.Effect}
	for _, way := range f.Ways {
		all = append(append(all, way.Label), way.Commands...)
	}
	return all
}

// checkText finds what no part of a message may have: each is laid out in a line of its own.
func checkText(t *testing.T, text string) {
	t.Helper()
	for _, bad := range []string{"%!", "  ", "..", " .", " ,", "0x", "<nil>", "\n"} {
		if strings.Contains(strings.ReplaceAll(text, "',  or", "', or"), bad) { // apimachinery's own list of examples
			t.Errorf("the message contains %q: %s", bad, text)
		}
	}
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, ":") {
		t.Errorf("a part of the message ends with a full stop or a colon: %s", text)
	}
}

// checkReadable finds what no message may have, whatever it says.
func checkReadable(t *testing.T, f policy.Finding) {
	t.Helper()
	message := f.Message()
	if !strings.HasPrefix(message, string(f.Rule.Code)+" "+f.Rule.Name+": ") {
		t.Errorf("the message does not begin with code and name: %s", message)
	}
	if f.Detail == "" || len(f.Ways) == 0 || f.Field == "" {
		t.Errorf("the finding leaves something out: %#v", f)
	}
	for _, text := range texts(f) {
		checkText(t, text)
	}
	if strings.Contains(f.Detail, f.Field) || strings.Contains(f.Effect, f.Field) {
		t.Errorf("the field stands there twice: %s: %s", f.Field, message)
	}
	for _, command := range commandsIn(t, f.Ways, "") {
		after, err := kubectlLabel(map[string]string{}, command)
		if err != nil {
			t.Errorf("kubectl refuses %q: %v", command, err)
		}
		if errs := metav1validation.ValidateLabels(after, nil); len(errs) > 0 {
			t.Errorf("the API server refuses %q: %v", command, errs)
		}
	}
}
