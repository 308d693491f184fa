package harness

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// listen returns the arguments of a container with other addresses to listen on: each port that they name becomes one of this machine, which the
// pod's map remembers. Nothing else of the pod knows those, so that what names another port than the arguments do, such as a Service, leads nowhere.
func (p *pod) listen(args []string) ([]string, error) {
	args = slices.Clone(args)
	local := map[int32]int{}
	for _, of := range []struct {
		flag string
		port int
	}{{"--bind-address", p.ports.webhooks}, {"--health-bind-address", p.ports.health}, {"--metrics-bind-address", p.ports.metrics}} {
		i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, of.flag+"=") })
		if i < 0 {
			return nil, fmt.Errorf("the container has no argument %s=:PORT, so this node does not know where its process listens", of.flag)
		}
		text, all := strings.CutPrefix(args[i], of.flag+"=:")
		number, err := strconv.ParseUint(text, 10, 16)
		if !all || err != nil {
			return nil, fmt.Errorf("%s: a pod has to listen on all its addresses, as in %s=:9443", args[i], of.flag)
		}
		args[i] = of.flag + "=" + loopback(of.port)
		local[int32(number)] = of.port
	}
	if p.local == nil { // a process that is started again has the same arguments
		p.local = local
	}
	return args, nil
}

// targetOf returns where a port of a Service leads to in its pods.
func targetOf(service *corev1.Service, number string) (intstr.IntOrString, error) {
	for _, port := range service.Spec.Ports {
		if strconv.Itoa(int(port.Port)) == number {
			return port.TargetPort, nil
		}
	}
	return intstr.IntOrString{}, fmt.Errorf("the Service %s has no port %s", service.Name, number)
}

// address returns where this machine answers for a port of the pod: a number, or the name of one of the container's ports.
func (p *pod) address(port intstr.IntOrString) (string, error) {
	number := port.IntVal
	if port.Type == intstr.String {
		list := p.template.Spec.Containers[0].Ports
		i := slices.IndexFunc(list, func(named corev1.ContainerPort) bool { return named.Name == port.StrVal })
		if i < 0 {
			return "", fmt.Errorf("the pods of %s have no port of the name %s", p.deployment, port.StrVal)
		}
		number = list[i].ContainerPort
	}
	local, listens := p.local[number]
	if !listens {
		return "", fmt.Errorf("no process listens on port %d of the pods of %s", number, p.deployment)
	}
	return loopback(local), nil
}
