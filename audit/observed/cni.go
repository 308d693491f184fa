package observed

import "strings"

// cni is the Sail operator's IstioCNI, of which a cluster has one.
type cni struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		Version string `json:"version"`
	} `json:"spec"`
}

// asksForCNI reports whether the charts install a control plane whose pods count on the node agent: pilot.cni.enabled, which the profiles and the platform
// of OpenShift set (istio/manifests/helm-profiles/platform-openshift.yaml), and ambient mode, which has no other way to redirect traffic. By says which field says so.
func (p *plane) asksForCNI(ambientBy string) (by string, asks bool) {
	values := &p.Spec.Values
	switch enabled := values.Pilot.CNI.Enabled; {
	case enabled != nil:
		return "spec.values.pilot.cni.enabled", *enabled
	case strings.HasPrefix(p.Spec.Profile, "openshift"):
		return "spec.profile", true
	case values.Global.Platform == "openshift":
		return "spec.values.global.platform", true
	default:
		return ambientBy, ambientBy != ""
	}
}
