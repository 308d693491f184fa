package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/cluster/listing"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/policy"
)

// ofKubectl is the annotation of flags that work as they do in kubectl.
const ofKubectl = "kubectl"

// readLimit bounds how long a cluster is read. Each request has --request-timeout.
const readLimit = 2 * time.Minute

// source is what the commands that look at what exists have in common: where they look, and by which configuration.
type source struct {
	configFile string
	rules      map[string]string
	namespace  string
	loading    *clientcmd.ClientConfigLoadingRules
	overrides  *clientcmd.ConfigOverrides
	istiods    string
	// oneNamespace is the namespace that is asked about, where there is one.
	oneNamespace string
	// listed are the objects of istiods that were read with the cluster, by what reports call them. They are not read again for
	// the rules that only a look at the cluster can judge.
	listed map[string][][]byte
}

func newSource() *source {
	return &source{loading: clientcmd.NewDefaultClientConfigLoadingRules(), overrides: &clientcmd.ConfigOverrides{}}
}

// addFlags adds the flags that say by what is judged, and those of kubectl that say which cluster is meant and as whom it is read.
func (s *source) addFlags(flags *pflag.FlagSet) {
	s.addConfigurationFlags(flags)
	flags.StringVar(&s.istiods, "istiods", allIstiods, "which istiods of the cluster `COUNT` as meshes: all, or sail (only those of the Sail operator; nothing of others is read)")
	flags.StringVar(&s.namespace, "meshfence-namespace", defaultNamespace, "`NAMESPACE` of meshfence itself, which has the mesh map")
	s.addKubectlFlags(flags)
}

func (s *source) addConfigurationFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.configFile, "config", "", "configuration `FILE`, the one of the server; without one the defaults are used")
	flags.StringToStringVar(&s.rules, "rules", nil, "other actions of single rules as `CODE=ACTION,...`, for example MF110=off,MF104=deny; they go before those of --config")
}

// addKubectlFlags adds the flags of kubectl that choose a cluster, marked so that a help text does not explain each of them again.
func (s *source) addKubectlFlags(flags *pflag.FlagSet) {
	kubectl := pflag.NewFlagSet("kubectl", pflag.ContinueOnError)
	kubectl.StringVar(&s.loading.ExplicitPath, clientcmd.RecommendedConfigPathFlag, "", "kubeconfig `FILE`; without one KUBECONFIG or ~/.kube/config, else the cluster this runs in")
	names := clientcmd.RecommendedConfigOverrideFlags("")
	names.ContextOverrideFlags.Namespace = clientcmd.FlagInfo{} // all namespaces are looked at
	clientcmd.BindOverrideFlags(s.overrides, kubectl, names)
	kubectl.VisitAll(func(flag *pflag.Flag) { flag.Annotations = map[string][]string{ofKubectl: {}} })
	flags.AddFlagSet(kubectl)
}

// configuration reads the configuration file, and changes the actions that --rules names.
func (s *source) configuration() (*config.Configuration, error) {
	file, err := openConfiguration(s.configFile)
	if err != nil {
		return nil, err
	}
	c := file.Current()
	changed := *c
	changed.Rules = map[string]config.Action{}
	for code, action := range c.Rules {
		changed.Rules[code] = action
	}
	for code, action := range s.rules {
		changed.Rules[code] = config.Action(action)
	}
	if problems := changed.Validate(webhook.RuleCodes()); len(problems) > 0 {
		return nil, fmt.Errorf("--rules: %w", problems.ToAggregate())
	}
	return &changed, nil
}

// checker returns what judges by the configuration.
func (s *source) checker() (*audit.Checker, error) {
	c, err := s.configuration()
	if err != nil {
		return nil, err
	}
	return checkerOf(c, s.namespace, time.Now()), nil
}

// checkerOf returns what judges by a configuration; namespace is meshfence's own.
func checkerOf(c *config.Configuration, namespace string, now time.Time) *audit.Checker {
	return &audit.Checker{
		Policy:          policy.New(webhook.Settings(c)),
		Exempt:          c.ExemptNamespaces.Match,
		DiscoveryLabels: c.DiscoveryLabels,
		Scope:           audit.Scope{Namespace: namespace, MeshMap: c.MeshMap.Name},
		Now:             now,
	}
}

// apiConfig returns how to reach the API server.
func (s *source) apiConfig() (*rest.Config, error) {
	api, err := loadAPIConfig(clientcmd.NewNonInteractiveDeferredLoadingClientConfig(s.loading, s.overrides))
	if err != nil {
		return nil, err
	}
	api.UserAgent = "kubectl-meshfence/" + thisRelease(nil).version // not the server's, whose requests an audit log should tell apart
	return api, nil
}

// stored is a cluster that was read.
type stored struct {
	inventory *audit.Inventory
	// gaps are what could not be listed, or cannot be read, and absent what the API server does not serve, each a line for a person.
	gaps, absent []string
}

// read reads everything that is judged. What cannot be read is left out and named; the error says that nothing could be.
func (s *source) read(ctx context.Context, scope audit.Scope, stderr io.Writer) (stored, error) {
	if err := checkIstiods(&s.istiods); err != nil {
		return stored{}, err
	}
	api, err := s.apiConfig()
	if err != nil {
		return stored{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	bar := newProgress(stderr)
	defer bar.end()
	found, err := listing.Read(ctx, api, listing.Options{
		Namespace: scope.Namespace, MeshMap: scope.MeshMap, OnlySail: s.istiods == sailIstiods, OneNamespace: s.oneNamespace, Progress: bar.show,
	})
	if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		return stored{}, fmt.Errorf("the API server %s did not list everything within %v; try again", api.Host, readLimit)
	}
	if err != nil {
		return stored{}, fmt.Errorf("the cluster cannot be read: %w", err)
	}
	s.listed = map[string][][]byte{}
	for _, o := range found.Objects {
		s.listed[o.Resource] = append(s.listed[o.Resource], o.Raw)
	}
	for _, gap := range found.Gaps {
		s.listed[gap.Resource] = nil
	}
	return take(found, scope), nil
}

// take decodes what was listed.
func take(found listing.Cluster, scope audit.Scope) stored {
	all := stored{inventory: &audit.Inventory{}}
	for _, gap := range found.Gaps {
		if kind := kindsByResource[gap.Resource]; kind != "" && gap.Why != nil {
			all.inventory.Miss(kind, gap.Resource+" could not be read")
		}
		if gap.Why == nil {
			all.absent = append(all.absent, gapText(gap))
		} else {
			all.gaps = append(all.gaps, gapText(gap))
		}
	}
	for _, o := range found.Objects {
		if o.Resource != "" && !scope.Concerns(o.APIVersion, o.Kind, o.Namespace, o.Name) {
			continue
		}
		decoded, err := scope.Decode(o.Kind, o.Namespace, o.Name, o.Raw)
		if err != nil {
			all.gaps = append(all.gaps, fmt.Sprintf("%s: %v", audit.Key{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}, err))
			continue
		}
		if decoded.Judged() {
			all.inventory.Put(decoded)
		}
	}
	return all
}

// kindsByResource are the kinds of which more may exist than an inventory has, by the names of what could not be listed.
var kindsByResource = map[string]string{
	api.ResourceIstios + "." + api.SailGroup:            api.KindIstio,
	api.ResourceIstioRevisions + "." + api.SailGroup:    api.KindIstioRevision,
	api.ResourceIstioRevisionTags + "." + api.SailGroup: api.KindIstioRevisionTag,
	"namespaces":                          audit.KindNamespace,
	"configmaps with mesh configurations": api.KindIstio,
	"mutatingwebhookconfigurations.admissionregistration.k8s.io": api.KindIstioRevisionTag,
}

// gapText says what is missing, and what to do.
func gapText(gap listing.Gap) string {
	switch {
	case gap.Why == nil:
		return gap.Resource + ": the API server does not serve them; the Sail operator's definitions are not installed"
	case gap.Forbidden():
		return fmt.Sprintf("%s: may not be read (%v); the ClusterRole meshfence-viewer has the right", gap.Resource, gap.Why)
	default:
		return fmt.Sprintf("%s: %v", gap.Resource, gap.Why)
	}
}

// progress tells a person at a terminal how far a long read is.
type progress struct {
	out   io.Writer // nil if it is no terminal
	shown bool
}

func newProgress(stderr io.Writer) *progress {
	if isTerminal(stderr) {
		return &progress{out: stderr}
	}
	return &progress{}
}

func (p *progress) show(resource string, count int) {
	if p.out != nil {
		fmt.Fprintf(p.out, "\r\033[K%s: %d", resource, count)
		p.shown = true
	}
}

// end wipes the line.
func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.out, "\r\033[K")
	}
}

// everything is what is stored, with the objects of files over it. Of files alone nothing is known to be absent.
func (l *looked) everything() *audit.Inventory {
	l.last()
	all := l.stored
	if all == nil {
		all = &audit.Inventory{}
		all.MissAll()
	}
	for _, o := range l.objects {
		all.Put(o)
	}
	return all
}
