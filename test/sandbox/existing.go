package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"
	eventsv1 "k8s.io/api/events/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// runLabel is on everything that the sandbox makes, and on what the replay makes unless it goes with a namespace. Its value is the run's own.
const runLabel = "meshfence.io/sandbox"

// withoutAudit keeps meshfence from judging what the replay does not send: the audit looks at the whole cluster, and writes reports and Events
// about the objects of others, which would stay.
const withoutAudit = "--audit-interval=0"

const (
	// reachLimit bounds the wait until the API server asks meshfence, goneLimit that until a removed object is gone:
	// namespaces take a controller of the cluster some seconds. It bounds an outage of the API server too.
	reachLimit, goneLimit = 20 * time.Second, 2 * time.Minute
	// tryLimit bounds one of several tries to remove something, and lastTryLimit one when the patience has ended.
	tryLimit, lastTryLimit = 10 * time.Second, 2 * time.Second
	pollInterval           = 100 * time.Millisecond
)

// errInUse keeps a definition, however often it is tried.
var errInUse = errors.New("it has objects that the sandbox did not make")

// errDeclined is the answer no: nothing was made.
var errDeclined = errors.New("nothing was made")

// existing is the sandbox in a cluster that is there.
type existing struct {
	out   io.Writer
	once  bool
	agree func(context.Context, io.Writer) error
	// patience is another goneLimit, for tests; 0 for that.
	patience time.Duration

	cluster *harness.Cluster
	label   string
	made    []made // in the order in which it was made
	running bool   // meshfence
}

// made is an object of this run. Without a UID it is one only if it has the run's label: the request may have failed.
type made struct {
	kind schema.GroupVersionKind
	key  client.ObjectKey
	uid  types.UID
}

// removal is the command that removes it.
func (m made) removal() string {
	command := "kubectl delete " + strings.ToLower(m.kind.Kind) + " " + m.key.Name
	if m.key.Namespace != "" {
		command += " -n " + m.key.Namespace
	}
	return command
}

func (m made) String() string { return strings.TrimSpace(m.kind.Kind + " " + m.key.Name) }

// agreement is the answer that the variable YES has given, or else asks for one at the terminal.
func agreement(yes string) (func(context.Context, io.Writer) error, error) {
	switch strings.ToLower(strings.TrimSpace(yes)) {
	case "1", "y", "yes", "true":
		return func(context.Context, io.Writer) error { return nil }, nil
	case "":
		return askAtTerminal, nil
	}
	return nil, fmt.Errorf("YES=%s is no answer that is known: YES=1 says yes; leave YES out to be asked", yes)
}

func askAtTerminal(ctx context.Context, out io.Writer) error {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return fmt.Errorf("%w: there is no terminal to ask at; YES=1 says yes", errDeclined)
	}
	return ask(ctx, out, os.Stdin)
}

// ask returns nil if the line that in has next is a yes. It does not wait for one longer than ctx lasts; what still reads then ends with the program.
func ask(ctx context.Context, out io.Writer, in io.Reader) error {
	fmt.Fprint(out, "Make this there, and remove it in the end? [y/N] ")
	type read struct {
		line string
		err  error
	}
	answered := make(chan read, 1)
	go func() {
		line, err := bufio.NewReader(in).ReadString('\n')
		answered <- read{line, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(out)
		return errDeclined
	case answer := <-answered:
		if answer.err != nil && !errors.Is(answer.err, io.EOF) {
			return answer.err
		}
		switch strings.ToLower(strings.TrimSpace(answer.line)) {
		case "y", "yes":
			return nil
		}
		return errDeclined
	}
}

// run asks, installs, replays, and removes what it has made, whatever happened in between.
func (e *existing) run(ctx context.Context, kubeconfig, host string) (err error) {
	if e.cluster, err = harness.Attach(kubeconfig, host); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.cluster.Stop()) }()
	e.label = rand.String(10)
	planned, err := e.plan(ctx)
	if err != nil {
		return err
	}
	if err := e.agree(ctx, e.out); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errDeclined
	}
	defer func() { err = errors.Join(err, e.remove(context.WithoutCancel(ctx))) }()
	if err := e.install(ctx, planned, host); err != nil {
		return err
	}
	return e.replay(ctx)
}

// plan says where what would be made. It is an error if the cluster has something of it: that is another's.
func (e *existing) plan(ctx context.Context) ([]client.Object, error) {
	name, version, err := e.cluster.ContextAndVersion()
	if err != nil {
		return nil, err
	}
	planned, err := e.cluster.Planned(ctx)
	if err != nil {
		return nil, err
	}
	for _, object := range planned {
		if err := e.absent(ctx, object.GetObjectKind().GroupVersionKind(), client.ObjectKeyFromObject(object)); err != nil {
			return nil, err
		}
	}
	for _, namespace := range namespaces() {
		if err := e.absent(ctx, schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, client.ObjectKey{Name: namespace}); err != nil {
			return nil, err
		}
	}
	if err := e.noMeshes(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(e.out, "Cluster: context %q, %s, Kubernetes %s\nmeshfence runs on this machine. Until the end this is made in the cluster:\n", name, e.cluster.Config.Host, version)
	for _, object := range planned {
		fmt.Fprintf(e.out, "  %s %s\n", object.GetObjectKind().GroupVersionKind().Kind, object.GetName())
	}
	fmt.Fprintf(e.out, "  Namespaces of the replay: %s, with what it applies there\n  Istios of the replay\nEach has the label %s=%s, or its namespace does.\n", strings.Join(namespaces(), ", "), runLabel, e.label)
	return planned, nil
}

// absent is an error if the object is there.
func (e *existing) absent(ctx context.Context, kind schema.GroupVersionKind, key client.ObjectKey) error {
	stored, err := e.get(ctx, kind, key)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	if err := leftover(kind.Kind, stored); err != nil {
		return err
	}
	return fmt.Errorf("%s %q is in the cluster already, and it is not the sandbox's to change: use a cluster without meshfence and meshes, a new one of kind for example", kind.Kind, key.Name)
}

// namespaces are those that the replay makes.
func namespaces() []string {
	var names []string
	for _, section := range replay() {
		for _, step := range section.steps {
			if name, ok := strings.CutPrefix(step.kubectl, "create namespace "); ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// install makes what was planned, starts meshfence before the webhook configurations, and returns when the API server asks it.
func (e *existing) install(ctx context.Context, planned []client.Object, host string) error {
	started := false
	for _, object := range planned {
		kind := object.GetObjectKind().GroupVersionKind()
		if !started && strings.HasSuffix(kind.Kind, "WebhookConfiguration") {
			if err := e.served(ctx); err != nil {
				return err
			}
			if _, err := e.cluster.StartMeshfence(ctx, harness.ProcessOptions{Args: []string{withoutAudit}}); err != nil {
				return err
			}
			started, e.running = true, true
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		labels := object.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[runLabel] = e.label
		object.SetLabels(labels)
		// Noted before it is made, and not cut off: else it could stay.
		e.made = append(e.made, made{kind: kind, key: client.ObjectKeyFromObject(object)})
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestLimit)
		err := e.cluster.Client.Create(limited, object)
		cancel()
		if err != nil {
			return fmt.Errorf("make %s %s: %w", kind.Kind, object.GetName(), err)
		}
		e.made[len(e.made)-1].uid = object.GetUID()
	}
	return e.reached(ctx, host)
}

// served waits until the API server serves Istios, whose definition may be new. Then it looks for meshes again: one may have come while the
// question was open.
func (e *existing) served(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, pollInterval, reachLimit, true, func(ctx context.Context) (bool, error) {
		_, _, err := e.cluster.RunKubectl(ctx, e.cluster.Dir(), "get", "istios.sailoperator.io")
		return err == nil, nil
	})
	if err != nil {
		return err
	}
	return e.noMeshes(ctx)
}

// reached waits until meshfence refuses a mesh that cannot be, in a dry run.
func (e *existing) reached(ctx context.Context, host string) error {
	probe := filepath.Join(e.cluster.Dir(), "sandbox")
	if err := unpack(probe); err != nil {
		return err
	}
	err := wait.PollUntilContextTimeout(ctx, pollInterval, reachLimit, true, func(ctx context.Context) (bool, error) {
		_, stderr, _ := e.cluster.RunKubectl(ctx, probe, "apply", "--dry-run=server", "-f", "istio-operator.yaml")
		return harness.RuleIn(stderr) != "", nil
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return fmt.Errorf("the API server does not reach meshfence on this machine at %s: WEBHOOK_HOST=address names one that it reaches, as host.docker.internal or the gateway of its container network", host)
}

func (e *existing) replay(ctx context.Context) error {
	player := &player{out: e.out, cluster: e.cluster, dir: filepath.Join(e.cluster.Dir(), "sandbox"), printed: func(stdout string) { e.note(ctx, stdout) }}
	if err := player.play(ctx, replay()); err != nil {
		return err
	}
	fmt.Fprintln(e.out, "\n"+player.summary())
	if !e.once {
		fmt.Fprintln(e.out, "\nIt stays up; Ctrl-C removes everything.")
		<-ctx.Done()
	}
	if len(player.unexpected) > 0 {
		return errors.New(player.summary())
	}
	return nil
}

// note remembers the objects that kubectl says it has created, not those that it has changed, by their UIDs.
func (e *existing) note(ctx context.Context, stdout string) {
	for line := range strings.Lines(stdout) {
		object, ok := strings.CutSuffix(strings.TrimSpace(line), " created")
		kind, name, isObject := strings.Cut(object, "/")
		if !ok || !isObject {
			continue
		}
		m := made{kind: schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, key: client.ObjectKey{Name: name}}
		switch {
		case strings.HasPrefix(kind, "istio."):
			m.kind = schema.GroupVersionKind{Group: "sailoperator.io", Version: "v1", Kind: "Istio"}
		case kind != "namespace":
			continue // goes with its namespace
		}
		e.noteOne(context.WithoutCancel(ctx), m)
	}
}

// noteOne remembers an object, and labels it for those who have to remove it should this program be killed: kubectl's command lines make it without.
func (e *existing) noteOne(ctx context.Context, m made) {
	var stored *metav1.PartialObjectMetadata
	err := again(ctx, requestLimit, func(ctx context.Context) (err error) {
		stored, err = e.get(ctx, m.kind, m.key)
		return err
	})
	if err != nil {
		fmt.Fprintf(e.out, "   %s was made and is not removed, because it cannot be read: %v\n", m, err)
		return
	}
	m.uid = stored.GetUID()
	e.made = append(e.made, m)
	limited, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	label := fmt.Sprintf(`{"metadata":{"uid":%q,"labels":{%q:%q}}}`, m.uid, runLabel, e.label)
	if err := e.cluster.Client.Patch(limited, stored, client.RawPatch(types.MergePatchType, []byte(label))); err != nil {
		fmt.Fprintf(e.out, "   %s has no label %s, by which it would be found if this program were killed: %v\n", m, runLabel, err)
	}
}

func (e *existing) get(ctx context.Context, kind schema.GroupVersionKind, key client.ObjectKey) (*metav1.PartialObjectMetadata, error) {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(kind)
	return object, e.cluster.Client.Get(ctx, key, object)
}

// remove deletes what this run has made, the last first, and so the webhook configurations before what they would judge. What fails is tried
// again as long as the patience lasts, and that lasts anew after each object that went.
func (e *existing) remove(ctx context.Context) error {
	fmt.Fprintln(e.out, "\nRemoving what was made.")
	patience := cmp.Or(e.patience, goneLimit)
	until := time.Now().Add(patience)
	var errs []error
	order := slices.Clone(e.made)
	slices.Reverse(order)
	slices.SortStableFunc(order, func(a, b made) int { return rank(a) - rank(b) })
	for _, m := range order {
		if e.running && rank(m) > 0 { // the API server asks it no more, and it writes nothing into what goes
			e.running = false
			errs = append(errs, e.cluster.StopMeshfence())
		}
		if err := e.removeOne(ctx, m, until, patience); err != nil {
			errs = append(errs, fmt.Errorf("%s was not removed: %w; remove it with %s", m, err, m.removal()))
			continue
		}
		until = time.Now().Add(patience)
	}
	return errors.Join(append(errs, again(ctx, time.Until(until), e.removeEvents))...)
}

// again tries until it succeeds, at least once, and returns the error of the last try.
func again(ctx context.Context, limit time.Duration, try func(context.Context) error) error {
	var last error
	_ = wait.PollUntilContextTimeout(ctx, pollInterval, limit, true, func(context.Context) (bool, error) {
		limited, cancel := context.WithTimeout(ctx, min(tryLimit, max(limit, lastTryLimit)))
		defer cancel()
		last = try(limited)
		return last == nil || errors.Is(last, errInUse), nil
	})
	return last
}

// removeEvents deletes what controllers of the cluster wrote about objects of this run. Events about objects without a namespace are in the
// namespace default, and go with none.
func (e *existing) removeEvents(ctx context.Context) error {
	events := &eventsv1.EventList{}
	if err := e.cluster.Client.List(ctx, events, client.InNamespace(metav1.NamespaceDefault)); err != nil {
		return fmt.Errorf("look for Events about what was made: %w", err)
	}
	var errs []error
	for i := range events.Items {
		uid := events.Items[i].Regarding.UID
		if uid != "" && slices.ContainsFunc(e.made, func(m made) bool { return m.uid == uid }) {
			errs = append(errs, ignoreGone(e.cluster.Client.Delete(ctx, &events.Items[i])))
		}
	}
	return errors.Join(errs...)
}

// rank is the place in the order of removal.
func rank(m made) int {
	switch {
	case strings.HasSuffix(m.kind.Kind, "WebhookConfiguration"):
		return 0
	case m.kind.Kind == "Istio":
		return 1
	case m.kind.Kind == "CustomResourceDefinition":
		return 3
	}
	return 2
}

// removeOne deletes an object, for which it tries until a time, and waits until it is gone.
func (e *existing) removeOne(ctx context.Context, m made, until time.Time, patience time.Duration) error {
	var deleted types.UID
	told := false
	err := again(ctx, time.Until(until), func(ctx context.Context) (err error) {
		deleted, err = e.deleteOne(ctx, m)
		if err != nil && !told && time.Now().Before(until) && !errors.Is(err, errInUse) {
			told = true
			fmt.Fprintf(e.out, "   %s cannot be removed yet, which is tried until %s: %v\n", m, until.Format(time.TimeOnly), err)
		}
		return err
	})
	if err != nil || deleted == "" {
		return err
	}
	return again(ctx, patience, func(ctx context.Context) error {
		now, err := e.get(ctx, m.kind, m.key)
		if err == nil && now.GetUID() == deleted {
			return errors.New("it was deleted, and something in the cluster has not let it go yet")
		}
		return ignoreGone(err)
	})
}

// deleteOne deletes an object and returns its UID, "" if there is nothing to delete. One of that name that is not this run's stays.
func (e *existing) deleteOne(ctx context.Context, m made) (types.UID, error) {
	stored, err := e.get(ctx, m.kind, m.key)
	if err != nil {
		return "", ignoreGone(err)
	}
	uid := stored.GetUID()
	if m.uid == "" && stored.GetLabels()[runLabel] != e.label || m.uid != "" && uid != m.uid {
		return "", nil
	}
	if err := e.unused(ctx, m); err != nil {
		return "", err
	}
	return uid, ignoreGone(e.cluster.Client.Delete(ctx, stored, client.Preconditions{UID: &uid}))
}

// unused is an error if a definition has objects: they would go with it, and they are another's, because those of the run went before.
func (e *existing) unused(ctx context.Context, m made) error {
	if m.kind.Kind != "CustomResourceDefinition" {
		return nil
	}
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := e.cluster.Client.Get(ctx, m.key, definition); err != nil {
		return err
	}
	objects := &metav1.PartialObjectMetadataList{}
	objects.SetGroupVersionKind(schema.GroupVersionKind{
		Group: definition.Spec.Group, Version: definition.Spec.Versions[0].Name, Kind: definition.Spec.Names.ListKind,
	})
	if err := e.cluster.Client.List(ctx, objects); ignoreGone(err) != nil {
		return err
	}
	if len(objects.Items) > 0 {
		return fmt.Errorf("%w, %q for one, which would go with it", errInUse, objects.Items[0].Name)
	}
	return nil
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	return err
}
