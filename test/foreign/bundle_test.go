package foreign

import (
	"path/filepath"
	"testing"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"

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
			t.Errorf("%s: %v", result.Name, problem)
		}
	}
	permissions := bundle.CSV.Spec.InstallStrategy.StrategySpec
	if len(permissions.ClusterPermissions) != 1 || len(permissions.Permissions) != 1 || len(permissions.DeploymentSpecs) != 1 {
		t.Errorf("the bundle installs %+v", permissions)
	}
}
