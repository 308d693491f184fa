package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/metadata"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/explain"
	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/audit/report"
	"github.com/meshfence/meshfence/docs"
	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/policy"
)

// explainCommand is the command and its flags.
type explainCommand struct {
	*input
	format string
}

func newExplainCommand() *cobra.Command {
	e := &explainCommand{input: newInput()}
	cmd := &cobra.Command{
		Use:   "explain namespace|mesh|revision|tag|rule NAME [LABEL=VALUE|LABEL-]...",
		Short: "Say why a namespace is in a mesh or not, and what a change of its labels would do",
		Long: `Say which mesh discovers a namespace, through which selector, which one injects it and by
which label, and what is wrong with it; or what a mesh, a revision, a tag or a rule is.

Label edits behind the name of a namespace are those of kubectl label, so that a
command becomes a question: what would become of it, and what would the webhook say?
With a cluster its API server is asked too, in a dry run, and a disagreement is told.

The exit status is 1 if the edits would be refused, and 2 if nothing could be said.`,
		Example: `  # why is shop not in its mesh?
  meshfence explain namespace shop

  # what would kubectl label namespace shop istio-discovery=mesh-1 do?
  meshfence explain namespace shop istio-discovery=mesh-1`,
		Args: cobra.MinimumNArgs(1),
		RunE: e.run,
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Bool("overwrite", true, "as of kubectl label; the edits are always taken to overwrite")
	_ = cmd.Flags().MarkHidden("overwrite") // the flag is there
	cmd.Flags().StringVarP(&e.format, "output", "o", explain.Text, "`FORMAT`: text, json or yaml")
	e.addFlags(cmd.Flags())
	return cmd
}

// asKubectlNames puts what kubectl label takes into the words of explain: ns, namespaces and namespace/NAME are a namespace too.
func asKubectlNames(args []string) ([]string, error) {
	args = slices.Clone(args)
	if kind, name, joined := strings.Cut(args[0], "/"); joined {
		args = append([]string{kind, name}, args[1:]...)
	}
	if args[0] == "ns" || args[0] == "namespaces" {
		args[0] = "namespace"
	}
	if len(args) < 2 {
		return nil, fmt.Errorf("which %s? It takes a name", args[0])
	}
	return args, nil
}

// subjects are what can be explained.
func subjects() []string { return []string{"namespace", "mesh", "revision", "tag", "rule"} }

func (e *explainCommand) run(cmd *cobra.Command, args []string) error {
	args, err := asKubectlNames(args)
	if err != nil {
		return err
	}
	if !slices.Contains(subjects(), args[0]) {
		return fmt.Errorf("%q is not one of %s%s", args[0], strings.Join(subjects(), ", "), explain.DidYouMean(args[0], subjects()))
	}
	if !slices.Contains([]string{explain.Text, explain.JSON, explain.YAML}, e.format) {
		return fmt.Errorf("-o %q is not one of text, json, yaml", e.format)
	}
	edits, err := parseEdits(args[2:])
	if err != nil {
		return err
	}
	if len(edits) > 0 && args[0] != "namespace" {
		return fmt.Errorf("%s: only the labels of a namespace can be edited", args[2])
	}
	if err := e.validate(); err != nil {
		return err
	}
	if args[0] == "namespace" {
		e.oneNamespace = args[1]
	}
	a, err := e.answer(cmd, args[0], args[1], edits)
	if err == nil {
		var text string
		if text, err = a.Write(e.format); err == nil {
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
		}
	}
	switch {
	case err != nil:
		tellError(cmd.ErrOrStderr(), err.Error())
		return outcome(report.StatusUnjudged)
	case a.refused:
		return outcome(report.StatusFindings)
	case a.incomplete:
		return outcome(report.StatusUnjudged)
	}
	return nil
}

// explained is an explanation, and what the exit status follows from.
type explained struct {
	*explain.Explanation
	// refused says that the edits would be refused, by the model or by the webhook; incomplete that something could not be read, or the webhook
	// not be asked.
	refused, incomplete bool
}

// parseEdits reads label edits as kubectl label does: LABEL=VALUE, or LABEL- for one that goes, which is nil.
func parseEdits(words []string) (map[string]*string, error) {
	edits := map[string]*string{}
	for _, word := range words {
		key, value, sets := strings.Cut(word, "=")
		if !sets {
			var removes bool
			if key, removes = strings.CutSuffix(word, "-"); !removes {
				return nil, fmt.Errorf("%q is neither LABEL=VALUE nor LABEL-", word)
			}
		}
		if _, twice := edits[key]; twice {
			return nil, fmt.Errorf("%q: the label %s is edited twice", word, key)
		}
		if problems := validation.IsQualifiedName(key); len(problems) > 0 {
			return nil, fmt.Errorf("%q: the label's key is not valid: %s", word, problems[0])
		}
		if problems := validation.IsValidLabelValue(value); sets && len(problems) > 0 {
			return nil, fmt.Errorf("%q: the label's value is not valid: %s", word, problems[0])
		}
		edits[key] = nil
		if sets {
			edits[key] = &value
		}
	}
	return edits, nil
}

func (e *explainCommand) answer(cmd *cobra.Command, subject, name string, edits map[string]*string) (*explained, error) {
	if subject == "rule" {
		x, err := e.rule(name)
		return &explained{Explanation: x}, err
	}
	checker, err := e.checker()
	if err != nil {
		return nil, err
	}
	l, err := e.look(cmd.Context(), checker.Scope, cmd.InOrStdin(), cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	inventory := l.everything()
	for _, problem := range l.problems {
		tell(cmd.ErrOrStderr(), "not known: "+problem.String())
	}
	explainer := explain.Explainer{Checker: checker, Inventory: inventory}
	a := &explained{incomplete: len(l.problems) > 0}
	asking := e.against == againstCluster && len(e.paths) == 0
	if asking && subject == "namespace" {
		var all bool
		if explainer.Seen, all, err = e.seen(cmd, checker, inventory, name); err != nil {
			return nil, err
		}
		a.incomplete = a.incomplete || !all
	}
	switch subject {
	case "mesh":
		a.Explanation, err = explainer.Mesh(name)
	case "revision":
		a.Explanation, err = explainer.Revision(name)
	case "tag":
		a.Explanation, err = explainer.Tag(name)
	default:
		a.Explanation, err = explainer.Namespace(name, edits)
	}
	if err != nil || a.Answer == nil {
		return a, err
	}
	a.refused = a.Answer.Refused
	if asking {
		e.ask(cmd.Context(), name, edits, a)
	}
	return a, nil
}

// seen reads what there is to see of a namespace, and reports whether all could be read. What cannot be read is told, and left out.
func (e *explainCommand) seen(cmd *cobra.Command, checker *audit.Checker, inventory *audit.Inventory, namespace string) (seenOf *observed.Cluster, all bool, err error) {
	seen, err := e.observeNamespace(cmd.Context(), checker, inventory, cmd.ErrOrStderr(), namespace)
	for _, gap := range seen.gaps {
		tell(cmd.ErrOrStderr(), "not known: "+gap)
	}
	return seen.cluster, len(seen.gaps) == 0, err
}

// rule explains a rule, by its code or name.
func (e *explainCommand) rule(name string) (*explain.Explanation, error) {
	c, err := e.configuration()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range policy.AllRules() {
		names = append(names, string(r.Code), r.Name)
		if !strings.EqualFold(name, string(r.Code)) && !strings.EqualFold(name, r.Name) {
			continue
		}
		section, _ := docs.Rule(string(r.Code))
		action := []string{r.Action.String()}
		if here := webhook.Settings(c).Actions.Of(r); here != r.Action {
			action = append(action, here.String()+" by the configuration")
		}
		return &explain.Explanation{
			APIVersion: explain.APIVersion, Kind: explain.Kind, Of: "Rule " + string(r.Code) + " " + r.Name,
			Facts: []explain.Fact{{Name: "action", Value: action}}, Text: section.Text,
		}, nil
	}
	return nil, fmt.Errorf("there is no rule %q%s", name, explain.DidYouMean(strings.ToUpper(name), names))
}

// ask has the API server ask its webhooks in a dry run, and compares their answer with the model's.
func (e *explainCommand) ask(ctx context.Context, name string, edits map[string]*string, a *explained) {
	warned, err := e.dryRun(ctx, name, edits)
	denied := err != nil && strings.Contains(err.Error(), deniedByWebhook)
	note := "The API server was asked in a dry run too, and "
	switch {
	case err != nil && !denied:
		note += fmt.Sprintf("could not say: %v", err)
		a.incomplete = true
	case denied == a.refused && denied:
		note += "says the same."
	case denied == a.refused:
		note += compareWarnings(rulesIn(a.Answer.Messages), warned)
	case denied:
		a.Answer.Refused, a.Answer.Messages = true, append(a.Answer.Messages, err.Error())
		note += "disagrees: by what was read here the change would be admitted. Compare --config with the configuration of the server."
	default:
		note += "disagrees: it admits the change. Either meshfence is not installed there, or the user or the namespace is exempt, or --config differs from the " +
			"configuration of the server."
	}
	a.refused = a.refused || denied
	a.Notes = append(a.Notes, note)
}

// compareWarnings says what the warnings of the API server's webhooks have that the model has not, and the other way round. Rules about rights
// and about the pods of a namespace that moves are the webhook's alone.
func compareWarnings(model []string, warnings []string) string {
	webhook := rulesIn(warnings)
	missing := slices.DeleteFunc(slices.Clone(model), func(code string) bool { return slices.Contains(webhook, code) })
	var more []string
	for _, text := range warnings {
		if codes := rulesIn([]string{text}); len(codes) > 0 && !slices.Contains(model, codes[0]) {
			more = append(more, text)
		}
	}
	switch {
	case len(missing) > 0:
		return fmt.Sprintf("disagrees: it does not warn of %s. Either meshfence is not installed there, or --config differs from the configuration of the server.", strings.Join(missing, ", "))
	case len(more) > 0:
		return "warns of more: " + strings.Join(more, " ")
	default:
		return "says the same."
	}
}

var ruleInText = regexp.MustCompile(`\b(MF\d{3}) [A-Z]`)

// rulesIn returns the codes of the rules that texts tell findings of, sorted, each once.
func rulesIn(texts []string) []string {
	var codes []string
	for _, text := range texts {
		for _, match := range ruleInText.FindAllStringSubmatch(text, 1) {
			codes = append(codes, match[1])
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// warningKeeper keeps the warnings of an answer.
type warningKeeper struct{ texts []string }

// HandleWarningHeader is called for each warning.
func (k *warningKeeper) HandleWarningHeader(_ int, _, text string) { k.texts = append(k.texts, text) }

// deniedByWebhook is what the API server says before a refusal by one of meshfence's webhooks (k8s.io/apiserver,
// pkg/admission/plugin/webhook/errors/statuserror.go).
const deniedByWebhook = `.validate.meshfence.io" denied the request: `

func (e *explainCommand) dryRun(ctx context.Context, name string, edits map[string]*string) (warnings []string, err error) {
	api, err := e.apiConfig()
	if err != nil {
		return nil, err
	}
	kept := &warningKeeper{}
	api.WarningHandler = kept
	client, err := metadata.NewForConfig(api)
	if err != nil {
		return nil, err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": edits}})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	namespaces := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	_, err = namespaces.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("no answer within %v", readLimit)
	}
	return kept.texts, err
}
