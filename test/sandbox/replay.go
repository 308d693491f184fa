package main

// section is a part of the replay.
type section struct {
	title string
	steps []step
}

// step is one request and the answer that it should get.
type step struct {
	// note says what the command line does not.
	note string
	// kubectl is the command line behind "kubectl". It is split at spaces.
	kubectl string
	// want is the answer.
	want answer
	// says is what a warning or refusal must contain, for example a rule's code.
	says string
	// revision is what istio.io/rev of the namespace must be afterwards, if it was filled in.
	namespace, revision string
}

// replay is the procedure of the OpenShift Service Mesh 3 guide "Deploying multiple service meshes on a single
// cluster", and what people get wrong in it. Files are those in manifests/.
func replay() []section {
	return []section{
		{"The guide: two control planes", []step{
			{kubectl: "create namespace istio-system-1", want: admitted},
			{kubectl: "label namespace istio-system-1 istio-discovery=mesh-1", want: admitted},
			{
				note:    "Istio mesh-1 in istio-system-1, which discovers istio-discovery=mesh-1; then STRICT mTLS there.",
				kubectl: "apply -f istio-1.yaml", want: admitted,
			},
			{kubectl: "apply -f peer-auth-1.yaml", want: admitted},
			{kubectl: "create namespace istio-system-2", want: admitted},
			{kubectl: "label namespace istio-system-2 istio-discovery=mesh-2", want: admitted},
			{note: "The same for mesh-2.", kubectl: "apply -f istio-2.yaml", want: admitted},
			{kubectl: "apply -f peer-auth-2.yaml", want: admitted},
		}},
		{"The guide: application namespaces", []step{
			{kubectl: "create namespace app-ns-1", want: admitted},
			{kubectl: "label namespace app-ns-1 istio-discovery=mesh-1", want: filledIn, namespace: "app-ns-1", revision: "mesh-1"},
			{kubectl: "label namespace app-ns-1 istio.io/rev=mesh-1", want: admitted},
			{kubectl: "create namespace app-ns-2", want: admitted},
			{kubectl: "label namespace app-ns-2 istio-discovery=mesh-2 istio.io/rev=mesh-2", want: admitted},
		}},
		{"Mistakes with namespaces", []step{
			{kubectl: "label namespace app-ns-2 istio.io/rev=mesh-1 --overwrite", want: refused, says: "MF202"},
			{kubectl: "label namespace app-ns-2 istio.io/rev=mesh2 --overwrite", want: refused, says: "MF203"},
			{kubectl: "label namespace app-ns-2 istio-injection=enabled", want: refused, says: "MF204"},
			{kubectl: "label namespace app-ns-2 istio-discovery-", want: refused, says: "MF205"},
			{kubectl: "create namespace app-ns-3", want: admitted},
			{kubectl: "label namespace app-ns-3 istio.io/rev=mesh-9", want: warned, says: "MF203"},
		}},
		{"Mistakes with meshes", []step{
			{
				note:    "Istio mesh-3 discovers mesh-3 and, by mistake, mesh-2.",
				kubectl: "apply -f istio-3.yaml", want: refused, says: "MF103",
			},
			{
				note:    "matchLabel in the place of matchLabels.",
				kubectl: "apply --validate=false -f istio-typo.yaml", want: refused, says: "MF102",
			},
			{note: "operator: in, in the place of In.", kubectl: "apply -f istio-operator.yaml", want: refused, says: "MF101"},
			{note: "spec.namespace is that of mesh-1.", kubectl: "apply -f istio-same-namespace.yaml", want: refused, says: "MF105"},
		}},
		{"What meshfence is not asked about", []step{
			{kubectl: "label namespace app-ns-2 team=payments", want: admitted},
			{kubectl: "create configmap settings --namespace app-ns-2 --from-literal=colour=blue", want: admitted},
		}},
	}
}
