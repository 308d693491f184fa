package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// Checker judges inventories by one configuration.
type Checker struct {
	Policy *policy.Policy
	// Exempt reports whether a namespace of that name is not judged; nil if none is.
	Exempt func(namespace string) bool
	// DiscoveryLabels are the configured keys whose value names a mesh.
	DiscoveryLabels []string
	Scope           Scope
	// Now is the time at which declared overlaps count or have ended.
	Now time.Time
}

// Result is what was found. The order is that of objects (kind, namespace, name) and, for one object, of the catalogue.
type Result struct {
	// Findings are what counts: all of a cluster or of files alone; of files laid over a cluster, what they make newly wrong.
	Findings []policy.Offence
	// Before is what was wrong before the files, and still is with them.
	Before []policy.Offence
	// Elsewhere is what becomes wrong because of what Findings says: with objects that are in no file, or that a file leaves as they are, and
	// what admission does not tell beside a refusal.
	Elsewhere []policy.Offence
	// Accepted is what objects of a cluster accept for now; it is not among Findings.
	Accepted []Accepted
	// NotJudged is what could not be decided, because it depends on objects that are not known.
	NotJudged []Gap
}

// Gap is what could not be judged of one object.
type Gap struct {
	Key   Key
	Codes []policy.Code
	// Needs says what would have to be known.
	Needs string
}

// Existing is what the objects of an inventory amount to.
func (c *Checker) Existing(i *Inventory) policy.Existing {
	return c.stateOf(i).existing
}

// State judges what is known as it stands. What would be wrong only because an object is absent is listed as not judged where such an object may
// exist all the same.
func (c *Checker) State(i *Inventory) Result {
	existing := c.Existing(i)
	var result Result
	for _, o := range sorted(c.Policy.State(existing)) {
		a, depends := absences()[o.Rule.Code]
		if kind, why := i.Misses(a.kinds...); depends && kind != "" {
			result.NotJudged = append(result.NotJudged, Gap{Key: keyOf(o), Codes: []policy.Code{o.Rule.Code}, Needs: a.needs(why)})
		} else {
			result.Findings = append(result.Findings, o)
		}
	}
	result.NotJudged = joined(append(result.NotJudged, c.unknowns(i, existing)...))
	return result
}

// Cluster judges a cluster as it stands, with what was read of it besides.
func (c *Checker) Cluster(i *Inventory, seen *observed.Cluster) Result {
	result := c.State(i)
	for _, key := range i.Keys() {
		o, _ := i.Get(key)
		if o.controlPlane == nil {
			continue
		}
		if err := seen.AddPlane(key.Kind, o.Raw); err != nil {
			result.NotJudged = append(result.NotJudged, Gap{key, []policy.Code{"MF916"}, "a status that can be read: " + err.Error()})
		}
	}
	for _, kind := range meshKinds() {
		if missing, why := i.Misses(kind); missing != "" {
			seen.Miss(observed.Meshes, why)
		}
	}
	if missing, why := i.Misses(KindNamespace); missing != "" {
		seen.Miss(observed.Namespaces, why)
	}
	c.addSeen(&result, c.Existing(i), seen)
	result.Findings, result.Accepted = Accept(result.Findings, i.annotations, c.Now)
	return result
}

// Whole judges a cluster of which all meshes and namespaces are known, with what was read of it besides.
func (c *Checker) Whole(existing policy.Existing, seen *observed.Cluster) Result {
	result := Result{Findings: c.Policy.State(existing)}
	c.addSeen(&result, existing, seen)
	return result
}

// addSeen adds what only a look at a cluster shows.
func (c *Checker) addSeen(result *Result, existing policy.Existing, seen *observed.Cluster) {
	found, unjudged := seen.Judge(c.Policy, existing)
	result.Findings = sorted(append(result.Findings, found...))
	for _, u := range unjudged {
		result.NotJudged = append(result.NotJudged, Gap{Key{Kind: string(u.Missing)}, []policy.Code{u.Code}, u.Why})
	}
	result.NotJudged = joined(result.NotJudged)
}

// Files judges files alone. What is not among them is not known, rather than absent: what depends on it is listed as not judged.
func (c *Checker) Files(i *Inventory) Result {
	alone := i.clone()
	alone.MissAll()
	return c.State(alone)
}

// absence is what a rule looks for that finds something because an object is not there.
type absence struct {
	text  string
	kinds []string
}

// needs says what would have to be known, and why it is not.
func (a absence) needs(why string) string {
	if why == "" {
		return a.text
	}
	return a.text + " (" + why + ")"
}

// absences are those rules.
func absences() map[policy.Code]absence {
	meshes, names := []string{api.KindIstio, api.KindIstioRevision}, meshKinds()
	return map[policy.Code]absence{
		"MF203": {"the mesh, or the tag, whose revision it names", names},
		"MF206": {"the mesh or tag that is called default", names},
		"MF212": {"the mesh that its discovery label names", meshes},
		"MF304": {"its target", meshes},
		"MF403": {"the mesh and the revision of its entries", names},
	}
}

// meshKinds are the kinds that a fleet is made of.
func meshKinds() []string {
	return []string{api.KindIstio, api.KindIstioRevision, api.KindIstioRevisionTag}
}

// unknowns are what no rule asks about where the other half is not among the files.
func (c *Checker) unknowns(i *Inventory, existing policy.Existing) []Gap {
	var gaps []Gap
	names := map[string]bool{}
	meshes, becauseOfMeshes := i.Misses(api.KindIstio, api.KindIstioRevision)
	for _, ns := range existing.Namespaces {
		names[ns.Name] = true
		if meshes == "" || c.exempts(ns.Name) || !c.discoverable(ns.Labels) || len(existing.Fleet.DiscoveredBy(ns.Labels)) > 0 {
			continue
		}
		gaps = append(gaps, Gap{Key{Kind: KindNamespace, Name: ns.Name}, []policy.Code{"MF202", "MF212"}, absences()["MF212"].needs(becauseOfMeshes)})
	}
	namespaces, becauseOfNamespaces := i.Misses(KindNamespace)
	for _, m := range existing.Fleet.Meshes() {
		if namespaces != "" && m.Sources[0].Listing == mesh.Selective && !names[m.ControlPlane] {
			needs := absence{text: fmt.Sprintf("its control-plane namespace %q", m.ControlPlane)}.needs(becauseOfNamespaces)
			gaps = append(gaps, Gap{KeyOfMesh(m), []policy.Code{"MF104"}, needs})
		}
	}
	return gaps
}

// discoverable reports whether labels name a mesh.
func (c *Checker) discoverable(labels map[string]string) bool {
	return slices.ContainsFunc(c.DiscoveryLabels, func(key string) bool { return labels[key] != "" })
}

// joined makes one of the gaps of an object that need the same.
func joined(gaps []Gap) []Gap {
	slices.SortStableFunc(gaps, func(a, b Gap) int { return a.Key.compare(b.Key) })
	var all []Gap
	type same struct {
		key   Key
		needs string
	}
	places := make(map[same]int, len(gaps))
	for _, gap := range gaps {
		i, there := places[same{gap.Key, gap.Needs}]
		if !there {
			places[same{gap.Key, gap.Needs}] = len(all)
			all = append(all, gap)
			continue
		}
		all[i].Codes = append(all[i].Codes, gap.Codes...)
		slices.Sort(all[i].Codes)
		all[i].Codes = slices.Compact(all[i].Codes)
	}
	return all
}

// sorted puts offences into the order of reports. Those of one object stay in the order in which they were found.
func sorted(offences []policy.Offence) []policy.Offence {
	slices.SortStableFunc(offences, func(a, b policy.Offence) int { return keyOf(a).compare(keyOf(b)) })
	return offences
}
