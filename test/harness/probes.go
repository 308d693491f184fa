package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// health is what the probes of a pod have said since its process was started.
type health struct {
	// started says that the startup probe has passed once; the other two are not asked before.
	started bool
	// failing is since when the startup or the liveness probe fails; the zero time if it does not.
	failing time.Time
}

// ask asks the pod's probes, as a kubelet does but with every round of the node, and reports whether the pod is ready. dead says why its process has
// to be started again: the startup or the liveness probe has failed for as long as it may.
func (p *pod) ask(ctx context.Context) (ready bool, dead error) {
	container := &p.template.Spec.Containers[0]
	if !p.health.started {
		if err := p.answers(ctx, container.StartupProbe); err != nil {
			return false, p.health.fails("startup", container.StartupProbe, err)
		}
		p.health = health{started: true}
	}
	if err := p.answers(ctx, container.LivenessProbe); err != nil {
		dead = p.health.fails("liveness", container.LivenessProbe, err)
	} else {
		p.health.failing = time.Time{}
	}
	return p.answers(ctx, container.ReadinessProbe) == nil, dead
}

// fails notes that a probe fails, and returns an error if that has lasted too long.
func (h *health) fails(name string, probe *corev1.Probe, err error) error {
	now := time.Now()
	if h.failing.IsZero() {
		h.failing = now
	}
	// The defaults of Kubernetes.
	limit := time.Duration(cmp.Or(probe.PeriodSeconds, 10)) * time.Duration(cmp.Or(probe.FailureThreshold, 3)) * time.Second
	if now.Sub(h.failing) < limit {
		return nil
	}
	return fmt.Errorf("its %s probe has failed for %s: %w", name, limit, err)
}

// answers asks a probe once. A probe that is not there always passes.
func (p *pod) answers(ctx context.Context, probe *corev1.Probe) error {
	if probe == nil {
		return nil
	}
	if probe.HTTPGet == nil {
		return errors.New("a probe of a kind that this node does not know")
	}
	at, err := p.address(probe.HTTPGet.Port)
	if err != nil {
		return err
	}
	// Longer than a kubelet waits: the machine of a test is busy.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	url := strings.ToLower(string(cmp.Or(probe.HTTPGet.Scheme, corev1.URISchemeHTTP))) + "://" + at + probe.HTTPGet.Path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode < http.StatusOK || response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
