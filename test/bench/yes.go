package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// The pair of webhooks that always say yes is controller-runtime's server with its stock handler and a function that
// allows without looking. It runs as a process of its own, which is this program with the argument yes. At meshfence's own
// paths the same process answers without looking too, but as meshfence would: the mutating webhook fills in.

const (
	yesCommand      = "yes"
	yesValidatePath = "/validate"
	yesMutatePath   = "/mutate"

	fillValidatePath = "/validate/namespace"
	fillMutatePath   = "/mutate/namespace"
)

// serveYes runs the pair until standard input ends, which it does with the process that started this one.
func serveYes(port int, certDir string) error {
	ctx, stop := untilInputEnds()
	defer stop()
	server := webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, CertDir: certDir})
	yes := admission.HandlerFunc(func(context.Context, admission.Request) admission.Response { return admission.Allowed("") })
	for _, path := range []string{yesValidatePath, yesMutatePath, fillValidatePath} {
		server.Register(path, &admission.Webhook{Handler: yes})
	}
	server.Register(fillMutatePath, &admission.Webhook{Handler: admission.HandlerFunc(fillIn)})
	return server.Start(ctx)
}

// fillIn fills in what meshfence fills in where the bench asks for it, and warns as long.
func fillIn(_ context.Context, request admission.Request) admission.Response {
	if bytes.Contains(request.OldObject.Raw, fmt.Appendf(nil, `"istio.io/rev":%q`, meshName(1))) { // a person who removes it keeps it removed
		return admission.Allowed("")
	}
	kind := admissionv1.PatchTypeJSONPatch
	patch := fmt.Appendf(nil, `[{"op":"add","path":"/metadata/labels/istio.io~1rev","value":%[1]q},`+
		`{"op":"add","path":"/metadata/annotations","value":{"meshfence.io/filled-revision":%[1]q}}]`, meshName(1))
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Allowed: true, PatchType: &kind, Patch: patch, Warnings: []string{strings.Repeat("filled in ", 20)},
	}}
}

// pair is the running process.
type pair struct {
	pid  int
	stop func() error
}

func startYes(port int, certDir string) (*pair, error) {
	return startPair(yesCommand, strconv.Itoa(port), certDir)
}

// startPair starts this program once more, with these arguments.
func startPair(args ...string) (*pair, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	return &pair{pid: cmd.Process.Pid, stop: func() error {
		if err := input.Close(); err != nil {
			return err
		}
		return cmd.Wait()
	}}, nil
}
