package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/spelling"
)

// APIVersion and Kind are what an explanation says about itself in JSON and YAML.
const (
	APIVersion = "meshfence.io/v1alpha1"
	Kind       = "Explanation"
)

// Explanation is what there is to say of one object.
type Explanation struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Of names what is explained, for example: Namespace "shop".
	Of string `json:"of"`
	// Now says how a namespace stands, and Then how it would with the edits that were asked about.
	Now  *Membership `json:"now,omitempty"`
	Then *Membership `json:"then,omitempty"`
	// Facts are what is to be said of anything else, in their order.
	Facts []Fact `json:"facts,omitempty"`
	// Findings are what is wrong with it as it stands, as messages.
	Findings []string `json:"findings,omitempty"`
	// Answer is what the webhook would say to the edits.
	Answer *Answer `json:"answer,omitempty"`
	// Notes are sentences besides.
	Notes []string `json:"notes,omitempty"`
	// Text is what the documentation says, in Markdown.
	Text string `json:"text,omitempty"`
}

// Fact is one thing to say.
type Fact struct {
	Name  string   `json:"name"`
	Value []string `json:"value"`
}

// Membership is what a namespace's labels lead to.
type Membership struct {
	// Labels are those that decide.
	Labels map[string]string `json:"labels"`
	// DiscoveredBy are the meshes that discover it; none, one, or several that overlap.
	DiscoveredBy []Discovery `json:"discoveredBy"`
	// Nearest tells why none does; "" if one does, or no selector comes near.
	Nearest string `json:"nearest,omitempty"`
	// RootCertificates are the ConfigMaps that istiods write into it, with the mesh, and whether they are there, if a cluster was looked at.
	RootCertificates []string  `json:"rootCertificates"`
	Injection        Injection `json:"injection"`
	// Injectors are the webhook configurations in the cluster that take its new pods, by name, by their own selectors; nil if no cluster was looked at.
	Injectors []string `json:"injectors,omitempty"`
}

// Discovery is a mesh and the selector through which it discovers.
type Discovery struct {
	Mesh     string `json:"mesh"`
	Selector string `json:"selector"`
	Path     string `json:"path"`
}

// Injection is what injects the pods.
type Injection struct {
	// Revision is the name that the labels choose, "" if nothing is chosen; Label is the label that chooses it, "" if the cluster's default does.
	Revision string `json:"revision,omitempty"`
	Label    string `json:"label,omitempty"`
	// Mesh is the one that the revision belongs to, "" if there is none, and two with "and" where two claim the name; Tag says that the name is a tag's.
	Mesh string `json:"mesh,omitempty"`
	Tag  bool   `json:"tag,omitempty"`
}

// Answer is what the webhook would say.
type Answer struct {
	Refused  bool     `json:"refused"`
	Messages []string `json:"messages,omitempty"`
	// Filled is the value of istio.io/rev that would be filled in, "" for none.
	Filled string `json:"filled,omitempty"`
}

// Explainer explains an inventory.
type Explainer struct {
	Checker   *audit.Checker
	Inventory *audit.Inventory
	// Seen is what was read of a cluster besides; nil if none was.
	Seen *observed.Cluster
}

// judged is what is wrong with everything, with what was seen besides if there is that.
func (e *Explainer) judged() audit.Result {
	if e.Seen == nil {
		return e.Checker.State(e.Inventory)
	}
	return e.Checker.Cluster(e.Inventory, e.Seen)
}

// newExplanation is one with what is wrong with the object, and what could not be judged of it.
func (e *Explainer) newExplanation(key audit.Key) *Explanation {
	x := &Explanation{APIVersion: APIVersion, Kind: Kind, Of: key.String()}
	result := e.judged()
	for _, o := range result.Findings {
		if (audit.Key{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}) == key {
			x.Findings = append(x.Findings, o.Action.String()+" "+o.Message())
		}
	}
	for _, o := range result.Accepted {
		if (audit.Key{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}) == key {
			x.Notes = append(x.Notes, "Accepted by its annotation "+acceptedUntil(o)+o.Message())
		}
	}
	for _, gap := range result.NotJudged {
		if gap.Key == key {
			x.Notes = append(x.Notes, "Not judged: "+joinCodes(gap.Codes)+", for which "+gap.Needs+" would have to be known.")
		}
	}
	return x
}

func acceptedUntil(o audit.Accepted) string {
	if o.Until == "" {
		return api.AcceptAnnotation + ": "
	}
	return fmt.Sprintf("%s until %s: ", api.AcceptAnnotation, o.Until)
}

func joinCodes(codes []policy.Code) string {
	texts := make([]string, len(codes))
	for i, code := range codes {
		texts[i] = string(code)
	}
	return strings.Join(texts, " and ")
}

// Namespace explains a namespace, and what edits of its labels would make of it. An edit is a value, or nil for a label that goes.
func (e *Explainer) Namespace(name string, edits map[string]*string) (*Explanation, error) {
	key := audit.Key{Kind: audit.KindNamespace, Name: name}
	stored, found := e.Inventory.Get(key)
	if !found {
		return nil, e.unknown(key)
	}
	existing := e.Checker.Existing(e.Inventory)
	x := e.newExplanation(key)
	x.Now = e.membership(existing.Fleet, stored.Labels())
	e.see(x, x.Now, &existing, name, stored.Labels())
	if e.Checker.Exempt != nil && e.Checker.Exempt(name) {
		x.Notes = append(x.Notes, "The configuration exempts this namespace: meshfence does not judge it.")
	}
	if len(edits) == 0 {
		return x, nil
	}
	edited, err := e.Checker.Scope.Relabelled(stored, edits)
	if err != nil {
		return nil, err
	}
	answer, stays, err := e.Checker.Answer(e.Inventory, edited)
	if err != nil {
		return nil, err
	}
	x.Answer = answerOf(&answer)
	x.Then = e.membership(existing.Fleet, stays.Labels())
	if e.Seen != nil {
		x.Then.Injectors = e.Seen.Namespace(existing, name, stays.Labels()).Injectors
	}
	return x, nil
}

// see adds what was read of the cluster besides: whether the root certificates are there, the injectors, and what the pods carry.
func (e *Explainer) see(x *Explanation, m *Membership, existing *policy.Existing, name string, labels map[string]string) {
	if e.Seen == nil {
		return
	}
	seen := e.Seen.Namespace(*existing, name, labels)
	m.Injectors = append([]string{}, seen.Injectors...)
	if e.Seen.Lacks(observed.Injectors) {
		m.Injectors = []string{"not known"}
	}
	for i, certificate := range m.RootCertificates {
		bundle, _, _ := strings.Cut(certificate, " ")
		if state := seen.Certificates[bundle]; state != "" {
			m.RootCertificates[i] += ": " + state
		}
	}
	pods := seen.Pods
	if e.Seen.Lacks(observed.Pods) {
		pods = []string{"not known"}
	}
	x.fact("pods", pods...)
}

func answerOf(a *audit.Answer) *Answer {
	answer := &Answer{Refused: a.Refused, Filled: a.Filled, Messages: slices.Clone(a.Notes)}
	for _, f := range a.Findings {
		answer.Messages = append(answer.Messages, f.Action.String()+" "+f.Message())
	}
	return answer
}

// unknown says that there is no such object, and which name is near; or that it is not known whether there is.
func (e *Explainer) unknown(key audit.Key) error {
	if missing, why := e.Inventory.Misses(key.Kind); missing != "" && why != "" {
		return fmt.Errorf("it is not known whether there is a %s: %s", key, why)
	}
	var names []string
	for _, other := range e.Inventory.Keys() {
		if other.Kind == key.Kind {
			names = append(names, other.Name)
		}
	}
	return fmt.Errorf("there is no %s%s", key, DidYouMean(key.Name, names))
}

// membership is what labels lead to in a fleet.
func (e *Explainer) membership(fleet *mesh.Fleet, labels map[string]string) *Membership {
	m := &Membership{Labels: map[string]string{}, DiscoveredBy: []Discovery{}, RootCertificates: []string{}}
	for _, label := range e.decisive(fleet) {
		if value, ok := labels[label]; ok {
			m.Labels[label] = value
		}
	}
	for _, by := range fleet.DiscoveredBy(labels) {
		source, term := by.Discovers(labels)
		m.DiscoveredBy = append(m.DiscoveredBy, Discovery{Mesh: by.Name, Selector: selectorText(source, term), Path: term.Path})
		if bundle := source.TrustBundle; bundle != "" {
			m.RootCertificates = append(m.RootCertificates, fmt.Sprintf("%s of %s", bundle, by.Name))
		}
	}
	if len(m.DiscoveredBy) == 0 {
		m.Nearest = nearest(fleet, labels)
	}
	injection := fleet.InjectionOf(labels)
	if !injection.By {
		return m
	}
	m.Injection = Injection{Revision: injection.Revision, Label: injection.Label}
	if r := fleet.Revision(injection.Revision); r != nil {
		m.Injection.Tag = r.Tag
	}
	var injecting []string
	for _, by := range fleet.Injecting(labels) {
		injecting = append(injecting, by.Name)
	}
	m.Injection.Mesh = strings.Join(injecting, " and ")
	return m
}

// selectorText is a selector as messages write it.
func selectorText(source *mesh.Source, term *mesh.Term) string {
	if source.Listing != mesh.Selective {
		return "every namespace"
	}
	return term.Selector.String()
}

// decisive are the labels that decide in a fleet, without the one that every namespace has, unless a selector goes by it.
func (e *Explainer) decisive(fleet *mesh.Fleet) []string {
	keys := slices.Concat([]string{mesh.RevisionLabel, mesh.InjectionLabel, mesh.DataplaneModeLabel, mesh.MaistraMemberLabel}, e.Checker.DiscoveryLabels, fleet.SelectorKeys())
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Mesh explains a mesh by the name of its Istio, of an IstioRevision that no Istio owns, or of the namespace of istiods that the Sail operator did not
// install.
func (e *Explainer) Mesh(name string) (*Explanation, error) {
	existing := e.Checker.Existing(e.Inventory)
	m := existing.Fleet.Named(name)
	if m == nil {
		var names []string
		for _, other := range existing.Fleet.Meshes() {
			names = append(names, other.Name)
		}
		return nil, fmt.Errorf("there is no mesh %q%s", name, DidYouMean(name, names))
	}
	x := e.newExplanation(audit.KeyOfMesh(m))
	if m.Kind == mesh.KindIstiod {
		x.Of = fmt.Sprintf("mesh %q", m.Name)
		x.fact("installed by", cmp.Or(m.InstalledBy, "something that left no mark"))
	}
	var selectors []string
	for i := range m.Sources {
		for j := range m.Sources[i].Terms {
			if text := selectorText(&m.Sources[i], &m.Sources[i].Terms[j]); !slices.Contains(selectors, text) {
				selectors = append(selectors, text)
			}
		}
	}
	if m.Remote() {
		selectors = []string{"nothing in this cluster, because its istiod serves another one"}
	}
	x.fact("discovers", selectors...)
	x.fact("control plane", m.ControlPlane)
	x.fact("revisions", m.Revisions...)
	x.fact("active revision", m.ActiveRevision)
	x.fact("tags", existing.Fleet.Following(m)...)
	x.fact("namespaces", short(e.discovered(&existing, m))...)
	return x, nil
}

// shown is how many names are listed before the rest is counted.
const shown = 10

func short(names []string) []string {
	if len(names) <= shown {
		return names
	}
	return append(slices.Clone(names[:shown]), fmt.Sprintf("and %d more", len(names)-shown))
}

func (x *Explanation) fact(name string, values ...string) {
	x.Facts = append(x.Facts, Fact{Name: name, Value: append([]string{}, values...)})
}

func (e *Explainer) discovered(existing *policy.Existing, m *mesh.Mesh) []string {
	var names []string
	for i := range existing.Namespaces {
		if slices.Contains(existing.Fleet.DiscoveredBy(existing.Namespaces[i].Labels), m) {
			names = append(names, existing.Namespaces[i].Name)
		}
	}
	return names
}

// Tag explains a tag.
func (e *Explainer) Tag(name string) (*Explanation, error) {
	fleet := e.Checker.Existing(e.Inventory).Fleet
	if r := fleet.Revision(name); r != nil && r.Tag {
		return e.Revision(name)
	}
	if fleet.HasTag(name) {
		return nil, fmt.Errorf("the tag %q is not used, because a revision has its name: meshfence explain revision %s", name, name)
	}
	var names []string
	for _, tag := range fleet.Tags() {
		names = append(names, tag.Name)
	}
	return nil, fmt.Errorf("there is no tag %q%s", name, DidYouMean(name, names))
}

// Revision explains what istio.io/rev=name chooses: a revision, or a tag.
func (e *Explainer) Revision(name string) (*Explanation, error) {
	existing := e.Checker.Existing(e.Inventory)
	r := existing.Fleet.Revision(name)
	if r == nil {
		return nil, fmt.Errorf("there is no revision or tag %q%s", name, DidYouMean(name, existing.Fleet.RevisionNames()))
	}
	key, what := audit.Key{Kind: mesh.KindIstioRevision, Name: name}, "revision"
	if r.Tag {
		key.Kind, what = "IstioRevisionTag", "tag"
	}
	x := e.newExplanation(key)
	x.Of = fmt.Sprintf("%s %q", what, name)
	var meshes []string
	for _, m := range r.Meshes {
		meshes = append(meshes, m.Name)
	}
	if r.Tag {
		leadsTo := existing.Fleet.LeadsTo(name)
		if leadsTo == "" {
			leadsTo = "nothing, as its target does not exist"
		}
		x.fact("leads to", leadsTo)
	}
	x.fact("mesh", meshes...)
	var users []string
	for i := range existing.Namespaces {
		if injection := existing.Fleet.InjectionOf(existing.Namespaces[i].Labels); injection.By && injection.Revision == name {
			users = append(users, existing.Namespaces[i].Name)
		}
	}
	x.fact("chosen by", short(users)...)
	return x, nil
}

// DidYouMean ends a sentence with the nearest name, if one is near.
func DidYouMean(name string, names []string) string {
	if best := spelling.Nearest(name, names); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// lines are texts in one line each, since messages have several.
func lines(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, strings.Split(text, "\n")...)
	}
	return all
}
