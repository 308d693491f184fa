package match_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/meshfence/meshfence/webhook/match"
)

// of asks about label keys only.
func of(keys ...string) match.Scope { return match.Scope{Keys: keys} }

func TestExpressionsAsText(t *testing.T) {
	const always = `object.metadata.?labels[?'istio-injection'] != oldObject.?metadata.?labels[?'istio-injection'] ||
object.metadata.?labels[?'istio.io/dataplane-mode'] != oldObject.?metadata.?labels[?'istio.io/dataplane-mode'] ||
object.metadata.?labels[?'istio.io/rev'] != oldObject.?metadata.?labels[?'istio.io/rev']`
	const accepts = `object.metadata.?annotations[?'meshfence.io/accept'] != oldObject.?metadata.?annotations[?'meshfence.io/accept'] ||
object.metadata.?annotations[?'meshfence.io/accept-until'] != oldObject.?metadata.?annotations[?'meshfence.io/accept-until'] ||
`
	const validate = `object.metadata.?labels[?'example.com/mesh'] != oldObject.?metadata.?labels[?'example.com/mesh'] ||
object.metadata.?labels[?'istio-discovery'] != oldObject.?metadata.?labels[?'istio-discovery'] ||
` + always
	const names = ` ||
oldObject == null && object.metadata.?name.orValue('') in [
  'cart',
  'shop'
]`
	const anyName = ` ||
oldObject == null`
	filling := func(because string) string {
		return `(
` + because + `
) && (
!object.metadata.?labels[?'istio.io/rev'].hasValue() ||
object.metadata.?labels[?'istio.io/rev'] == oldObject.?metadata.?labels[?'istio.io/rev']
) && (
oldObject != null ||
!(object.metadata.?labels[?'istio-injection'].hasValue() ||
object.metadata.?labels[?'istio.io/dataplane-mode'].hasValue() ||
object.metadata.?labels[?'maistra.io/member-of'].hasValue())
) && (
object.metadata.?labels[?'istio.io/rev'].hasValue() ||
object.metadata.?labels[?'meshfence.io/fill'] != optional.of('false') &&
object.metadata.?annotations[?'meshfence.io/fill'] != optional.of('false')
)`
	}
	few := []string{"istio-discovery", "istio.io/rev", "example.com/mesh", "istio-discovery", "no' || true || '"}
	many := strings.Fields("a b c d e f g h j k l m n o p q r")
	listed := slices.Sorted(slices.Values(append(strings.Fields("istio-injection istio.io/rev istio.io/dataplane-mode"), many...)))
	list := "[\n  '" + strings.Join(listed, "',\n  '") + "'\n].exists(key, object.metadata.?labels[?key] != oldObject.?metadata.?labels[?key])"
	shops := []string{"shop", "cart", "shop", "Not A Name", "no'] || true || 'x' in ['"}
	for name, test := range map[string]struct {
		asked match.Scope
		want  string
	}{
		"some keys":                        {of(few...), validate},
		"no keys":                          {of(), always},
		"many keys":                        {of(many...), list},
		"names":                            {match.Scope{Keys: few, Names: shops}, validate + names},
		"many keys, and names":             {match.Scope{Keys: many, Names: shops}, list + names},
		"any name":                         {match.Scope{AnyName: true}, always + anyName},
		"any name, so that none is needed": {match.Scope{Keys: few, Names: shops, AnyName: true}, validate + anyName},
		"the name's label among the keys":  {of(append(few, "kubernetes.io/metadata.name")...), validate + anyName},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(accepts+test.want, match.ValidateExpression(test.asked)); diff != "" {
				t.Errorf("validate (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(filling(test.want), match.FillExpression(test.asked)); diff != "" {
				t.Errorf("fill (-want +got):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(filling("object.metadata.?labels != oldObject.?metadata.?labels"), match.FillAnyLabel()); diff != "" {
		t.Errorf("any label (-want +got):\n%s", diff)
	}
}

func TestGeneratorsLeaveTheirArgumentAlone(t *testing.T) {
	asked := match.Scope{Keys: make([]string, 0, 8), Names: []string{"shop", "cart"}}
	asked.Keys = append(asked.Keys, "mesh", "istio-discovery", "istio.io/rev")
	match.ValidateExpression(asked)
	match.FillExpression(asked)
	if diff := cmp.Diff(match.Scope{Keys: []string{"mesh", "istio-discovery", "istio.io/rev"}, Names: []string{"shop", "cart"}}, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatAnExpressionAsksAboutIsRead(t *testing.T) {
	always := []string{"istio-injection", "istio.io/dataplane-mode", "istio.io/rev"}
	many := strings.Fields("a b c d e f g h j k l m n o p q r")
	for _, keys := range [][]string{nil, {"mesh"}, many} {
		for _, asked := range []match.Scope{{}, {Names: []string{"cart"}}, {Names: []string{"cart", "shop"}}, {AnyName: true}} {
			asked.Keys = slices.Sorted(slices.Values(slices.Concat(always, keys)))
			for name, expression := range map[string]string{"validate": match.ValidateExpression(asked), "fill": match.FillExpression(asked)} {
				if diff := cmp.Diff(asked, match.Read(expression)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		}
	}
}

// labels and annotations of the namespaces that the tests ask about.
type fields map[string]string

// namespace is absent (before a CREATE) if it is nil.
type namespace struct {
	labels, annotations fields
	name                string
}

func with(labels fields) *namespace { return &namespace{labels: labels} }

func TestWhichRequestsAreSent(t *testing.T) {
	asked := of("istio-discovery", "mesh")
	filled := func(discovery, revision, note string) *namespace {
		return &namespace{labels: fields{"istio-discovery": discovery, "istio.io/rev": revision}, annotations: fields{"meshfence.io/filled-revision": note}}
	}
	accepting := func(codes, until string, labels fields) *namespace {
		n := &namespace{labels: labels, annotations: fields{"meshfence.io/accept": codes}}
		if until != "" {
			n.annotations["meshfence.io/accept-until"] = until
		}
		return n
	}
	for _, test := range []struct {
		name     string
		old, new *namespace
		validate bool
		fill     bool
	}{
		{"created without labels", nil, with(nil), false, false},
		{"created with other labels", nil, with(fields{"team": "a"}), false, false},
		{"created with a discovery label", nil, with(fields{"mesh": "a"}), true, true},
		{"created with an empty discovery label", nil, with(fields{"mesh": ""}), true, true},
		{"created with a revision", nil, with(fields{"istio.io/rev": "a"}), true, false},
		{"created with both", nil, with(fields{"mesh": "a", "istio.io/rev": "a"}), true, false},
		{"created with injection switched off", nil, with(fields{"mesh": "a", "istio-injection": "disabled"}), true, false},
		{"created for ambient", nil, with(fields{"mesh": "a", "istio.io/dataplane-mode": "ambient"}), true, false},
		{"created as a member of Service Mesh 2", nil, with(fields{"mesh": "a", "maistra.io/member-of": "b"}), true, false},
		{"nothing changes, no labels", with(nil), with(nil), false, false},
		{"nothing changes, mesh labels", with(fields{"mesh": "a", "istio.io/rev": "a"}), with(fields{"mesh": "a", "istio.io/rev": "a"}), false, false},
		{"another label appears", with(nil), with(fields{"team": "a"}), false, false},
		{"another label changes beside mesh labels", with(fields{"mesh": "a", "team": "a"}), with(fields{"mesh": "a", "team": "b"}), false, false},
		{"only an annotation appears", with(fields{"mesh": "a"}), &namespace{labels: fields{"mesh": "a"}, annotations: fields{"x": "y"}}, false, false},
		{"created and accepts a finding", nil, accepting("MF205", "", nil), true, false},
		{"accepts a finding", with(fields{"mesh": "a"}), accepting("MF205", "", fields{"mesh": "a"}), true, false},
		{"accepts another finding", accepting("MF205", "", nil), accepting("MF205,MF202", "", nil), true, false},
		{"accepts for longer", accepting("MF205", "2030-01-01T00:00:00Z", nil), accepting("MF205", "2040-01-01T00:00:00Z", nil), true, false},
		{"accepts for ever", accepting("MF205", "2030-01-01T00:00:00Z", nil), accepting("MF205", "", nil), true, false},
		{"accepts no more", accepting("MF205", "", nil), with(nil), true, false},
		{"accepts as before", accepting("MF205", "", nil), accepting("MF205", "", fields{"team": "a"}), false, false},
		{"discovery label appears", with(nil), with(fields{"mesh": "a"}), true, true},
		{"discovery label appears beside others", with(fields{"team": "a"}), with(fields{"team": "a", "istio-discovery": "a"}), true, true},
		{"discovery label becomes empty", with(fields{"mesh": "a"}), with(fields{"mesh": ""}), true, true},
		{"discovery label with empty value goes away", with(fields{"mesh": ""}), with(nil), true, true},
		{"discovery label changes", with(fields{"mesh": "a"}), with(fields{"mesh": "b"}), true, true},
		{"discovery label goes away", with(fields{"mesh": "a"}), with(nil), true, true},
		{"discovery label moves to the other key", with(fields{"mesh": "a"}), with(fields{"istio-discovery": "a"}), true, true},
		{"revision appears", with(fields{"mesh": "a"}), with(fields{"mesh": "a", "istio.io/rev": "a"}), true, false},
		{"revision goes away", with(fields{"mesh": "a", "istio.io/rev": "a"}), with(fields{"mesh": "a"}), true, true},
		{"injection label appears", with(nil), with(fields{"istio-injection": "enabled"}), true, true},
		{"discovery label changes beside a person's revision", with(fields{"mesh": "a", "istio.io/rev": "a"}), with(fields{"mesh": "b", "istio.io/rev": "a"}), true, true},
		{"discovery label changes beside a filled revision", filled("a", "a", "a"), filled("b", "a", "a"), true, true},
		{"discovery label changes beside a revision that a person changed since", filled("a", "c", "a"), filled("b", "c", "a"), true, true},
		{"discovery label and filled revision change together", filled("a", "a", "a"), filled("b", "b", "b"), true, false},
		{"discovery label appears together with a revision that an old annotation names", &namespace{annotations: fields{"meshfence.io/filled-revision": "a"}}, filled("a", "a", "a"), true, false},
		{"created with a revision and the annotation, as from a backup", nil, filled("a", "a", "a"), true, false},
		{"created and opted out by an annotation", nil, &namespace{labels: fields{"mesh": "a"}, annotations: fields{"meshfence.io/fill": "false"}}, true, false},
		{"created and opted out by a label", nil, with(fields{"mesh": "a", "meshfence.io/fill": "false"}), true, false},
		{"discovery label appears, opted out", with(nil), &namespace{labels: fields{"mesh": "a"}, annotations: fields{"meshfence.io/fill": "false"}}, true, false},
		{"discovery label goes away beside a filled revision, opted out since", filled("a", "a", "a"), &namespace{
			labels: fields{"istio.io/rev": "a"}, annotations: fields{"meshfence.io/filled-revision": "a", "meshfence.io/fill": "false"},
		}, true, true},
		{"filled revision removed, opted out", filled("a", "a", "a"), &namespace{
			labels: fields{"istio-discovery": "a"}, annotations: fields{"meshfence.io/fill": "false"},
		}, true, false},
		{"discovery label appears, opted out no longer", &namespace{labels: nil, annotations: fields{"meshfence.io/fill": "false"}}, with(fields{"mesh": "a"}), true, true},
		{"created with the opposite of an opt-out", nil, &namespace{labels: fields{"mesh": "a"}, annotations: fields{"meshfence.io/fill": "true"}}, true, true},
		{"opted in again, nothing else", &namespace{labels: fields{"mesh": "a"}, annotations: fields{"meshfence.io/fill": "false"}}, with(fields{"mesh": "a"}), false, false},
		{"all labels go away, an annotation stays", filled("a", "a", "a"), &namespace{annotations: fields{"meshfence.io/filled-revision": "a"}}, true, true},
		{"discovery label appears where a filled revision was removed", &namespace{annotations: fields{"meshfence.io/filled-revision": "a"}}, &namespace{labels: fields{"mesh": "a"}, annotations: fields{"meshfence.io/filled-revision": "a"}}, true, true},
		{"dataplane mode appears", with(fields{"mesh": "a"}), with(fields{"mesh": "a", "istio.io/dataplane-mode": "ambient"}), true, true},
		{"dataplane mode goes away", with(fields{"istio.io/dataplane-mode": "ambient"}), with(nil), true, true},
		{"created for ambient, without a mesh", nil, with(fields{"istio.io/dataplane-mode": "ambient"}), true, false},
		{"injection label appears beside a filled revision", filled("a", "a", "a"), &namespace{
			labels:      fields{"istio-discovery": "a", "istio.io/rev": "a", "istio-injection": "disabled"},
			annotations: fields{"meshfence.io/filled-revision": "a"},
		}, true, true},
		{"revision changes", with(fields{"mesh": "a", "istio.io/rev": "a"}), with(fields{"mesh": "a", "istio.io/rev": "b"}), true, false},
		{"revision and annotation vanish together", filled("a", "a", "a"), with(fields{"istio-discovery": "a"}), true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := matches(t, test.old, test.new, match.ValidateExpression(asked)); got != test.validate {
				t.Errorf("asked to validate: got %t, want %t", got, test.validate)
			}
			if got := matches(t, test.old, test.new, match.FillExpression(asked)); got != test.fill {
				t.Errorf("asked to fill: got %t, want %t", got, test.fill)
			}
			if test.validate && !matches(t, test.old, test.new, match.ValidateAnyLabel()) {
				t.Error("not asked to validate, with more keys than an expression can have")
			}
			if got := matches(t, test.old, test.new, match.FillAnyLabel()); test.fill && !got {
				t.Error("not asked to fill, with more keys than an expression can have")
			}
		})
	}
}

// The expressions say what their documentation says, of namespaces whose labels and annotations are chosen at random.
func TestExpressionsMeanWhatTheyAreDocumentedToMean(t *testing.T) {
	few := []string{"istio-discovery", "mesh"}
	many := slices.Clone(few) // so many that they are a list
	for i := range 30 {
		many = append(many, fmt.Sprintf("unused-%d", i))
	}
	for name, asked := range map[string]match.Scope{
		"few keys": of(few...), "many keys": of(many...), "a name": {Keys: few, Names: []string{"app", "shop"}}, "any name": {Keys: few, AnyName: true},
	} {
		t.Run(name, func(t *testing.T) { meanWhatIsDocumented(t, asked) })
	}
}

func meanWhatIsDocumented(t *testing.T, asked match.Scope) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(names []string, values ...string) fields {
		if random.IntN(8) == 0 {
			return nil
		}
		picked := fields{}
		for _, name := range names {
			if random.IntN(4) == 0 {
				picked[name] = values[random.IntN(len(values))]
			}
		}
		return picked
	}
	anything := func() *namespace {
		n := with(pick(slices.Concat(asked.Keys[:2], chosen(), []string{"team"}), "", "a", "b"))
		if n.labels != nil && random.IntN(6) == 0 {
			n.labels["meshfence.io/fill"] = []string{"false", "true"}[random.IntN(2)]
		}
		n.annotations = pick([]string{"meshfence.io/filled-revision", "meshfence.io/fill", "meshfence.io/accept", "meshfence.io/accept-until"}, "a", "b", "false")
		n.name = []string{"", "app", "blog"}[random.IntN(3)]
		return n
	}
	validate, fill := newCondition(match.ValidateExpression(asked)), newCondition(match.FillExpression(asked))
	seen := map[bool]int{}
	for range 5000 {
		var old *namespace
		if random.IntN(4) > 0 {
			old = anything()
		}
		current := anything()
		if old != nil && random.IntN(2) == 0 {
			current.labels = maps.Clone(old.labels)
			if current.labels != nil && random.IntN(2) == 0 {
				current.labels[asked.Keys[random.IntN(2)]] = "c"
			}
		}
		if want, got := judged(asked, old, current), validate.holds(t, old, current); got != want {
			t.Fatalf("from %v to %v: asked to validate: %t", old, current, got)
		}
		want, got := fillable(asked, old, current), fill.holds(t, old, current)
		if got != want {
			t.Fatalf("from %v to %v: asked to fill: %t", old, current, got)
		}
		seen[got]++
	}
	if seen[true] < 250 || seen[false] < 250 {
		t.Errorf("asked to fill: %v", seen)
	}
}

// judged is the documentation of ValidateExpression.
func judged(asked match.Scope, old, current *namespace) bool {
	return relabelled(asked, old, current) || slices.ContainsFunc([]string{"meshfence.io/accept", "meshfence.io/accept-until"}, func(name string) bool {
		return old.annotation(name) != current.annotation(name)
	})
}

// relabelled is that without what the namespace accepts.
func relabelled(asked match.Scope, old, current *namespace) bool {
	changes := slices.ContainsFunc(append([]string{"istio.io/rev", "istio-injection", "istio.io/dataplane-mode"}, asked.Keys...), func(key string) bool {
		return old.label(key) != current.label(key)
	})
	return changes || old == nil && (asked.AnyName || slices.Contains(asked.Names, current.name))
}

// chosen are the labels by which a person or another product has chosen already.
func chosen() []string {
	return []string{"istio-injection", "istio.io/dataplane-mode", "istio.io/rev", "maistra.io/member-of"}
}

// fillable is the documentation of FillExpression.
func fillable(asked match.Scope, old, current *namespace) bool {
	is := func(key string) bool { return current.label(key) != absent }
	setsRevision := is("istio.io/rev") && old.label("istio.io/rev") != current.label("istio.io/rev")
	return relabelled(asked, old, current) && !setsRevision && (old != nil || !slices.ContainsFunc(chosen(), is)) &&
		(is("istio.io/rev") || current.label("meshfence.io/fill") != "false" && current.annotations["meshfence.io/fill"] != "false")
}

// absent is the value of a label that is not there; no label can have it.
const absent = "*"

func (n *namespace) label(key string) string {
	if n != nil {
		if value, ok := n.labels[key]; ok {
			return value
		}
	}
	return absent
}

func (n *namespace) annotation(name string) string {
	if n != nil {
		if value, ok := n.annotations[name]; ok {
			return value
		}
	}
	return absent
}

// A name is asked about when the namespace is created, and only then: it never changes.
func TestNamesAreAskedAboutOnCreate(t *testing.T) {
	named := func(name string) *namespace { return &namespace{name: name} }
	names, anyName := match.Scope{Names: []string{"cart", "shop"}}, match.Scope{AnyName: true}
	for _, test := range []struct {
		name     string
		asked    match.Scope
		old, new *namespace
		want     bool
	}{
		{"one of the names", names, nil, named("shop"), true},
		{"another name", names, nil, named("blog"), false},
		{"a name that is yet to be generated", names, nil, named(""), false},
		{"an update", names, named("shop"), named("shop"), false},
		{"any name", anyName, nil, named("blog"), true},
		{"any name, yet to be generated", anyName, nil, named(""), true},
		{"any name, an update", anyName, named("blog"), named("blog"), false},
	} {
		if got := matches(t, test.old, test.new, match.ValidateExpression(test.asked)); got != test.want {
			t.Errorf("%s: asked to validate: %t", test.name, got)
		}
		if got := matches(t, test.old, test.new, match.FillExpression(test.asked)); got != test.want {
			t.Errorf("%s: asked to fill: %t", test.name, got)
		}
	}
}

// The API server stops conditions that cost more than a budget of its own, which would refuse the request. A thousand keys are
// ten times what a hundred meshes of different keys would bring, and the text is longer than any that the server writes.
func TestManyKeysAndNamesStayWithinTheBudget(t *testing.T) {
	var asked match.Scope
	labels := fields{}
	for i := range 1000 {
		key := fmt.Sprintf("discovery.example.com/a-rather-long-label-key-number-%d", i)
		asked.Keys = append(asked.Keys, key)
		labels[key] = strings.Repeat("v", 63)
		asked.Names = append(asked.Names, fmt.Sprintf("%s-%d", strings.Repeat("n", 16), i))
	}
	// Compiling them, for which the first request after a change waits, takes 0.1 s: lists, and not a term for each key (TestExpressionsAsText).
	validate, fill := newCondition(match.ValidateExpression(asked)), newCondition(match.FillExpression(asked))
	if validate.holds(t, with(labels), with(labels)) {
		t.Error("asked to validate, though nothing changed")
	}
	if fill.holds(t, with(labels), with(labels)) {
		t.Error("asked to fill, though nothing changed")
	}
	moved := maps.Clone(labels)
	moved[asked.Keys[500]] = "another"
	if !validate.holds(t, with(labels), with(moved)) || !fill.holds(t, with(labels), with(moved)) {
		t.Error("not asked, though a label changed")
	}
	named, other := &namespace{name: asked.Names[500]}, &namespace{name: strings.Repeat("o", 63)}
	if !validate.holds(t, nil, named) || !fill.holds(t, nil, named) {
		t.Error("not asked about one of the names")
	}
	if validate.holds(t, nil, other) || fill.holds(t, nil, other) {
		t.Error("asked about another name")
	}
}

// The oldest Kubernetes that meshfence is made for must accept the expressions too.
func TestOldestKubernetesAcceptsTheExpressions(t *testing.T) {
	compiler := cel.NewConditionCompiler(environment.MustBaseEnvSet(version.MajorMinor(1, 31)))
	for _, asked := range []match.Scope{{}, of("mesh"), of("istio-discovery", "mesh"), {Names: []string{"shop"}}, {AnyName: true}} {
		evaluator := compiler.CompileCondition(accessors(match.ValidateExpression(asked), match.FillExpression(asked), match.ValidateAnyLabel(), match.FillAnyLabel()),
			cel.OptionalVariableDeclarations{HasAuthorizer: true}, environment.NewExpressions)
		for _, err := range evaluator.CompilationErrors() {
			t.Errorf("%+v: %v", asked, err)
		}
	}
}

// matches evaluates conditions as the API server does.
func matches(t *testing.T, old, current *namespace, expressions ...string) bool {
	t.Helper()
	return newCondition(expressions...).holds(t, old, current)
}

// condition is one or several expressions, compiled as the API server does: with its own compiler, variables and budget.
type condition struct{ matchconditions.Matcher }

func newCondition(expressions ...string) condition {
	compiler := cel.NewConditionCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	evaluator := compiler.CompileCondition(accessors(expressions...), cel.OptionalVariableDeclarations{HasAuthorizer: true}, environment.StoredExpressions)
	// With Ignore an expression that fails would look like one that does not match.
	policy := admissionregistrationv1.Fail
	return condition{matchconditions.NewMatcher(evaluator, &policy, "webhook", "test", "test")}
}

func (c condition) holds(t *testing.T, old, current *namespace) bool {
	t.Helper()
	attributes, err := admission.NewVersionedAttributes(attributesOf(old, current), corev1.SchemeGroupVersion.WithKind("Namespace"), interfaces)
	if err != nil {
		t.Fatal(err)
	}
	result := c.Match(t.Context(), attributes, nil, nil)
	if result.Error != nil {
		t.Fatalf("the API server would refuse the request: %v", result.Error)
	}
	return result.Matches
}

var interfaces = objectInterfaces()

func attributesOf(old, current *namespace) admission.Attributes {
	operation, options := admission.Create, runtime.Object(&metav1.CreateOptions{})
	var oldObject runtime.Object
	if old != nil {
		operation, options = admission.Update, &metav1.UpdateOptions{}
		oldObject = old.object()
	}
	return admission.NewAttributesRecord(current.object(), oldObject, corev1.SchemeGroupVersion.WithKind("Namespace"), "", "app",
		corev1.SchemeGroupVersion.WithResource("namespaces"), "", operation, options, false, nil)
}

func (n *namespace) object() *corev1.Namespace {
	return &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: n.name, GenerateName: "app-", Labels: n.labels, Annotations: n.annotations},
	}
}

func objectInterfaces() admission.ObjectInterfaces {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, admissionv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return admission.NewObjectInterfacesFromScheme(scheme)
}

func accessors(expressions ...string) []cel.ExpressionAccessor {
	var out []cel.ExpressionAccessor
	for i, expression := range expressions {
		out = append(out, &matchconditions.MatchCondition{Name: fmt.Sprint("condition-", i), Expression: expression})
	}
	return out
}
