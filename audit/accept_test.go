package audit_test

import (
	"testing"
	"time"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/webhook/policy"
)

// An annotation counts for the rules that it names, on the object that has it, of a kind whose writers are judged.
func TestWhatObjectsAccept(t *testing.T) {
	offence := func(kind, name, code string) policy.Offence {
		return policy.Offence{Kind: kind, Name: name, Finding: policy.Finding{Rule: policy.Rule{Code: policy.Code(code)}}}
	}
	all := []policy.Offence{
		offence("Namespace", "shop", "MF205"), offence("Namespace", "shop", "MF202"), offence("Namespace", "cart", "MF205"),
		offence("Deployment", "istiod", "MF916"), offence("Istio", "mesh-1", "MF104"),
	}
	left, accepted := audit.Accept(all, func(key audit.Key) map[string]string {
		if key.Name == "cart" {
			return nil
		}
		return map[string]string{"meshfence.io/accept": "MF205,MF916,MF104", "meshfence.io/accept-until": "2999-01-01T00:00:00Z"}
	}, time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC))
	if len(left) != 3 || left[0].Rule.Code != "MF202" || left[1].Name != "cart" || left[2].Kind != "Deployment" {
		t.Errorf("left: %+v", left)
	}
	if len(accepted) != 2 || accepted[0].Name != "shop" || accepted[1].Name != "mesh-1" || accepted[0].Until != "2999-01-01T00:00:00Z" {
		t.Errorf("accepted: %+v", accepted)
	}
}
