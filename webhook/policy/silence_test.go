package policy_test

import "testing"

// What the guides tell people to do is admitted without a word.
func TestATagOfAMeshIsAdmittedInSilence(t *testing.T) {
	const stable, moved = "IstioRevisionTag stable; targets Istio mesh-1", "IstioRevisionTag stable; targets Istio mesh-2"
	runTagCases(t, []tagCase{
		{name: "created", others: guide(), create: stable, want: "allow"},
		{name: "moved", others: guide(), from: stable, to: moved, want: "allow"},
		{name: "deleted", others: guide(), from: stable, want: "allow"},
	})
}

func TestAMeshMapOfExistingRevisionsIsAdmittedInSilence(t *testing.T) {
	entries := map[string]string{"mesh-1": "mesh-1", "mesh-2": "mesh-2"}
	runMapCases(t, []mapCase{
		{name: "created", create: entries, want: "allow"},
		{name: "changed", from: map[string]string{}, to: entries, want: "allow"},
		{name: "emptied", from: entries, to: map[string]string{}, want: "allow"},
	})
}
