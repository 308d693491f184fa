package foreign

import (
	"bufio"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/test/harness"
)

// The validations that `operator-sdk bundle validate` runs, with its suite for Operator Hub.
func TestTheBundleIsValid(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := manifests.GetBundleFromDir(filepath.Join(root, "deploy", "olm", "manifests"))
	if err != nil {
		t.Fatal(err)
	}
	if bundle.CSV == nil {
		t.Fatalf("the bundle is %+v", bundle)
	}
	validators := validation.DefaultBundleValidators.WithValidators(validation.OperatorHubV2Validator, validation.GoodPracticesValidator)
	results := validators.Validate(bundle.ObjectsToValidate()...)
	if len(results) == 0 {
		t.Fatal("nothing was validated")
	}
	for _, result := range results {
		for _, problem := range append(result.Errors, result.Warnings...) {
			// The validator knows events by their name alone: of events.k8s.io the version v1beta1 was removed, and v1 is written.
			if strings.Contains(problem.Error(), `Migrate the API(s) for events: (["ClusterServiceVersion.Spec.InstallStrategy.StrategySpec.ClusterPermissions[0].Rules[11]"])`) {
				continue
			}
			t.Errorf("%s: %v", result.Name, problem)
		}
	}
	theDockerfileFits(t, filepath.Join(root, "deploy", "olm"), bundle.CSV.Name)
	permissions := bundle.CSV.Spec.InstallStrategy.StrategySpec
	// Permissions would hold in all namespaces (test/install, TestOLM): the Role is an object of the bundle.
	if len(permissions.ClusterPermissions) != 1 || len(permissions.Permissions) != 0 || len(permissions.DeploymentSpecs) != 1 {
		t.Errorf("the bundle installs %+v", permissions)
	}
}

// theDockerfileFits checks what OLM reads of a bundle's image before its manifests: the annotations, which the image has as labels too, and that
// they lead to what is copied.
func theDockerfileFits(t *testing.T, dir, version string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "metadata", "annotations.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all := struct{ Annotations map[string]string }{}
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	const prefix = "operators.operatorframework.io.bundle."
	want := map[string]string{
		prefix + "mediatype.v1": "registry+v1", prefix + "manifests.v1": "manifests/", prefix + "metadata.v1": "metadata/",
		prefix + "package.v1": "meshfence", prefix + "channels.v1": "alpha", prefix + "channel.default.v1": "alpha", "com.redhat.openshift.versions": "v4.18",
	}
	if diff := cmp.Diff(want, all.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(version, want[prefix+"package.v1"]+".v") {
		t.Errorf("the package %s has the version %s", want[prefix+"package.v1"], version)
	}
	file, err := os.Open(filepath.Join(dir, "bundle.Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines, wantLines []string
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		if line := scanner.Text(); !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	wantLines = append(wantLines, "FROM scratch")
	for _, name := range slices.Sorted(maps.Keys(want)) {
		wantLines = append(wantLines, "LABEL "+name+"="+want[name])
	}
	wantLines = append(wantLines, "COPY manifests /manifests/", "COPY metadata /metadata/")
	if diff := cmp.Diff(wantLines, lines); diff != "" {
		t.Errorf("the Dockerfile (-want +got):\n%s", diff)
	}
}
