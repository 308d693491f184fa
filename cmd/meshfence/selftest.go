package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// selftestRule is the rule that the selftest breaks: one that depends on nothing in the cluster but the namespace itself.
const selftestRule = "MF204"

func newSelftestCommand() *cobra.Command {
	var kubeconfig string
	labels := map[string]string{}
	cmd := &cobra.Command{
		Use:   "selftest",
		Short: "Ask the API server whether it asks meshfence",
		Long: `Ask the API server, in a dry run, for a namespace with the labels istio-injection=enabled
and istio.io/rev, and say whether meshfence (rule MF204) has answered. Nothing is stored.
It needs the right to create namespaces. 'helm test' runs it in the cluster.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := apiConfig(kubeconfig)
			if err != nil {
				return &failure{err}
			}
			said, err := selftest(cmd.Context(), api, labels)
			if err != nil {
				return &failure{err}
			}
			fmt.Fprintln(cmd.OutOrStdout(), said)
			return nil
		},
	}
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig `FILE`; without one KUBECONFIG or ~/.kube/config, else the cluster this runs in")
	cmd.Flags().StringToStringVar(&labels, "label", nil, "further `LABEL=VALUE` of the namespace, where meshfence is asked about some namespaces only")
	return cmd
}

// selftest returns what meshfence has said, or why it is not known.
func selftest(ctx context.Context, api *rest.Config, labels map[string]string) (string, error) {
	warnings := &warningList{}
	api = rest.CopyConfig(api)
	api.WarningHandler = warnings
	scheme, err := newScheme()
	if err != nil {
		return "", err
	}
	live, err := client.New(api, client.Options{Scheme: scheme})
	if err != nil {
		return "", err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "meshfence-selftest-",
		Labels:       map[string]string{"istio-injection": "enabled", "istio.io/rev": "meshfence-selftest"},
	}}
	for key, value := range labels {
		namespace.Labels[key] = value
	}
	if name := labels[corev1.LabelMetadataName]; name != "" {
		// The API server sets this label itself. If there is a namespace of that name, it says so after it has asked webhooks.
		namespace.Name, namespace.GenerateName = name, ""
	}
	err = live.Create(ctx, namespace, client.DryRunAll)
	switch said := warnings.joined(); {
	case err != nil && strings.Contains(err.Error(), selftestRule):
		return "meshfence refuses: " + err.Error(), nil
	case strings.Contains(said, selftestRule):
		return "meshfence warns: " + said, nil
	case err != nil:
		return "", fmt.Errorf("meshfence has not answered: %w", err)
	}
	return "", errors.New("meshfence was not asked: the namespace was accepted without a word about " + selftestRule +
		"; check that its webhook configurations exist, that they select a namespace with these labels, and that the rule is not off")
}

// warningList collects the warnings of the API server.
type warningList struct {
	mu   sync.Mutex
	list []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warningList) HandleWarningHeader(_ int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, text)
}

func (w *warningList) joined() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.list, "\n")
}
