package match_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

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

func TestExpressionsAsText(t *testing.T) {
	const validate = `object.metadata.?labels[?'example.com/mesh'] != oldObject.?metadata.?labels[?'example.com/mesh'] ||
object.metadata.?labels[?'istio-discovery'] != oldObject.?metadata.?labels[?'istio-discovery'] ||
object.metadata.?labels[?'istio-injection'] != oldObject.?metadata.?labels[?'istio-injection'] ||
object.metadata.?labels[?'istio.io/rev'] != oldObject.?metadata.?labels[?'istio.io/rev']`
	const because = `'example.com/mesh' in object.metadata.labels && object.metadata.?labels[?'example.com/mesh'] != oldObject.?metadata.?labels[?'example.com/mesh'] ||
'istio-discovery' in object.metadata.labels && object.metadata.?labels[?'istio-discovery'] != oldObject.?metadata.?labels[?'istio-discovery']`
	const fill = `has(object.metadata.labels) && (
` + because + `
) && (
!('istio-injection' in object.metadata.labels || 'istio.io/dataplane-mode' in object.metadata.labels || 'istio.io/rev' in object.metadata.labels || 'maistra.io/member-of' in object.metadata.labels) ||
'istio.io/rev' in object.metadata.labels &&
object.metadata.?labels[?'istio.io/rev'] == oldObject.?metadata.?labels[?'istio.io/rev'] &&
object.metadata.?labels[?'istio.io/rev'] == object.metadata.?annotations[?'meshfence.io/filled-revision']
) &&
object.metadata.?labels[?'meshfence.io/fill'] != optional.of('false') &&
object.metadata.?annotations[?'meshfence.io/fill'] != optional.of('false')`
	_, revisionAndInjection, _ := strings.Cut(validate, "labels[?'istio-discovery'] ||\n")
	keys := []string{"istio-discovery", "istio.io/rev", "example.com/mesh", "istio-discovery", "no' || true || '"}
	many := strings.Fields("a b c d e f g h j k l m n o p q r")
	manyKeys := func(more, condition string) string {
		listed := slices.Sorted(slices.Values(append(strings.Fields(more), many...)))
		return "[\n  '" + strings.Join(listed, "',\n  '") + "'\n].exists(key, " + condition
	}
	for _, test := range []struct{ name, want, got string }{
		{"validate", validate, match.ValidateExpression(keys)},
		{"fill", fill, match.FillExpression(keys)},
		{"validate without keys", revisionAndInjection, match.ValidateExpression(nil)},
		{"fill without keys", "false", match.FillExpression(nil)},
		{"validate, many keys", manyKeys("istio-injection istio.io/rev", "object.metadata.?labels[?key] != oldObject.?metadata.?labels[?key])"), match.ValidateExpression(many)},
		{"fill, many keys", strings.Replace(fill, because, manyKeys("", "key in object.metadata.labels && object.metadata.?labels[?key] != oldObject.?metadata.?labels[?key])"), 1), match.FillExpression(many)},
		{"fill, any label", strings.Replace(fill, because, match.ValidateAnyLabel, 1), match.FillAnyLabel()},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestGeneratorsLeaveTheirArgumentAlone(t *testing.T) {
	keys := make([]string, 0, 8)
	keys = append(keys, "mesh", "istio-discovery", "istio.io/rev")
	match.ValidateExpression(keys)
	match.FillExpression(keys)
	if diff := cmp.Diff([]string{"mesh", "istio-discovery", "istio.io/rev"}, keys); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// labels and annotations of the namespaces that the tests ask about.
type fields map[string]string

// namespace is absent (before a CREATE) if it is nil.
type namespace struct{ labels, annotations fields }

func with(labels fields) *namespace { return &namespace{labels: labels} }

func TestWhichRequestsAreSent(t *testing.T) {
	keys := []string{"istio-discovery", "mesh"}
	filled := func(discovery, revision, note string) *namespace {
		return &namespace{labels: fields{"istio-discovery": discovery, "istio.io/rev": revision}, annotations: fields{"meshfence.io/filled-revision": note}}
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
		{"only an annotation appears", with(fields{"mesh": "a"}), &namespace{fields{"mesh": "a"}, fields{"x": "y"}}, false, false},
		{"discovery label appears", with(nil), with(fields{"mesh": "a"}), true, true},
		{"discovery label appears beside others", with(fields{"team": "a"}), with(fields{"team": "a", "istio-discovery": "a"}), true, true},
		{"discovery label becomes empty", with(fields{"mesh": "a"}), with(fields{"mesh": ""}), true, true},
		{"discovery label with empty value goes away", with(fields{"mesh": ""}), with(nil), true, false},
		{"discovery label changes", with(fields{"mesh": "a"}), with(fields{"mesh": "b"}), true, true},
		{"discovery label goes away", with(fields{"mesh": "a"}), with(nil), true, false},
		{"discovery label moves to the other key", with(fields{"mesh": "a"}), with(fields{"istio-discovery": "a"}), true, true},
		{"revision appears", with(fields{"mesh": "a"}), with(fields{"mesh": "a", "istio.io/rev": "a"}), true, false},
		{"revision goes away", with(fields{"mesh": "a", "istio.io/rev": "a"}), with(fields{"mesh": "a"}), true, false},
		{"injection label appears", with(nil), with(fields{"istio-injection": "enabled"}), true, false},
		{"discovery label changes beside a person's revision", with(fields{"mesh": "a", "istio.io/rev": "a"}), with(fields{"mesh": "b", "istio.io/rev": "a"}), true, false},
		{"discovery label changes beside a filled revision", filled("a", "a", "a"), filled("b", "a", "a"), true, true},
		{"discovery label changes beside a revision that a person changed since", filled("a", "c", "a"), filled("b", "c", "a"), true, false},
		{"discovery label and filled revision change together", filled("a", "a", "a"), filled("b", "b", "b"), true, false},
		{"discovery label appears together with a revision that an old annotation names", &namespace{annotations: fields{"meshfence.io/filled-revision": "a"}}, filled("a", "a", "a"), true, false},
		{"created with a revision and the annotation, as from a backup", nil, filled("a", "a", "a"), true, false},
		{"created and opted out by an annotation", nil, &namespace{fields{"mesh": "a"}, fields{"meshfence.io/fill": "false"}}, true, false},
		{"created and opted out by a label", nil, with(fields{"mesh": "a", "meshfence.io/fill": "false"}), true, false},
		{"discovery label appears, opted out", with(nil), &namespace{fields{"mesh": "a"}, fields{"meshfence.io/fill": "false"}}, true, false},
		{"discovery label appears, opted out no longer", &namespace{nil, fields{"meshfence.io/fill": "false"}}, with(fields{"mesh": "a"}), true, true},
		{"created with the opposite of an opt-out", nil, &namespace{fields{"mesh": "a"}, fields{"meshfence.io/fill": "true"}}, true, true},
		{"opted in again, nothing else", &namespace{fields{"mesh": "a"}, fields{"meshfence.io/fill": "false"}}, with(fields{"mesh": "a"}), false, false},
		{"all labels go away, an annotation stays", filled("a", "a", "a"), &namespace{annotations: fields{"meshfence.io/filled-revision": "a"}}, true, false},
		{"discovery label appears where a filled revision was removed", &namespace{annotations: fields{"meshfence.io/filled-revision": "a"}}, &namespace{fields{"mesh": "a"}, fields{"meshfence.io/filled-revision": "a"}}, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := matches(t, test.old, test.new, match.ValidateExpression(keys)); got != test.validate {
				t.Errorf("asked to validate: got %t, want %t", got, test.validate)
			}
			if got := matches(t, test.old, test.new, match.FillExpression(keys)); got != test.fill {
				t.Errorf("asked to fill: got %t, want %t", got, test.fill)
			}
			if test.validate && !matches(t, test.old, test.new, match.ValidateAnyLabel) {
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
	for name, keys := range map[string][]string{"few keys": few, "many keys": many} {
		t.Run(name, func(t *testing.T) { meanWhatIsDocumented(t, keys) })
	}
}

func meanWhatIsDocumented(t *testing.T, keys []string) {
	chosen := []string{"istio-injection", "istio.io/dataplane-mode", "istio.io/rev", "maistra.io/member-of"}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(names []string, values ...string) fields {
		if random.IntN(8) == 0 {
			return nil
		}
		picked := fields{}
		for _, name := range names {
			if random.IntN(3) == 0 {
				picked[name] = values[random.IntN(len(values))]
			}
		}
		return picked
	}
	anything := func() *namespace {
		n := with(pick(slices.Concat(keys[:2], chosen, []string{"team"}), "", "a", "b"))
		if n.labels != nil && random.IntN(6) == 0 {
			n.labels["meshfence.io/fill"] = []string{"false", "true"}[random.IntN(2)]
		}
		n.annotations = pick([]string{"meshfence.io/filled-revision", "meshfence.io/fill"}, "a", "b", "false")
		return n
	}
	validate, fill := newCondition(match.ValidateExpression(keys)), newCondition(match.FillExpression(keys))
	asked := map[bool]int{}
	for range 10000 {
		var old *namespace
		if random.IntN(4) > 0 {
			old = anything()
		}
		current := anything()
		if old != nil && random.IntN(2) == 0 { // what is filled in follows only if much stays as it was
			current.labels = maps.Clone(old.labels)
			if current.labels != nil {
				current.labels[keys[random.IntN(2)]] = "c"
			}
		}
		if want, got := judged(keys, old, current), validate.holds(t, old, current); got != want {
			t.Fatalf("from %v to %v: asked to validate: %t", old, current, got)
		}
		want, got := fillable(keys, chosen, old, current), fill.holds(t, old, current)
		if got != want {
			t.Fatalf("from %v to %v: asked to fill: %t", old, current, got)
		}
		asked[got]++
	}
	if asked[true] < 250 {
		t.Errorf("only %d of %d may be filled in", asked[true], asked[true]+asked[false])
	}
}

// judged is the documentation of ValidateExpression.
func judged(keys []string, old, current *namespace) bool {
	return slices.ContainsFunc(append([]string{"istio.io/rev", "istio-injection"}, keys...), func(key string) bool {
		return old.label(key) != current.label(key)
	})
}

// fillable is the documentation of FillExpression.
func fillable(keys, chosen []string, old, current *namespace) bool {
	is := func(key string) bool { return current.label(key) != absent }
	appears := slices.ContainsFunc(keys, func(key string) bool { return is(key) && old.label(key) != current.label(key) })
	follows := is("istio.io/rev") && old.label("istio.io/rev") == current.label("istio.io/rev") &&
		current.annotations["meshfence.io/filled-revision"] == current.label("istio.io/rev")
	if _, noted := current.annotations["meshfence.io/filled-revision"]; !noted {
		follows = false
	}
	return appears && (!slices.ContainsFunc(chosen, is) || follows) &&
		current.label("meshfence.io/fill") != "false" && current.annotations["meshfence.io/fill"] != "false"
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

func TestWithoutKeysNothingIsFilled(t *testing.T) {
	if matches(t, nil, with(fields{"mesh": "a"}), match.FillExpression(nil)) {
		t.Error("asked to fill, with no key that decides membership")
	}
	if !matches(t, nil, with(fields{"istio.io/rev": "a"}), match.ValidateExpression(nil)) {
		t.Error("not asked to validate a revision")
	}
}

// The API server stops conditions that cost more than a budget of its own, which would refuse the request. A thousand keys are
// ten times what a hundred meshes of different keys would bring.
func TestManyKeysStayWithinTheBudget(t *testing.T) {
	var keys []string
	labels := fields{}
	for i := range 1000 {
		key := fmt.Sprintf("discovery.example.com/a-rather-long-label-key-number-%d", i)
		keys = append(keys, key)
		labels[key] = strings.Repeat("v", 63)
	}
	begin := time.Now()
	validate, fill := newCondition(match.ValidateExpression(keys)), newCondition(match.FillExpression(keys))
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the first request after a change of the keys would wait for %v", took)
	}
	if validate.holds(t, with(labels), with(labels)) {
		t.Error("asked to validate, though nothing changed")
	}
	if fill.holds(t, with(labels), with(labels)) {
		t.Error("asked to fill, though nothing changed")
	}
	moved := maps.Clone(labels)
	moved[keys[500]] = "another"
	if !validate.holds(t, with(labels), with(moved)) || !fill.holds(t, with(labels), with(moved)) {
		t.Error("not asked, though a label changed")
	}
}

// The oldest Kubernetes that meshfence is made for must accept the expressions too.
func TestOldestKubernetesAcceptsTheExpressions(t *testing.T) {
	compiler := cel.NewConditionCompiler(environment.MustBaseEnvSet(version.MajorMinor(1, 31)))
	for _, keys := range [][]string{nil, {"mesh"}, {"istio-discovery", "mesh"}} {
		evaluator := compiler.CompileCondition(accessors(match.ValidateExpression(keys), match.FillExpression(keys), match.ValidateAnyLabel, match.FillAnyLabel(), match.NoneOf(keys)),
			cel.OptionalVariableDeclarations{HasAuthorizer: true}, environment.NewExpressions)
		for _, err := range evaluator.CompilationErrors() {
			t.Errorf("keys %q: %v", keys, err)
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
		ObjectMeta: metav1.ObjectMeta{GenerateName: "app-", Labels: n.labels, Annotations: n.annotations},
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
