// Package foreign tests meshfence beside other people's code: cert-manager's controllers, which issue and renew the serving
// certificate; the types of cert-manager, of the Prometheus operator and of the Operator Lifecycle Manager; Istio's charts, as Helm installs them and as the
// Sail operator fills them in; what Flux and Argo CD compare; the published schemas of reports. It is a module of
// its own, so that what they need does not become what meshfence needs.
package foreign
