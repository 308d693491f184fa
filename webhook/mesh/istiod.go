package mesh

import (
	"strconv"
	"strings"

	"github.com/meshfence/meshfence/webhook/sail"
)

// The functions in this file say what Istio's charts make of an object's values
// (manifests/charts/istio-control/istio-discovery in istio/istio). The operator puts its own profile under spec.values
// (sail-operator/pkg/istiovalues/profiles.go); the chart puts its defaults and its profile under those, and what is in pilot
// over what is beside it (templates/zzz_profile.yaml and zzy_descope_legacy.yaml). test/foreign compares them with the charts.

// The fields that decide whether an istiod runs here, and what it reads.
const (
	profileField      = "spec.profile"
	chartProfileField = "spec.values.profile"
	scopeField        = "spec.values.global.resourceScope"
	remoteField       = "istiodRemote.enabled"
	externalField     = "spec.values.global.externalIstiod"
	configMapField    = "spec.values.pilot.configMap"
	valuesField       = "spec.values."
	pilotField        = "spec.values.pilot."
)

// envField is the path of a variable of istiod's environment.
func envField(name string) string { return "spec.values.pilot.env[" + name + "]" }

// enabled reads a variable as istiod does: as Go reads a boolean, so that 1 and TRUE switch it on too, and what is no boolean
// does not (pkg/env/var.go).
func enabled(variable string) bool {
	on, err := strconv.ParseBool(variable)
	return err == nil && on
}

// chartProfile returns the charts' profile and the field that sets it: spec.values.profile, also if it is empty, else what
// the operator's profile says.
func chartProfile(cp *sail.ControlPlane) (profile, by string) {
	if own := cp.Spec.Values.Profile; own != nil {
		return *own, chartProfileField
	}
	return cp.Spec.Profile, profileField
}

// runs reports whether an istiod runs in this cluster and reads the selectors: Remote if it does not run or serves another
// cluster, Unread if it does not read them, else Selective; by is the field that decides.
func runs(cp *sail.ControlPlane, revision string) (l Listing, by string) {
	values := &cp.Spec.Values
	if cp.Installed != nil && cp.Installed.NotHere {
		return Remote, ""
	}
	if scope := values.Global.ResourceScope; scope != "" && scope != "all" && scope != "namespace" {
		return Remote, scopeField
	}
	if remote, by := isRemote(cp); remote {
		return Remote, by
	}
	if external, by := isExternal(values); external {
		return Remote, by
	}
	if cp.Installed != nil && cp.Installed.NoConfig {
		return Unread, ""
	}
	if read, by := readsConfigMap(cp); !read {
		return Unread, by
	}
	if named := values.Pilot.Env.Revision; named != nil && configMapOf(*named) != configMapOf(revision) {
		return Unread, envField("REVISION")
	}
	return Selective, ""
}

// isRemote reports whether the chart leaves out the Deployment of istiod, and because of which field.
func isRemote(cp *sail.ControlPlane) (remote bool, by string) {
	values := &cp.Spec.Values
	profile, by := chartProfile(cp)
	remote = profile == sail.ProfileRemote
	if own := values.IstiodRemote.Enabled; own != nil {
		remote, by = *own, valuesField+remoteField
	}
	if own := values.Pilot.IstiodRemote.Enabled; own != nil {
		remote, by = *own, pilotField+remoteField
	}
	return remote && !last(false, values.IstiodRemote.EnabledLocalInjectorIstiod, values.Pilot.IstiodRemote.EnabledLocalInjectorIstiod), by
}

// isExternal reports whether istiod serves another cluster, and because of which field. The variable replaces the value, unless
// it is empty. Which cluster istiod watches is then in a Secret that it mounts (istio-kubeconfig).
func isExternal(values *sail.Values) (external bool, by string) {
	if variable := values.Pilot.Env.ExternalIstiod; variable != "" {
		return enabled(variable), envField("EXTERNAL_ISTIOD")
	}
	return values.Global.ExternalIstiod, externalField
}

// readsConfigMap reports whether the chart installs the ConfigMap with the mesh configuration, and which field decides.
func readsConfigMap(cp *sail.ControlPlane) (read bool, by string) {
	if own := cp.Spec.Values.Pilot.ConfigMap; own != nil {
		return *own, configMapField
	}
	profile, by := chartProfile(cp)
	return profile != sail.ProfileRemote, by
}

// configMapOf names the ConfigMap that an istiod of this revision reads its mesh configuration from
// (getMeshConfigMapName in pilot/pkg/bootstrap/mesh.go).
func configMapOf(revision string) string {
	if revision == "" || revision == DefaultRevision {
		return "istio"
	}
	return "istio-" + revision
}

// ambientBy returns the path of the field that makes the mesh one of ambient mode, "" if none does: istiod's environment, or a
// profile (ambient, openshift-ambient), which is only the default of that.
func ambientBy(cp *sail.ControlPlane) string {
	if variable := cp.Spec.Values.Pilot.Env.Ambient; variable != nil {
		if enabled(*variable) {
			return envField("PILOT_ENABLE_AMBIENT")
		}
		return ""
	}
	if profile, by := chartProfile(cp); strings.HasSuffix(profile, "ambient") {
		return by
	}
	return ""
}

// trustBundle names the ConfigMap that istiod writes its root certificate to. Where its Deployment is known its environment decides.
func trustBundle(cp *sail.ControlPlane) string {
	values := &cp.Spec.Values
	if cp.Installed != nil && !cp.Installed.NotHere {
		return firstName(values.Pilot.Env.TrustBundle, DefaultTrustBundle)
	}
	return firstName(values.Global.TrustBundleName, values.Pilot.Env.TrustBundle, DefaultTrustBundle)
}

// mountedBundle names the ConfigMap that injected pods mount for the root certificate (files/injection-template.yaml).
func mountedBundle(values *sail.Values) string {
	return firstName(values.Global.TrustBundleName, DefaultTrustBundle)
}

// revocationList names the ConfigMap that istiod writes the list of revoked certificates to.
func revocationList(values *sail.Values) string {
	return firstName(values.Pilot.CRLConfigMapName, values.Pilot.Env.CRL, "istio-ca-crl")
}

// injectsByDefault reports whether the webhook for namespaces without labels is installed with the revision called default.
func injectsByDefault(values *sail.Values) bool {
	scope := values.Global.ResourceScope
	return values.Injector.EnableNamespacesByDefault && !values.Global.OperatorManageWebhooks && (scope == "" || scope == "all" || scope == "cluster")
}

// firstName returns the first name that is not empty.
func firstName(names ...string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return ""
}

// last returns the last value that is set, else the default.
func last(value bool, set ...*bool) bool {
	for _, own := range set {
		if own != nil {
			value = *own
		}
	}
	return value
}
