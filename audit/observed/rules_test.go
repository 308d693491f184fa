package observed

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

// Judge takes the rules of both lists by their place.
func TestTheRulesAreThoseOfTheCatalogueInItsOrder(t *testing.T) {
	catalogue := policy.AuditRules()
	if len(catalogue) != len(rules()) {
		t.Fatalf("%d rules, and %d in the catalogue", len(rules()), len(catalogue))
	}
	for i, r := range rules() {
		if r.code != catalogue[i].Code {
			t.Errorf("rule %d is %s, in the catalogue %s", i, r.code, catalogue[i].Code)
		}
	}
}

func TestWhatCannotBeReadIsAnErrorAndLeftOut(t *testing.T) {
	for _, test := range []struct {
		resource Resource
		raw      string
	}{
		{PeerAuthentications, `{"spec": {"mtls": 1}}`}, {Injectors, `{"webhooks": {}}`}, {Injectors, `{"webhooks": [{"clientConfig": {"caBundle": "%"}, "rules": [{"resources": ["pods"]}]}]}`},
		{RootCertificates, `{"data": []}`}, {MeshConfigs, `{"data": 1}`}, {Pods, `{"metadata": []}`}, {Gateways, `[]`}, {GatewayClasses, `{"spec": []}`},
		{CNIs, `{"spec": []}`}, {ZTunnels, `{"spec": []}`}, {Istiods, `{"status": []}`}, {"unknown", `{}`}, {Pods, ``}, {Pods, `{`},
	} {
		c := &Cluster{}
		if err := c.Add(test.resource, []byte(test.raw)); err == nil {
			t.Errorf("%s: %s is taken", test.resource, test.raw)
		}
		if n := c.Count(test.resource); n != 0 {
			t.Errorf("%s: %s counts %d", test.resource, test.raw, n)
		}
	}
	c := &Cluster{}
	if err := c.AddPlane("Istio", []byte(`{"status": {"conditions": {}}}`)); err == nil {
		t.Error("a status of another type is taken")
	}
}
