package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/history"
	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/audit/scan"
	"github.com/meshfence/meshfence/webhook/cluster/events"
	"github.com/meshfence/meshfence/webhook/cluster/listing"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// fake is a cluster with one mesh and these namespaces.
type fake struct {
	fleet      *mesh.Fleet
	namespaces []mesh.Namespace
}

func (f *fake) Synced() bool       { return true }
func (f *fake) Fleet() *mesh.Fleet { return f.fleet }
func (f *fake) Namespaces(context.Context, func() []string) ([]mesh.Namespace, error) {
	return f.namespaces, nil
}
func (f *fake) MeshMap(context.Context) (*mesh.Map, error) { return nil, nil }

func newFake(t *testing.T, namespaces ...mesh.Namespace) *fake {
	t.Helper()
	cp, err := sail.DecodeControlPlane([]byte(`{"kind": "Istio", "metadata": {"name": "mesh-1"}, "spec": {"version": "v1.30.3", "namespace": "istio-system",
		"values": {"meshConfig": {"discoverySelectors": [{"matchLabels": {"istio-discovery": "mesh-1"}}]}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	cp.Kind = sail.KindIstio
	return &fake{fleet: mesh.NewFleet(mesh.Objects{Istios: []*sail.ControlPlane{cp}}), namespaces: namespaces}
}

func namespace(name string, labels ...string) mesh.Namespace {
	ns := mesh.Namespace{Name: name, Labels: map[string]string{mesh.NameLabel: name}}
	for _, label := range labels {
		key, value, _ := strings.Cut(label, "=")
		ns.Labels[key] = value
	}
	return ns
}

// newRound is a round that sees what look returns.
func newRound(cluster *fake, look Scan) *round {
	counter := newErrors()
	r := &Runner{
		Cluster: cluster, Scan: look, Annotations: annotated{}, Interval: time.Minute, errors: counter,
		Checker: func(now time.Time) *audit.Checker {
			return &audit.Checker{Policy: policy.New(policy.Settings{}), Now: now}
		},
	}
	return &round{Runner: r, shown: newShown(counter)}
}

// nothingSeen is a cluster in which nothing else is.
func nothingSeen(context.Context, policy.Existing, []observed.Resource) (scan.Seen, error) {
	return scan.Seen{Cluster: &observed.Cluster{}}, nil
}

func codes(o *Outcome) []string {
	var all []string
	for _, f := range o.Findings {
		all = append(all, string(f.Rule.Code)+" "+f.Name)
	}
	return all
}

// last keeps what was published last.
type last struct{ outcome *Outcome }

func (l *last) Publish(_ context.Context, o *Outcome) error { l.outcome = o; return nil }

func TestARunTellsWhatIsWrong(t *testing.T) {
	published := &last{}
	r := newRound(newFake(t, namespace("shop", "istio.io/rev=mesh-1")), nothingSeen)
	r.Publishers = []Publisher{published}
	r.run(t.Context())
	if diff := cmp.Diff([]string{"MF916 mesh-1", "MF205 shop"}, codes(published.outcome)); diff != "" { // no istiod is there either
		t.Error(diff)
	}
	if len(published.outcome.New) != 2 {
		t.Errorf("%d are new", len(published.outcome.New))
	}
	r.run(t.Context())
	if len(published.outcome.New) != 0 || len(published.outcome.Findings) != 2 {
		t.Errorf("the second run: %d new, %d findings", len(published.outcome.New), len(published.outcome.Findings))
	}
}

// What changes while the cluster is read may be read before or after the change: a rule about what was read is not to be broken by the mixture.
func TestWhatChangesMeanwhileIsWrongOnlyIfItIsBeforeAndAfter(t *testing.T) {
	pod := []byte(`{"metadata": {"namespace": "shop", "name": "a", "labels": {"service.istio.io/canonical-name": "a"}, "annotations": {"istio.io/rev": "mesh-1"}}}`)
	for name, test := range map[string]struct {
		before, after []string
		want          []string
	}{
		"wrong before and after":    {nil, nil, []string{"MF904 shop"}},
		"right before, wrong after": {[]string{"istio-discovery=mesh-1"}, nil, nil},
		"wrong before, right after": {nil, []string{"istio-discovery=mesh-1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, published := newFake(t, namespace("shop", test.before...)), &last{}
			r := newRound(cluster, func(context.Context, policy.Existing, []observed.Resource) (scan.Seen, error) {
				seen := scan.Seen{Cluster: &observed.Cluster{}}
				cluster.namespaces = []mesh.Namespace{namespace("shop", test.after...), namespace("new")}
				return seen, seen.Cluster.Add(observed.Pods, pod)
			})
			r.Publishers = []Publisher{published}
			r.run(t.Context())
			got := slices.DeleteFunc(codes(published.outcome), func(code string) bool { return !strings.HasPrefix(code, "MF904") })
			if diff := cmp.Diff(test.want, got); diff != "" && len(test.want)+len(got) > 0 {
				t.Error(diff)
			}
		})
	}
}

// annotated are the annotations of objects, by name; "" has an error for all.
type annotated map[string]map[string]string

func (a annotated) Of(_ context.Context, _ schema.GroupVersionResource, _ string, names []string) (map[string]map[string]string, error) {
	if _, fails := a[""]; fails {
		return nil, errors.New("connection refused")
	}
	of := map[string]map[string]string{}
	for _, name := range names {
		of[name] = a[name]
	}
	return of, nil
}

func TestWhatAnObjectAcceptsIsKnownAndNotTold(t *testing.T) {
	published := &last{}
	r := newRound(newFake(t, namespace("shop", "istio.io/rev=mesh-1"), namespace("cart", "istio.io/rev=mesh-1")), nothingSeen)
	r.Publishers, r.Annotations = []Publisher{published}, annotated{"shop": {"meshfence.io/accept": "MF205"}, "cart": {"meshfence.io/accept": "MF202"}}
	r.run(t.Context())
	accepted := map[string]bool{}
	for _, f := range published.outcome.Findings {
		accepted[f.Name] = f.Accepted
	}
	if want := map[string]bool{"mesh-1": false, "cart": false, "shop": true}; !maps.Equal(want, accepted) || len(published.outcome.New) != 2 {
		t.Errorf("accepted: %v, new: %d", accepted, len(published.outcome.New))
	}
	report := reportsOf(published.outcome)[1] // they are in no mesh
	if got := report.Summary; got != (openreports.ReportSummary{Fail: 1, Skip: 1}) || report.Results[1].Result != "skip" {
		t.Errorf("%+v, %+v", got, report.Results)
	}
	if n := r.shown.counts[findingKey{"MF205", "", "accepted"}]; n != 1 {
		t.Errorf("metrics: %v", r.shown.counts)
	}
	first := published.outcome
	r.Annotations = annotated{"": nil}
	if r.run(t.Context()); published.outcome != first || testutil.ToFloat64(r.errors) != 1 {
		t.Error("a run went on without knowing what is accepted")
	}
}

// A run that fails leaves what is shown, and what is known.
func TestARunThatFailsChangesNothing(t *testing.T) {
	fails := false
	published := &last{}
	r := newRound(newFake(t, namespace("shop", "istio.io/rev=mesh-1")), func(ctx context.Context, e policy.Existing, needs []observed.Resource) (scan.Seen, error) {
		if fails {
			return scan.Seen{}, errors.New("connection refused")
		}
		return nothingSeen(ctx, e, needs)
	})
	r.Publishers = []Publisher{published}
	r.run(t.Context())
	before, first := r.shown.succeeded, published.outcome
	fails = true
	r.run(t.Context())
	if r.shown.succeeded != before || published.outcome != first || testutil.ToFloat64(r.errors) != 1 {
		t.Errorf("succeeded %v, before %v; %v errors", r.shown.succeeded, before, testutil.ToFloat64(r.errors))
	}
}

// What could not be looked at is not gone.
func TestAPartialRunSaysSo(t *testing.T) {
	partial, published := false, &last{}
	r := newRound(newFake(t, namespace("shop")), func(context.Context, policy.Existing, []observed.Resource) (scan.Seen, error) {
		seen := scan.Seen{Cluster: &observed.Cluster{}}
		if partial {
			seen.Gaps = []listing.Gap{{Resource: string(observed.Pods), Why: errors.New("forbidden")}}
			seen.Cluster.Miss(observed.Pods, "pods cannot be read")
			return seen, nil
		}
		return seen, seen.Cluster.Add(observed.Pods, []byte(`{"metadata": {"namespace": "shop", "name": "a", "annotations": {"istio.io/rev": "mesh-1"}}}`))
	})
	r.Publishers = []Publisher{published}
	r.run(t.Context())
	partial = true
	r.run(t.Context())
	if diff := cmp.Diff([]string{"MF916 mesh-1", "MF904 shop"}, codes(published.outcome)); diff != "" || len(published.outcome.Gone) > 0 || !r.shown.incomplete {
		t.Errorf("gone %v, incomplete %t: %s", published.outcome.Gone, r.shown.incomplete, diff)
	}
}

func TestMetricsAreThoseOfTheLastRun(t *testing.T) {
	s := newShown(newErrors())
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s)
	if n, err := testutil.GatherAndCount(registry, "meshfence_audit_last_success_timestamp_seconds"); n != 0 || err != nil {
		t.Errorf("%d before the first run: %v", n, err)
	}
	s.show(&Outcome{
		Change:     history.Change{Findings: []history.Finding{finding("MF202", policy.Deny, "mesh-1", "a"), finding("MF202", policy.Deny, "mesh-1", "b"), finding("MF104", policy.Warn, "", "c")}},
		Namespaces: map[audit.Standing]int{{Mesh: "mesh-1", State: audit.Injected}: 3},
	}, 1500*time.Millisecond, time.Unix(1000, 0))
	want := `# HELP meshfence_audit_findings What is wrong in the cluster, by rule, by the mesh that it is counted for (empty for none) and by what the rule would do at admission: deny or warn, or accepted if the object accepts it.
# TYPE meshfence_audit_findings gauge
meshfence_audit_findings{action="deny",mesh="mesh-1",rule="MF202"} 2
meshfence_audit_findings{action="warn",mesh="",rule="MF104"} 1
# HELP meshfence_audit_last_success_timestamp_seconds When the audit last finished a run, in seconds since 1970.
# TYPE meshfence_audit_last_success_timestamp_seconds gauge
meshfence_audit_last_success_timestamp_seconds 1000
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "meshfence_audit_findings", "meshfence_audit_last_success_timestamp_seconds"); err != nil {
		t.Error(err)
	}
	s.show(&Outcome{}, time.Second, time.Unix(2000, 0))
	if n, err := testutil.GatherAndCount(registry, "meshfence_audit_findings"); n != 0 || err != nil {
		t.Errorf("%d findings after a run without any: %v", n, err)
	}
}

// finding is one of a rule about a namespace.
func finding(code policy.Code, action policy.Action, of, name string) history.Finding {
	o := policy.Offence{Kind: "Namespace", Name: name, Finding: policy.Finding{
		Rule: policy.Rule{Code: code, Name: "Name" + string(code)}, Action: action, Detail: "it is wrong", Ways: []policy.Way{{Label: "mend it", Commands: []string{"kubectl mend"}}},
	}}
	return history.Finding{Offence: o, Fingerprint: audit.Fingerprint(o), Mesh: of, Since: time.Unix(1000, 0)}
}

// recorded keeps events, except for those about objects with these names.
type recorded struct {
	all     []events.Event
	refused map[string]bool
	asked   int
}

func (r *recorded) Record(_ context.Context, e events.Event) error {
	r.asked++
	if r.refused[e.Name] {
		return errors.New("forbidden")
	}
	r.all = append(r.all, e)
	return nil
}

// names are those of the objects that events are about.
func (r *recorded) names() []string {
	var all []string
	for _, e := range r.all {
		all = append(all, e.Name)
	}
	return all
}

// outcome is that of a run which finds these, after what is known.
func outcome(known history.Known, findings ...history.Finding) (history.Known, *Outcome) {
	run := history.Run{Time: time.Unix(1000, 0), MeshOf: func(policy.Offence) string { return "" }}
	for _, f := range findings {
		run.Findings = append(run.Findings, f.Offence)
	}
	next, change := known.Next(run)
	return next, &Outcome{Change: change}
}

// teller tells of run after run.
type teller struct {
	*Events

	known history.Known
}

func (e *teller) run(t *testing.T, findings ...history.Finding) error {
	t.Helper()
	known, o := outcome(e.known, findings...)
	told, again, err := e.tell(t.Context(), o)
	e.known = known.Tell(told, again)
	return err
}

func TestEventsTellWhatIsNewAndWhatIsGone(t *testing.T) {
	to := &recorded{}
	e := &teller{Events: &Events{Recorder: to}}
	for _, run := range [][]history.Finding{{finding("MF104", policy.Warn, "", "b"), finding("MF202", policy.Deny, "", "a")}, {finding("MF104", policy.Warn, "", "b")}, {}, {}} {
		if err := e.run(t, run...); err != nil {
			t.Fatal(err)
		}
	}
	want := []events.Event{
		{Kind: "Namespace", Name: "a", Warning: true, Reason: "NameMF202", Action: "Found", Note: "MF202 NameMF202: it is wrong; mend it: kubectl mend"},
		{Kind: "Namespace", Name: "b", Warning: true, Reason: "NameMF104", Action: "Found", Note: "MF104 NameMF104: it is wrong; mend it: kubectl mend"},
		{Kind: "Namespace", Name: "a", Reason: "NameMF202", Action: "Gone", Note: "MF202 NameMF202 is no longer so; first seen 1970-01-01T00:16:40Z"},
		{Kind: "Namespace", Name: "b", Reason: "NameMF104", Action: "Gone", Note: "MF104 NameMF104 is no longer so; first seen 1970-01-01T00:16:40Z"},
	}
	if diff := cmp.Diff(want, to.all); diff != "" {
		t.Error(diff)
	}
}

func TestEventsHaveALimit(t *testing.T) {
	to := &recorded{}
	long := finding("MF202", policy.Deny, "", "long")
	long.Detail = strings.Repeat("a very long detail with ümläuts, ", 100)
	all := []history.Finding{long}
	for i := range 200 {
		all = append(all, finding("MF202", policy.Deny, "", fmt.Sprint(i)))
	}
	if err := (&teller{Events: &Events{Recorder: to}}).run(t, all...); err != nil {
		t.Fatal(err)
	}
	if len(to.all) != maxEvents || len(to.all[0].Note) > events.MaxNote || !strings.HasSuffix(to.all[0].Note, "…") {
		t.Errorf("%d events, the first one with a note of %d bytes", len(to.all), len(to.all[0].Note))
	}
}

// A tenant with very many findings takes neither the events nor the results of others.
func TestFindingsOfOneNamespaceDoNotCrowdOutOthers(t *testing.T) {
	to := &recorded{}
	var all []history.Finding
	for i := range 600 {
		f := finding("MF905", policy.Deny, "mesh-1", fmt.Sprintf("gateway-%03d", i))
		f.Kind, f.Namespace = "Gateway", "tenant"
		f.Fingerprint = audit.Fingerprint(f.Offence)
		all = append(all, f)
	}
	all = append(all, finding("MF202", policy.Deny, "mesh-1", "shop"), finding("MF906", policy.Warn, "mesh-1", "cart"))
	e := &teller{Events: &Events{Recorder: to}}
	if err := e.run(t, all...); err != nil {
		t.Fatal(err)
	}
	if names, want := to.names(), []string{"gateway-000", "shop", "cart"}; len(names) != maxEvents || !slices.Equal(names[:3], want) {
		t.Errorf("%d events, the first ones are about %v, want %v", len(names), names[:3], want)
	}
	rules := map[string]int{}
	o := &Outcome{Existing: policy.Existing{Fleet: newFake(t).fleet}, Change: history.Change{Findings: all}}
	for _, r := range reportsOf(o)[0].Results {
		rules[r.Policy]++
	}
	if want := map[string]int{"MF202": 1, "MF905": maxResults - 1}; !maps.Equal(rules, want) { // a warning comes last
		t.Errorf("%v, want %v", rules, want)
	}
	// What had no room is told later, once, if it is still so; of the rest it is not told that it is gone, but of what was told.
	for range 20 {
		if err := e.run(t, all[:100]...); err != nil {
			t.Fatal(err)
		}
	}
	found, gone := map[string]bool{}, 0
	for _, event := range to.all {
		if event.Action == "Gone" {
			gone++
			continue
		}
		if found[event.Name] {
			t.Errorf("%s is told twice", event.Name)
		}
		found[event.Name] = true
	}
	if len(found) != 102 || gone != 2 {
		t.Errorf("%d findings were told, and %d to be gone, want 102 and 2", len(found), gone)
	}
}

// What could not be told is told later: by another replica too, that it is gone too, and the others meanwhile.
func TestWhatCouldNotBeToldIsToldLater(t *testing.T) {
	to, wrong, other := &recorded{refused: map[string]bool{"shop": true}}, finding("MF202", policy.Deny, "", "shop"), finding("MF202", policy.Deny, "", "other")
	e := &teller{Events: &Events{Recorder: to}}
	another := func() {
		known, err := history.Parse(e.known.String(), []policy.Rule{wrong.Rule})
		if err != nil {
			t.Fatal(err)
		}
		e = &teller{Events: &Events{Recorder: to}, known: known}
	}
	for i, step := range []struct {
		refused  bool
		findings []history.Finding
		want     []string
	}{
		{true, []history.Finding{wrong, other}, []string{"other"}},
		{false, []history.Finding{wrong, other}, []string{"other", "shop"}},
		{false, []history.Finding{wrong, other}, []string{"other", "shop"}},
		{true, []history.Finding{other}, []string{"other", "shop"}},
		{false, []history.Finding{other}, []string{"other", "shop", "shop"}},
		{false, []history.Finding{other}, []string{"other", "shop", "shop"}},
	} {
		to.refused["shop"] = step.refused
		err := e.run(t, step.findings...)
		if !slices.Equal(to.names(), step.want) || (err != nil) != step.refused {
			t.Errorf("step %d: %v, want %v: %v", i, to.names(), step.want, err)
		}
		another()
	}
	if last := to.all[2]; last.Action != "Gone" {
		t.Errorf("%+v", last)
	}
}

// Events that are always refused do not keep others from being told.
func TestWhatIsAlwaysRefusedComesLast(t *testing.T) {
	to := &recorded{refused: map[string]bool{}}
	e := &teller{Events: &Events{Recorder: to}}
	var refused []history.Finding
	for i := range 2 * maxEvents {
		name := fmt.Sprintf("refused-%03d", i)
		to.refused[name] = true
		refused = append(refused, finding("MF202", policy.Deny, "", name))
	}
	for range 3 {
		if err := e.run(t, refused...); err == nil {
			t.Error("no error")
		}
	}
	if err := e.run(t, append(refused, finding("MF104", policy.Warn, "", "shop"))...); err == nil || !slices.Equal(to.names(), []string{"shop"}) || to.asked != 4*maxEvents {
		t.Errorf("%v of %d: %v", to.names(), to.asked, err)
	}
}

func TestFindingsOfOneRuleAboutOneObjectAreOneEvent(t *testing.T) {
	first := finding("MF103", policy.Deny, "", "mesh-3")
	of := func(detail string) history.Finding {
		f := first
		f.Detail, f.Subjects = detail, []string{detail}
		return f
	}
	long := strings.Repeat("overlaps ", 200)
	for name, test := range map[string]struct {
		findings []history.Finding
		want     string
	}{
		"all have room": {[]history.Finding{of("it overlaps with mesh-1"), of("it overlaps with mesh-2")}, "MF103 NameMF103: it overlaps with mesh-1; mend it: kubectl mend; also: it overlaps with mesh-2"},
		"the last has none": {
			[]history.Finding{of("it overlaps with mesh-1"), of("it overlaps with mesh-2"), of(long)},
			"MF103 NameMF103: it overlaps with mesh-1; mend it: kubectl mend; also: it overlaps with mesh-2; and more",
		},
		"the first takes all": {[]history.Finding{of(long), of("it overlaps with mesh-2")}, "; and more"},
	} {
		t.Run(name, func(t *testing.T) {
			to := &recorded{}
			e := &teller{Events: &Events{Recorder: to}}
			if err := e.run(t, test.findings...); err != nil {
				t.Fatal(err)
			}
			if len(to.all) != 1 || !strings.HasSuffix(to.all[0].Note, test.want) || len(to.all[0].Note) > events.MaxNote {
				t.Fatalf("%+v", to.all)
			}
			// As long as one of them is there, people are not told that it is gone.
			for range 2 {
				if err := e.run(t, test.findings[0]); err != nil || len(to.all) != 1 {
					t.Errorf("%+v: %v", to.all, err)
				}
			}
			if err := e.run(t); err != nil || len(to.all) != 2 || to.all[1].Action != "Gone" {
				t.Errorf("%+v: %v", to.all, err)
			}
		})
	}
}

func TestReportsAreOfMeshes(t *testing.T) {
	cluster := newFake(t)
	o := &Outcome{
		Existing:   policy.Existing{Fleet: cluster.fleet},
		Namespaces: map[audit.Standing]int{{Mesh: "mesh-1", State: audit.Injected}: 5, {State: audit.Outside}: 2},
		Change:     history.Change{Findings: []history.Finding{finding("MF104", policy.Warn, "mesh-1", "a"), finding("MF202", policy.Deny, "mesh-1", "b")}},
	}
	all := reportsOf(o)
	if len(all) != 1 || all[0].Name != "meshfence-mesh-1" || all[0].Summary != (openreports.ReportSummary{Pass: 3, Fail: 1, Warn: 1}) || all[0].Results[0].Policy != "MF202" {
		t.Errorf("%+v", all)
	}
	o.Findings = append(o.Findings, finding("MF212", policy.Warn, "", "c"))
	if all = reportsOf(o); len(all) != 2 || all[1].Name != "meshfence-unassigned" || all[1].Summary != (openreports.ReportSummary{Pass: 1, Warn: 1}) {
		t.Errorf("%+v", all)
	}
	o.Findings = nil
	if all = reportsOf(o); len(all) != 1 || all[0].Summary.Pass != 5 {
		t.Errorf("a mesh that is right has a report that says so: %+v", all)
	}
}

func TestReportsHaveALimitAndSaySo(t *testing.T) {
	o := &Outcome{Existing: policy.Existing{Fleet: newFake(t).fleet}}
	for i := range 700 {
		o.Findings = append(o.Findings, finding("MF104", policy.Warn, "mesh-1", fmt.Sprint(i)))
	}
	o.Findings = append(o.Findings, finding("MF202", policy.Deny, "mesh-1", "worst"))
	r := reportsOf(o)[0]
	if len(r.Results) != maxResults || r.Results[0].Subjects[0].Name != "worst" || r.Summary.Warn != 700 || r.Annotations[leftOut] != "201" {
		t.Errorf("%d results, the first of %v, %+v, %v", len(r.Results), r.Results[0].Subjects, r.Summary, r.Annotations)
	}
	long, other := strings.Repeat("a", 253), strings.Repeat("a", 252)+"b"
	if a, b := reportName(long), reportName(other); len(a) > 253 || a == b {
		t.Errorf("%s\n%s", a, b)
	}
}

// Every kind that a finding can be about has its resource, or no event could tell of it.
func TestKindsAreThoseOfTheRules(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(Kinds())) {
		if Kinds()[kind].Resource == "" || Kinds()[kind].Version == "" {
			t.Error(kind)
		}
	}
}
