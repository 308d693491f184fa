package harness

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A pod listens where its arguments say, and what names another port leads nowhere.
func TestPortsOfAPod(t *testing.T) {
	p := &pod{ports: &ports{webhooks: 20001, health: 20002, metrics: 20003}}
	p.template.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "webhooks", ContainerPort: 10250}, {Name: "health", ContainerPort: 9}}}}
	args, err := p.listen([]string{"serve", "--bind-address=:10250", "--health-bind-address=:8081", "--metrics-bind-address=:8080", "--name=x"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"serve", "--bind-address=127.0.0.1:20001", "--health-bind-address=127.0.0.1:20002", "--metrics-bind-address=127.0.0.1:20003", "--name=x"}
	if diff := cmp.Diff(want, args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		port       intstr.IntOrString
		want, fail string
	}{
		{intstr.FromString("webhooks"), "127.0.0.1:20001", ""},
		{intstr.FromInt32(10250), "127.0.0.1:20001", ""},
		{intstr.FromInt32(8080), "127.0.0.1:20003", ""}, // a container need not name its ports
		{intstr.FromString("health"), "", "no process listens on port 9"},
		{intstr.FromString("metrics"), "", "have no port of the name metrics"},
		{intstr.FromInt32(20001), "", "no process listens on port 20001"},
	} {
		got, err := p.address(test.port)
		if got != test.want || (err == nil) != (test.fail == "") || err != nil && !strings.Contains(err.Error(), test.fail) {
			t.Errorf("port %s is at %q: %v", test.port.String(), got, err)
		}
	}
	for _, args := range [][]string{
		{"--bind-address=:10250", "--health-bind-address=:8081"}, {"--bind-address=:10250", "--health-bind-address=127.0.0.1:8081", "--metrics-bind-address=:8080"},
		{"--bind-address=:https", "--health-bind-address=:8081", "--metrics-bind-address=:8080"},
	} {
		if got, err := p.listen(args); err == nil {
			t.Errorf("%q are taken for %q", args, got)
		}
	}
	service := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443, TargetPort: intstr.FromString("webhooks")}}}}
	if target, err := targetOf(service, "443"); err != nil || target.StrVal != "webhooks" {
		t.Errorf("443 leads to %s: %v", target.String(), err)
	}
	if target, err := targetOf(service, "8080"); err == nil {
		t.Errorf("8080, which the Service does not have, leads to %s", target.String())
	}
}

// Probes are asked on the port and at the path that they name, readiness and liveness only once the startup probe has passed.
func TestProbesOfAPod(t *testing.T) {
	answers := map[string]int{}
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		w.WriteHeader(answers[r.URL.Path])
	}))
	defer server.Close()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	local, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	probe := func(path string) *corev1.Probe {
		get := &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(8081)}
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get}, PeriodSeconds: 1, FailureThreshold: 2}
	}
	p := &pod{local: map[int32]int{8081: local}}
	p.template.Spec.Containers = []corev1.Container{{StartupProbe: probe("/start"), LivenessProbe: probe("/live"), ReadinessProbe: probe("/ready")}}
	step := func(when string, wantReady bool, wantDead string, wantAsked ...string) {
		t.Helper()
		asked = nil
		ready, dead := p.ask(context.WithoutCancel(t.Context()))
		if ready != wantReady || (dead == nil) != (wantDead == "") || dead != nil && !strings.Contains(dead.Error(), wantDead) {
			t.Errorf("%s: ready %t, %v", when, ready, dead)
		}
		if diff := cmp.Diff(wantAsked, asked); diff != "" {
			t.Errorf("%s: asked (-want +got):\n%s", when, diff)
		}
	}
	answers["/start"], answers["/live"], answers["/ready"] = 500, 200, 200
	step("before it has started", false, "", "/start")
	p.health.failing = p.health.failing.Add(-2 * time.Second)
	step("if it does not start in time", false, "its startup probe has failed for 2s", "/start")
	answers["/start"] = 200
	step("when it has started", true, "", "/start", "/live", "/ready")
	answers["/ready"], answers["/start"] = 503, 500
	step("if it is not ready any more", false, "", "/live", "/ready")
	answers["/live"], answers["/ready"] = 404, 200
	step("if it does not live for a moment", true, "", "/live", "/ready")
	p.health.failing = p.health.failing.Add(-2 * time.Second)
	step("if it does not live for too long", true, "its liveness probe has failed for 2s", "/live", "/ready")
	answers["/live"] = 204
	p.template.Spec.Containers[0].ReadinessProbe.HTTPGet.Port = intstr.FromInt32(8080)
	step("if a probe names a port on which no process listens", false, "", "/live")
}
