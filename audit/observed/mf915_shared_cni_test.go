package observed_test

import (
	"testing"
)

func TestMF915(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name:    "if the meshes count on an IstioCNI and there is none, then each is told",
			without: []string{"IstioCNI/default"},
			want:    []string{"warn MF915 Istio mesh-1", "warn MF915 Istio mesh-2"},
		},
		{
			name: "if a mesh does without, then nothing is said of it",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, spec: {values: {pilot: {cni: {enabled: false}}}}}
---
{patch: true, kind: IstioRevision, metadata: {name: mesh-1}, spec: {values: {pilot: {cni: {enabled: false}}}}}`,
			without: []string{"IstioCNI/default"},
			want:    []string{"warn MF915 Istio mesh-2"},
		},
		{
			name:    "if only the active revision has what the platform sets, then that counts",
			with:    `{patch: true, kind: Istio, metadata: {name: mesh-1}, spec: {profile: null}}`,
			without: []string{"IstioCNI/default"},
			want:    []string{"warn MF915 Istio mesh-1", "warn MF915 Istio mesh-2"},
		},
		{
			name: "if its version is more than one minor away, then both versions are named",
			with: `{patch: true, kind: IstioCNI, metadata: {name: default}, spec: {version: v1.28.2}}`,
			want: []string{"warn MF915 Istio mesh-1", "warn MF915 Istio mesh-2"},
		},
		{
			name: "if it is one minor away, then that is near enough",
			with: `{patch: true, kind: IstioCNI, metadata: {name: default}, spec: {version: v1.31-latest}}`,
		},
	})
}
