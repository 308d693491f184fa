package sail_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/sail"
)

const (
	allow = sail.AllowOverlapAnnotation
	until = sail.AllowOverlapUntilAnnotation
)

func TestAllowedOverlap(t *testing.T) {
	end := func(unix int64) *time.Time {
		end := time.Unix(unix, 0).UTC()
		return &end
	}
	for _, test := range []struct {
		name        string
		annotations map[string]string
		want        sail.AllowedOverlap
	}{
		{"if there are no annotations, then nothing is declared", nil, sail.AllowedOverlap{}},
		{
			"if one mesh is named, then it is declared without an end",
			map[string]string{allow: "mesh-2"}, sail.AllowedOverlap{Meshes: []string{"mesh-2"}},
		},
		{
			"if several are named, then spaces and empty names between the commas do not count",
			map[string]string{allow: " mesh-2, mesh-3 ,,\tmesh-4,"},
			sail.AllowedOverlap{Meshes: []string{"mesh-2", "mesh-3", "mesh-4"}},
		},
		{"if the value is empty, then nothing is declared", map[string]string{allow: ""}, sail.AllowedOverlap{}},
		{
			"if nothing is declared, then an end is still read",
			map[string]string{until: "1970-01-01T00:01:00Z"}, sail.AllowedOverlap{Until: "1970-01-01T00:01:00Z", End: end(60)},
		},
		{
			"if there is an end, then its time zone counts",
			map[string]string{allow: "a", until: "1970-01-01T02:00:00+02:00"},
			sail.AllowedOverlap{Meshes: []string{"a"}, Until: "1970-01-01T02:00:00+02:00", End: end(0)},
		},
		{
			"if the end has fractions of a second, then they do not count",
			map[string]string{allow: "a", until: "1970-01-01T00:01:00.999Z"},
			sail.AllowedOverlap{Meshes: []string{"a"}, Until: "1970-01-01T00:01:00.999Z", End: end(60)},
		},
		{
			"if there is space around the end, then it is read all the same",
			map[string]string{allow: "a", until: " 1970-01-01T00:01:00Z\n"},
			sail.AllowedOverlap{Meshes: []string{"a"}, Until: " 1970-01-01T00:01:00Z\n", End: end(60)},
		},
		{
			"if the end is before 1970, then it is over",
			map[string]string{allow: "a", until: "1969-12-31T23:59:59Z"},
			sail.AllowedOverlap{Meshes: []string{"a"}, Until: "1969-12-31T23:59:59Z", End: end(-1)},
		},
		{
			"if the end is a date without a time, then it is over",
			map[string]string{allow: "a", until: "2999-01-01"}, sail.AllowedOverlap{Meshes: []string{"a"}, Until: "2999-01-01", End: &time.Time{}},
		},
		{
			"if the end has no time zone, then it is over",
			map[string]string{allow: "a", until: "2999-01-01T00:00:00"},
			sail.AllowedOverlap{Meshes: []string{"a"}, Until: "2999-01-01T00:00:00", End: &time.Time{}},
		},
		{
			"if the end is there and empty, then it is over",
			map[string]string{allow: "a", until: ""}, sail.AllowedOverlap{Meshes: []string{"a"}, End: &time.Time{}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, sail.Meta{Annotations: test.annotations}.AllowedOverlap()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestControllerIsTheControllingOwnerOfThatKindInTheSailOperatorsGroup(t *testing.T) {
	yes, no := true, false
	owner := func(apiVersion, kind, name string, controller *bool) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: name, Controller: controller}
	}
	for _, test := range []struct {
		name   string
		owners []metav1.OwnerReference
		want   string
	}{
		{"no owner", nil, ""},
		{"a controller", []metav1.OwnerReference{owner("sailoperator.io/v1", "Istio", "mesh-1", &yes)}, "mesh-1"},
		{"of an older version", []metav1.OwnerReference{owner("sailoperator.io/v1alpha1", "Istio", "mesh-1", &yes)}, "mesh-1"},
		{"not controlling", []metav1.OwnerReference{owner("sailoperator.io/v1", "Istio", "mesh-1", &no)}, ""},
		{"not said to be controlling", []metav1.OwnerReference{owner("sailoperator.io/v1", "Istio", "mesh-1", nil)}, ""},
		{"of another kind", []metav1.OwnerReference{owner("sailoperator.io/v1", "IstioRevision", "mesh-1", &yes)}, ""},
		{"of another group", []metav1.OwnerReference{owner("example.com/v1", "Istio", "mesh-1", &yes)}, ""},
		{"of the core group", []metav1.OwnerReference{owner("v1", "Istio", "mesh-1", &yes)}, ""},
		{"of a group that cannot be read", []metav1.OwnerReference{owner("a/b/c", "Istio", "mesh-1", &yes)}, ""},
		{
			"among others", []metav1.OwnerReference{
				owner("apps/v1", "Deployment", "a", &yes), owner("sailoperator.io/v1", "Istio", "mesh-2", nil),
				owner("sailoperator.io/v1", "Istio", "mesh-1", &yes),
			}, "mesh-1",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := (sail.Meta{OwnerReferences: test.owners}).Controller(sail.KindIstio); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestAMomentIsReadBackAsItWas(t *testing.T) {
	noon := time.Unix(1785585600, 0)
	if got := sail.Moment(noon); got != "2026-08-01T12:00:00Z" {
		t.Errorf("Moment is %s", got)
	}
	if got := (sail.Meta{Annotations: map[string]string{sail.AllowOverlapUntilAnnotation: sail.Moment(noon)}}).AllowedOverlap().End; got == nil || !got.Equal(noon) {
		t.Errorf("read back as %v", got)
	}
}
