package policy_test

import "testing"

// unasked is a mesh that injects every namespace which chooses no revision, and discovers only its own.
const unasked = "Istio default; in istio-system; injects-by-default; selects istio-discovery=default"

// besideUnasked is the cluster that came about before MF108 could refuse it.
func besideUnasked() []string { return []string{unasked, guide()[1]} }

// Of a namespace that no label gives to what injects it, only something is told: the mesh is wrong, not the namespace.
func TestMF205IsOnlyAWarningWhereAMeshInjectsByDefault(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{name: "if no mesh discovers it, then both ways out are told", fleet: besideUnasked(), create: "team=a", want: "warn MF205"},
		{name: "if it leaves its mesh, then that is told", fleet: besideUnasked(), from: "istio-discovery=mesh-2 istio.io/rev=mesh-2", to: "team=a", want: "warn MF205"},
		{name: "if its label chooses the mesh, then the way out of every mesh is a label that says no", fleet: besideUnasked(), create: "istio.io/rev=default", want: "deny MF205"},
		{name: "if nothing of it changes, then nothing is told", fleet: besideUnasked(), from: "team=a", to: "team=b", want: "allow"},
		{name: "if the mesh itself discovers it, then all is well", fleet: besideUnasked(), create: "istio-discovery=default", want: "allow"},
		{name: "if injection is switched off, then all is well", fleet: besideUnasked(), create: "istio-discovery=mesh-2 istio-injection=disabled", want: "allow"},
		{name: "if the mesh discovers everything, then all is well", fleet: []string{"Istio default; in istio-system; injects-by-default"}, create: "team=a", want: "allow"},
		{name: "if the mesh is not called default, then it injects nothing by default", fleet: []string{"Istio mesh-1; in istio-system-1; injects-by-default; selects istio-discovery=mesh-1"}, create: "team=a", want: "allow"},
		{name: "if it runs in another cluster, then what it discovers is not known", fleet: []string{unasked + "; profile remote"}, create: "team=a", want: "allow"},
	})
}

func TestMF202IsOnlyAWarningWhereAMeshInjectsByDefault(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{name: "if another mesh discovers it, then both ways out are told", fleet: besideUnasked(), create: "istio-discovery=mesh-2", want: "warn MF202"},
		{name: "if it loses its revision, then that is told", fleet: besideUnasked(), from: "istio-discovery=mesh-2 istio.io/rev=mesh-2", to: "istio-discovery=mesh-2", want: "warn MF202"},
	})
}

func TestMF211WhereAMeshInjectsByDefault(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{name: "if it is one of ambient mode, then its pods have sidecars all the same", fleet: []string{unasked}, from: "istio-discovery=default", to: "istio-discovery=default istio.io/dataplane-mode=ambient", want: "warn MF211"},
	})
}

func TestMF118WhereAMeshInjectsByDefault(t *testing.T) {
	const off, narrower = "Istio default; in istio-system; selects istio-discovery=default", "Istio default; in istio-system; injects-by-default; selects istio-discovery=default,team=a"
	namespaces := apps(t, "in: istio-discovery=default", "out: env=dev", "shut: istio-injection=disabled", "kube-public: env=dev")
	runMeshCases(t, []meshCase{
		{name: "if it is switched on, then the namespaces that it does not discover are named", from: off, to: unasked, namespaces: namespaces, want: "warn MF108 warn MF118"},
		{name: "if it is switched off, then the namespaces that it discovers are named", from: unasked, to: off, namespaces: namespaces, want: "warn MF118"},
		{name: "if its selectors leave a namespace out, then that is told and not refused", from: unasked, to: narrower, namespaces: namespaces, want: "warn MF111"},
		{name: "if it is deleted, then the namespaces that it discovers are named", from: unasked, namespaces: namespaces, want: "warn MF112"},
		{name: "if it is deleted beside another mesh, then they can move there", others: guide()[1:2], from: unasked, namespaces: namespaces, want: "warn MF112"},
		{
			name: "if the mesh discovers everything, then nothing is wrong with the namespaces",
			from: "Istio default; in istio-system", to: "Istio default; in istio-system; injects-by-default", namespaces: namespaces, want: "warn MF108",
		},
		{
			name:   "if a new mesh injects what it discovers by default, then it is not said that nothing does",
			create: unasked, namespaces: apps(t, "in: istio-discovery=default"), want: "warn MF108 warn MF114",
		},
		{
			name:   "if the operator copies what was switched off, then nothing is told again",
			others: []string{off}, from: "IstioRevision default; of default; in istio-system; injects-by-default; selects istio-discovery=default",
			to: "IstioRevision default; of default; in istio-system; selects istio-discovery=default", namespaces: namespaces, want: "allow",
		},
	})
}

func TestMF118WhenATagMakesAMeshInjectByDefault(t *testing.T) {
	const onMesh1 = "Istio mesh-1; in istio-system-1; injects-by-default; selects istio-discovery=mesh-1"
	namespaces := apps(t, "one: istio-discovery=mesh-1", "two: istio-discovery=mesh-2")
	runTagCases(t, []tagCase{
		{
			name:   "if a tag called default comes to such a mesh, then what that injects is named",
			others: []string{onMesh1, guide()[1]}, create: "IstioRevisionTag default; targets Istio mesh-1", namespaces: namespaces, want: "warn MF118",
		},
		{
			name:   "if it goes to a mesh that does not, then what loses its sidecars is named",
			others: []string{onMesh1, guide()[1]}, from: "IstioRevisionTag default; targets Istio mesh-1", to: "IstioRevisionTag default; targets Istio mesh-2",
			namespaces: namespaces, want: "warn MF118",
		},
	})
}

func TestMF303WhereTheTagMakesAMeshInjectByDefault(t *testing.T) {
	const onMesh1 = "Istio mesh-1; in istio-system-1; injects-by-default; selects istio-discovery=mesh-1"
	runTagCases(t, []tagCase{
		{
			name:   "if the tag goes, then what the mesh discovers and injects without being chosen is named too",
			others: []string{onMesh1}, from: "IstioRevisionTag default; targets Istio mesh-1",
			namespaces: apps(t, "in: istio-discovery=mesh-1", "out: env=dev", "shut: istio-injection=disabled"), want: "warn MF303",
		},
		{
			name:   "if it is another tag, then nothing is",
			others: []string{onMesh1, "IstioRevisionTag default; targets Istio mesh-1"}, from: "IstioRevisionTag stable; targets Istio mesh-1",
			namespaces: apps(t, "in: istio-discovery=mesh-1"), want: "allow",
		},
	})
}
