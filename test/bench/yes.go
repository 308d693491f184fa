package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// The pair of webhooks that always say yes is controller-runtime's server with its stock handler and a function that
// allows without looking. It runs as a process of its own, which is this program with the argument yes.

const (
	yesCommand      = "yes"
	yesValidatePath = "/validate"
	yesMutatePath   = "/mutate"
)

// serveYes runs the pair until standard input ends, which it does with the process that started this one.
func serveYes(port int, certDir string) error {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	server := webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, CertDir: certDir})
	yes := admission.HandlerFunc(func(context.Context, admission.Request) admission.Response { return admission.Allowed("") })
	for _, path := range []string{yesValidatePath, yesMutatePath} {
		server.Register(path, &admission.Webhook{Handler: yes})
	}
	return server.Start(ctx)
}

// pair is the running process.
type pair struct {
	pid  int
	stop func() error
}

func startYes(port int, certDir string) (*pair, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, yesCommand, strconv.Itoa(port), certDir)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the webhooks that say yes: %w", err)
	}
	return &pair{pid: cmd.Process.Pid, stop: func() error {
		if err := input.Close(); err != nil {
			return err
		}
		return cmd.Wait()
	}}, nil
}
