package policy

import "slices"

// auditRules are the rules that only a look at the cluster can judge, because what breaks them is in no request that meshfence is sent. Their
// functions are in package audit/observed; their names are here so that configurations can name them. What is denied by default
// breaks traffic, or the isolation of meshes, as it stands.
var auditRules = []Rule{
	{"MF901", "StrictMTLSMissing", Warn},
	{"MF902", "SharedRootCA", Deny},
	{"MF903", "ForeignRootCertificate", Deny},
	{"MF904", "PodOfAnotherMesh", Deny},
	{"MF905", "GatewayWithoutRevision", Deny},
	{"MF906", "InjectorsDisagree", Deny},
	{"MF907", "RootCertificateMissing", Deny},
	{"MF908", "StaleRootCertificate", Warn},
	{"MF909", "RootNamespaceElsewhere", Deny},
	{"MF910", "SelectorsInvalidLive", Deny},
	{"MF911", "TagWithoutRevision", Warn},
	{"MF912", "ConfigMapDrift", Warn},
	{"MF913", "ForeignPodLabel", Warn},
	{"MF914", "AmbientOfAnotherMesh", Warn},
	{"MF915", "SharedCNI", Warn},
	{"MF916", "ControlPlaneNotReady", Deny},
}

// AuditRules returns the rules that only a look at the cluster can judge, by code.
func AuditRules() []Rule { return slices.Clone(auditRules) }

// IsAudited reports whether a rule is one of those that only a look at the cluster can judge.
func IsAudited(r Rule) bool {
	return slices.ContainsFunc(auditRules, func(audited Rule) bool { return audited.Code == r.Code })
}

// Action returns what a rule leads to by the configuration.
func (p *Policy) Action(r Rule) Action { return p.settings.Actions.Of(r) }

// AllRules returns the rules of the catalogue and those that only a look at the cluster can judge, by code.
func AllRules() []Rule { return append(Catalogue(), auditRules...) }
