package build

import (
	"slices"
	"strings"
	"testing"
)

func TestPlatformsAreChosenByName(t *testing.T) {
	all := []Platform{{"linux", "amd64"}, {"linux", "arm64"}, {"windows", "amd64"}}
	if got, err := Choose("", all); err != nil || !slices.Equal(got, all) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := Choose("linux/arm64,windows/amd64", all); err != nil || !slices.Equal(got, all[1:]) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Choose("plan9/amd64", all); err == nil || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("%v", err)
	}
}
