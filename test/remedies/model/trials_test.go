package model

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshfence/meshfence/webhook/policy"
)

// Whatever is changed in whatever cluster: each command of each message is admitted and cures what the message names. The
// folder above does the same on a real API server.
func TestEveryCommandOfEveryMessageIsAdmittedAndCures(t *testing.T) {
	const clusters, changes = 400, 12
	judge := &Judge{Now: time.Unix(1785585600, 0), Policy: policy.New(policy.Settings{
		DiscoveryLabels: []string{"istio-discovery", "mesh"},
		FillFrom:        []policy.FillSource{policy.MeshMap, policy.FollowingTag, policy.ActiveRevision},
		ControlPlane:    func(namespace string) bool { return strings.HasPrefix(namespace, "istio-system") },
	})}
	tried, failed, byDefault := map[policy.Code]int{}, map[policy.Code]int{}, map[policy.Code]int{}
	for seed := range uint64(clusters) {
		random := Random{Rand: rand.New(rand.NewPCG(seed, 1))}
		cluster := random.Cluster()
		for range changes {
			for _, trial := range judge.Trials(cluster, random.Change(cluster)) {
				code := trial.Finding.Rule.Code
				tried[code]++
				if strings.Contains(trial.Finding.Detail, "by default") {
					byDefault[code]++
				}
				if strings.Contains(strings.Join(trial.Way.Commands, " "), " exempt-") {
					t.Errorf("cluster %d, %s: a command is about what is never judged\n\t%s", seed, code, trial.String())
				}
				if err := judge.Run(&trial); err != nil {
					if failed[code]++; failed[code] <= 3 {
						t.Errorf("cluster %d, %s: %v\n\t%s", seed, code, err, trial.String())
					}
				}
			}
		}
	}
	for _, code := range slices.Sorted(maps.Keys(tried)) {
		t.Logf("%s: %d ways out, %d of what is injected by default, %d failed", code, tried[code], byDefault[code], failed[code])
	}
	for _, code := range []policy.Code{"MF111", "MF112", "MF118", "MF202", "MF205", "MF211"} {
		if byDefault[code] == 0 {
			t.Errorf("%s: nothing was tried where a mesh injects by default", code)
		}
	}
}
