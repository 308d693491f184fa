// Package remedies pastes the commands of meshfence's messages into a real API server with meshfence in front of it.
package remedies

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/test/harness"
	"github.com/meshfence/meshfence/test/remedies/model"
	"github.com/meshfence/meshfence/webhook/policy"
)

// How long the test goes on, and how long a change may take to be known.
const (
	short = 50 * time.Second
	long  = 10 * time.Minute
	soon  = 5 * time.Second
)

// setup is who makes the clusters: exempt, so that they can be anything.
const setup = "setup"

// pasted is how many commands are given to the real kubectl too.
const pasted = 25

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	m.Run()
}

// suite is an API server with meshfence in front of it, and the cluster there as the model has it.
type suite struct {
	*harness.Cluster
	setup, user client.Client
	warned      *collector
	judge       *model.Judge
	have        model.Cluster
	env         []string
	// counts of what was done.
	changes, commands, refusals, kubectl int
	ways                                 map[policy.Code]int
}

// Each command of each message is admitted, and cures what the message names.
func TestEveryCommandOfEveryMessageIsAdmittedAndCures(t *testing.T) {
	s := newSuite(t)
	limit := short
	if os.Getenv("STRESS") == "long" {
		limit = long
	}
	end := time.Now().Add(limit)
	seed := uint64(0)
	for ; time.Now().Before(end) && !t.Failed(); seed++ {
		random := model.Random{Rand: rand.New(rand.NewPCG(seed, 2))}
		cluster := whole(t, random.Cluster())
		s.bring(t, cluster)
		for range 8 {
			if change := random.Change(cluster); isSent(change) && len(s.judge.Trials(cluster, change)) > 0 && time.Now().Before(end) && !t.Failed() {
				s.try(t, cluster, change)
			}
		}
	}
	t.Logf("%d clusters, %d changes, %d commands, %d refusals; %d commands pasted into kubectl", seed, s.changes, s.commands, s.refusals, s.kubectl)
	for _, code := range slices.Sorted(maps.Keys(s.ways)) {
		t.Logf("%s: %d ways out", code, s.ways[code])
	}
	if s.commands == 0 || s.kubectl == 0 {
		t.Error("nothing was tried, so this shows nothing")
	}
}

// isSent reports whether the API server asks about a change. It does not for a namespace without a label, whatever the meshes discover.
func isSent(change model.Change) bool {
	bare := func(o *model.Object) bool { return o == nil || len(o.GetLabels()) == 0 }
	return change.Key.Kind != model.KindNamespace || !bare(change.Old) || !bare(change.New)
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	started, err := harness.Start(t.Context(), harness.Options{})
	must(t, err)
	t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &suite{Cluster: started, warned: &collector{}, have: model.Cluster{}, ways: map[policy.Code]int{}}
	s.judge = &model.Judge{Now: time.Now(), Policy: policy.New(policy.Settings{
		DiscoveryLabels: []string{"istio-discovery", "mesh"},
		FillFrom:        []policy.FillSource{policy.MeshMap, policy.FollowingTag, policy.ActiveRevision},
		ControlPlane:    func(name string) bool { return strings.HasPrefix(name, "istio-system") },
	})}
	s.setup, s.user = s.client(t, setup, rest.NoWarnings{}), s.client(t, "", s.warned)
	s.env, err = s.UserEnv()
	must(t, err)
	must(t, s.InstallWorkload(t.Context()))
	file := filepath.Join(t.TempDir(), "config.yaml")
	// The namespaces that every API server has, and that of meshfence, are none of the model.
	must(t, os.WriteFile(file, []byte("{apiVersion: meshfence.io/v1alpha1, kind: Configuration, exemptUsers: ["+setup+"], "+
		"exemptNamespaces: ['exempt-*', 'kube-*', default, "+harness.Namespace+"]}"), 0o600))
	_, err = s.StartMeshfence(t.Context(), harness.ProcessOptions{Config: file})
	must(t, err)
	must(t, s.InstallWebhooks(t.Context()))
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *suite) client(t *testing.T, user string, warnings rest.WarningHandler) client.Client {
	t.Helper()
	config := rest.CopyConfig(s.Config)
	if user != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
	}
	config.WarningHandler, config.QPS, config.Burst = warnings, -1, 0
	c, err := client.New(config, client.Options{Scheme: s.Client.Scheme()})
	must(t, err)
	return c
}

// collector keeps the warnings that a client receives.
type collector struct {
	mu  sync.Mutex
	all []string
}

func (c *collector) HandleWarningHeader(_ int, _, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, text)
}

// whole adds the namespaces that are missing: they stay from one cluster to the next, because to delete one takes long.
func whole(t *testing.T, c model.Cluster) model.Cluster {
	t.Helper()
	for _, name := range model.NamespaceNames() {
		if key := (model.Key{Kind: model.KindNamespace, Name: name}); c[key] == nil {
			ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
			o, err := model.NewObject(ns)
			must(t, err)
			c = c.With(o)
		}
	}
	return c
}

// bring makes the API server's cluster the same as the model's.
func (s *suite) bring(t *testing.T, wanted model.Cluster) {
	t.Helper()
	for _, key := range s.have.Keys() {
		if wanted[key] == nil || replaced(key, s.have[key], wanted[key]) {
			must(t, client.IgnoreNotFound(s.setup.Delete(t.Context(), named(key))))
			if key.Kind == model.KindNamespace {
				s.gone(t, key)
			}
			delete(s.have, key)
		}
	}
	for _, key := range wanted.Keys() {
		if s.have[key] == nil || model.Text(s.have[key]) != model.Text(wanted[key]) {
			s.put(t, wanted[key])
		}
	}
	s.have = maps.Clone(wanted)
}

// replaced reports whether an object has to be made anew, because a field that cannot change does.
func replaced(_ model.Key, have, wanted *model.Object) bool {
	was, _, _ := unstructured.NestedString(have.Object, "spec", "namespace")
	is, _, _ := unstructured.NestedString(wanted.Object, "spec", "namespace")
	return was != is
}

func (s *suite) gone(t *testing.T, key model.Key) {
	t.Helper()
	must(t, wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, soon, true, func(ctx context.Context) (bool, error) {
		return apierrors.IsNotFound(s.Client.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, named(key))), nil
	}))
}

func named(key model.Key) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "sailoperator.io", Version: "v1", Kind: key.Kind})
	if key.Kind == model.KindNamespace || key.Kind == model.KindConfigMap {
		u.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: key.Kind})
	}
	u.SetNamespace(key.Namespace)
	u.SetName(key.Name)
	return u
}

// put stores an object as it is. A namespace may have istio.io/rev filled in: that is taken away again, which it stays if the label goes
// first and the note of it after that.
func (s *suite) put(t *testing.T, o *model.Object) {
	t.Helper()
	created := o.DeepCopy()
	err := s.setup.Create(t.Context(), created)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatalf("%s: %v", model.Text(o), err)
	}
	for range 4 {
		stored := named(model.KeyOf(o))
		must(t, s.setup.Get(t.Context(), client.ObjectKeyFromObject(stored), stored))
		wanted := o.DeepCopy()
		wanted.SetResourceVersion(stored.GetResourceVersion())
		wanted.SetUID(stored.GetUID())
		if o.GetKind() == "Namespace" {
			labels := wanted.GetLabels()
			if labels == nil {
				labels = map[string]string{}
			}
			labels["kubernetes.io/metadata.name"] = o.GetName()
			wanted.SetLabels(labels)
			if _, filled := stored.GetLabels()["istio.io/rev"]; filled && stored.GetAnnotations() != nil {
				wanted.SetAnnotations(stored.GetAnnotations())
			}
		}
		if reflect.DeepEqual(wanted.GetLabels(), stored.GetLabels()) && reflect.DeepEqual(wanted.GetAnnotations(), stored.GetAnnotations()) &&
			(o.GetKind() == "Namespace" || reflect.DeepEqual(wanted.Object["spec"], stored.Object["spec"]) && reflect.DeepEqual(wanted.Object["data"], stored.Object["data"])) {
			return
		}
		must(t, s.setup.Update(t.Context(), wanted))
	}
}

// try makes a change, and carries out all that the message says to do about it.
func (s *suite) try(t *testing.T, cluster model.Cluster, change model.Change) {
	t.Helper()
	want := s.judge.Of(cluster, change)
	var err error
	known := wait.PollUntilContextTimeout(t.Context(), 25*time.Millisecond, soon, true, func(ctx context.Context) (bool, error) {
		var codes []string
		codes, err = s.told(ctx, change)
		if apierrors.IsInvalid(err) && len(codes) == 0 {
			return true, nil // by its definition
		}
		return slices.Equal(codes, codesOf(want.Verdict)), nil
	})
	codes, err := s.told(t.Context(), change)
	if apierrors.IsInvalid(err) && len(codes) == 0 {
		return // the definition of its kind refuses it
	}
	if known != nil {
		t.Errorf("it is told %q, the model says %q: %v\nfrom %s\nto %s\nin\n%s", codes, codesOf(want.Verdict), err, model.Text(change.Old), model.Text(change.New), cluster)
		return
	}
	s.changes++
	trials := s.judge.Trials(cluster, change)
	after := cluster
	if want.Answer == policy.Allowed {
		after = trials[0].Cluster
		s.bring(t, after)
	}
	for i := range trials {
		s.ways[trials[i].Finding.Rule.Code]++
		s.run(t, &trials[i])
		s.bring(t, after)
		if t.Failed() {
			t.Logf("%s", trials[i].String())
			return
		}
	}
	s.bring(t, cluster)
}

// told makes a change as a dry run, and returns the codes of all that it is told.
func (s *suite) told(ctx context.Context, change model.Change) ([]string, error) {
	s.warned.all = nil
	err := s.send(ctx, change, true)
	var codes []string
	if status := (apierrors.APIStatus)(nil); errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			codes = append(codes, codesIn(cause.Message)...)
		}
	}
	var warnings []string
	for _, text := range s.warned.all {
		if !strings.Contains(text, " remedy: ") {
			warnings = append(warnings, codesIn(text)...)
		}
	}
	return append(codes, warnings...), err
}

// codesIn is the code that a message begins with.
func codesIn(text string) []string {
	if word, _, _ := strings.Cut(text, " "); len(word) == len("MF000") && strings.HasPrefix(word, "MF") {
		return []string{word}
	}
	return nil
}

func codesOf(verdict policy.Verdict) []string {
	var codes []string
	for _, f := range verdict.Findings() {
		codes = append(codes, string(f.Rule.Code))
	}
	return codes
}

// send makes a change.
func (s *suite) send(ctx context.Context, change model.Change, dryRun bool) error {
	var create []client.CreateOption
	var update []client.UpdateOption
	var remove []client.DeleteOption
	if dryRun {
		create, update, remove = append(create, client.DryRunAll), append(update, client.DryRunAll), append(remove, client.DryRunAll)
	}
	switch {
	case change.Old == nil:
		return s.user.Create(ctx, change.New.DeepCopy(), create...)
	case change.New == nil:
		return s.user.Delete(ctx, named(change.Key), remove...)
	}
	stored := named(change.Key)
	if err := s.user.Get(ctx, client.ObjectKeyFromObject(stored), stored); err != nil {
		return err
	}
	wanted := change.New.DeepCopy()
	wanted.SetResourceVersion(stored.GetResourceVersion())
	wanted.SetUID(stored.GetUID())
	if change.Key.Kind == model.KindNamespace {
		labels := wanted.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels["kubernetes.io/metadata.name"] = change.Key.Name
		wanted.SetLabels(labels)
	}
	return s.user.Update(ctx, wanted, update...)
}

// run pastes the commands of a way out: a single one as a dry run; of several each but the last is stored, because the next ones build on
// it. What the API server answers is what is judged again.
func (s *suite) run(t *testing.T, trial *model.Trial) {
	t.Helper()
	c, touched, only := trial.Cluster, false, true
	var last model.Answer
	var namespaces []string
	for i, command := range trial.Way.Commands {
		requests, err := model.Read(command)
		if err != nil {
			t.Errorf("%q cannot be pasted: %v", command, err)
			return
		}
		stored := i+1 < len(trial.Way.Commands)
		s.commands++
		var made map[model.Key]*unstructured.Unstructured
		if s.kubectl < pasted {
			made = s.paste(t, command, requests)
		}
		for _, r := range requests {
			only = false
			change, err := r.Change(c)
			must(t, err)
			last = s.judge.Of(c, change)
			got, err := s.request(t.Context(), r, !stored)
			if err != nil {
				s.refusals++
				t.Errorf("%q is refused: %v", command, err)
				return
			}
			if by := made[r.Key]; by != nil && !reflect.DeepEqual(by.Object, got.Object) {
				t.Errorf("%s: kubectl makes\n%v, and the same request without it\n%v", command, by, got)
			}
			c = c.Put(r.Key, got).Operate()
			if stored {
				s.have = maps.Clone(s.have)
				s.have[r.Key] = got
				s.bring(t, c)
			}
			touched = touched || r.Key == trial.Change.Key || c.PartOf(trial.Change.Key, r.Key)
			if r.Key.Kind == model.KindNamespace {
				namespaces = append(namespaces, r.Key.Name)
			}
		}
	}
	if only {
		return
	}
	if err := s.judge.Cured(trial, c, touched, last, namespaces); err != nil {
		t.Error(err)
	}
}

// request sends what kubectl would, and returns the object as it is then; nil if it is gone.
func (s *suite) request(ctx context.Context, r model.Request, dryRun bool) (*model.Object, error) {
	object := named(r.Key)
	switch r.Verb {
	case model.Delete:
		if dryRun {
			return nil, s.user.Delete(ctx, object, client.DryRunAll)
		}
		return nil, s.user.Delete(ctx, object)
	case model.Apply:
		object = &unstructured.Unstructured{Object: r.Patch}
		object = object.DeepCopy()
		options := []client.CreateOption{}
		if dryRun {
			options = append(options, client.DryRunAll)
		}
		if err := s.user.Create(ctx, object, options...); err != nil {
			return nil, err
		}
	default:
		raw, err := json.Marshal(r.Patch)
		if err != nil {
			return nil, err
		}
		options := []client.PatchOption{}
		if dryRun {
			options = append(options, client.DryRunAll)
		}
		if err := s.user.Patch(ctx, object, client.RawPatch(types.MergePatchType, raw), options...); err != nil {
			return nil, err
		}
	}
	return model.NewObject(tidied(object))
}

// tidied is an object without what the API server adds.
func tidied(object *unstructured.Unstructured) *unstructured.Unstructured {
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"} {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	if object.GetKind() == model.KindNamespace {
		unstructured.RemoveNestedField(object.Object, "metadata", "labels", "kubernetes.io/metadata.name")
		unstructured.RemoveNestedField(object.Object, "spec")
	}
	unstructured.RemoveNestedField(object.Object, "status")
	unstructured.RemoveNestedField(object.Object, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")
	if len(object.GetAnnotations()) == 0 {
		unstructured.RemoveNestedField(object.Object, "metadata", "annotations")
	}
	return object
}

// paste gives a command to a shell with the real kubectl, as a dry run, and returns what comes of it: nothing of a command that only shows
// or deletes something.
func (s *suite) paste(t *testing.T, command string, requests []model.Request) map[model.Key]*unstructured.Unstructured {
	t.Helper()
	line := command
	if len(requests) > 0 {
		line += " --dry-run=server"
		if requests[0].Verb != model.Delete {
			line += " -o json"
		}
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", line)
	shell.Env = s.env
	var said strings.Builder
	shell.Stderr = &said
	output, err := shell.Output()
	if s.kubectl++; err != nil {
		s.refusals++
		t.Errorf("%s: %v\n%s", line, err, said.String())
		return nil
	}
	if len(requests) == 0 || requests[0].Verb == model.Delete {
		return nil
	}
	got := map[model.Key]*unstructured.Unstructured{}
	list := &unstructured.Unstructured{}
	_, object, _ := bytes.Cut(output, []byte("{")) // after what it says of labels that are not there
	must(t, json.Unmarshal(append([]byte("{"), object...), list))
	if list.IsList() {
		must(t, list.EachListItem(func(item runtime.Object) error {
			u := item.(*unstructured.Unstructured)
			got[keyOf(u)] = tidied(u)
			return nil
		}))
	} else {
		got[keyOf(list)] = tidied(list)
	}
	return got
}

func keyOf(u *unstructured.Unstructured) model.Key {
	return model.Key{Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}
