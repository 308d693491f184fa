package harness

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// RightsDir names the environment variable with the folder where each cluster of a test leaves the grants that meshfence
// used there, one file a cluster. Nothing is left if it is empty. CompareRights reads them.
const RightsDir = "MESHFENCE_RIGHTS_DIR"

// auditPolicy has the API server note what meshfence's service account asks it for, and nothing else.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["system:serviceaccount:` + Namespace + ":" + ServiceAccount + `"]
- level: None
`

// agent begins the User-Agent of the meshfence binary. Tests that use its packages, or its rights, have another one.
const agent = "meshfence/"

// auditFlags are the flags of an API server whose requests from meshfence are noted, in a file of its own; none in
// programs that are no tests, so that nothing disturbs what they measure.
func (c *Cluster) auditFlags(name string) (map[string]string, error) {
	if !testing.Testing() {
		return nil, nil
	}
	policy := filepath.Join(c.dir, "audit-policy.yaml")
	return map[string]string{
		"audit-policy-file": policy, "audit-log-path": filepath.Join(c.dir, name+".audit"),
		"audit-log-mode": "blocking", "audit-log-maxsize": "4000",
	}, os.WriteFile(policy, []byte(auditPolicy), 0o600)
}

// Grant is one verb on one resource that a role grants to meshfence.
type Grant struct {
	// Namespace is where, "" for everywhere. Name is the only object, "" for any.
	Namespace, Group, Resource, Name, Verb string
}

// String is for people: list configmaps in meshfence-system.
func (g Grant) String() string {
	text := g.Verb + " " + g.Resource
	if g.Group != "" {
		text += "." + g.Group
	}
	if g.Name != "" {
		text += " " + g.Name
	}
	if g.Namespace != "" {
		text += " in " + g.Namespace
	}
	return text
}

// covers reports whether the grant allows what was asked for.
func (g Grant) covers(asked Grant) bool {
	return g.Verb == asked.Verb && g.Resource == asked.Resource && g.Group == asked.Group &&
		(g.Name == "" || g.Name == asked.Name) && (g.Namespace == "" || g.Namespace == asked.Namespace)
}

// grantsOf returns what the ClusterRole and the Role of meshfence among the objects grant.
func grantsOf(objects []client.Object) []Grant {
	var grants []Grant
	add := func(namespace string, rules []rbacv1.PolicyRule) {
		for _, rule := range rules {
			names := rule.ResourceNames
			if len(names) == 0 {
				names = []string{""}
			}
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, name := range names {
						for _, verb := range rule.Verbs {
							grants = append(grants, Grant{namespace, group, resource, name, verb})
						}
					}
				}
			}
		}
	}
	for _, object := range objects {
		if strings.HasSuffix(object.GetName(), "-viewer") { // of people, not of meshfence
			continue
		}
		switch role := object.(type) {
		case *rbacv1.ClusterRole:
			add("", role.Rules)
		case *rbacv1.Role:
			add(role.Namespace, role.Rules)
		}
	}
	return grants
}

// rendered are the files that users install, each with the roles for its way to certificates.
func rendered(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "deploy", "meshfence-*.yaml"))
	if err == nil && len(files) == 0 {
		err = errors.New("no deploy/meshfence-*.yaml: run `make generate`")
	}
	return files, err
}

// readGrants returns the grants in files of manifests.
func readGrants(scheme *runtime.Scheme, files []string) ([]Grant, error) {
	var all []Grant
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		objects, err := decodeManifests(scheme, content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		all = append(all, grantsOf(objects)...)
	}
	return all, nil
}

// checkRights compares all that meshfence has asked the cluster's API servers for with what its roles grant. A request that
// no role grants is an error, whether or not the API server refused it. What was used is left for CompareRights.
func (c *Cluster) checkRights() error {
	logs, err := filepath.Glob(filepath.Join(c.dir, "*.audit"))
	if err != nil || len(logs) == 0 {
		return err
	}
	files := c.options.Manifests
	if files == nil || c.options.WithNode {
		// A cluster with a node has what the test installs there.
		if files, err = rendered(c.root); err != nil {
			return err
		}
	}
	granted, err := readGrants(c.Client.Scheme(), files)
	if err != nil {
		return err
	}
	used := map[Grant]bool{}
	for _, log := range logs {
		if err := readAudit(log, granted, used); err != nil {
			return err
		}
	}
	return leave(os.Getenv(RightsDir), used)
}

// readAudit adds to used the grants that the requests in the log needed.
func readAudit(file string, granted []Grant, used map[Grant]bool) error {
	log, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	var errs []error
	missing := map[string]bool{}
	for lines := bufio.NewReader(log); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...) // a last line that is cut off is that of a killed server
		}
		if err != nil {
			return err
		}
		request, asked, err := readRequest(line)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		if asked == nil || useOf(*asked, granted, used) || missing[asked.String()] {
			continue
		}
		missing[asked.String()] = true
		errs = append(errs, fmt.Errorf("meshfence asked for what its roles do not grant: %s (%s)", asked, request))
	}
}

// useOf marks the grants that cover what was asked for, and reports whether there are any.
func useOf(asked Grant, granted []Grant, used map[Grant]bool) bool {
	covered := false
	for _, grant := range granted {
		if grant.covers(asked) {
			covered, used[grant] = true, true
		}
	}
	return covered
}

// readRequest reads one line of an audit log (audit.k8s.io/v1, Event): the request as it was made, and what it asked for. That
// is nil if another client than the binary made it, and for the lists of what there is (/api and /apis), which all users
// may read.
func readRequest(line []byte) (request string, asked *Grant, err error) {
	var event struct {
		Verb       string `json:"verb"`
		RequestURI string `json:"requestURI"`
		UserAgent  string `json:"userAgent"`
		ObjectRef  *struct{ Namespace, Name, APIGroup, Resource, Subresource string }
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return "", nil, err
	}
	request = event.Verb + " " + event.RequestURI
	switch {
	case !strings.HasPrefix(event.UserAgent, agent):
		return request, nil, nil
	case event.ObjectRef == nil && event.Verb == "get" && strings.HasPrefix(event.RequestURI, "/api"):
		return request, nil, nil
	case event.ObjectRef == nil:
		return request, &Grant{Resource: event.RequestURI, Verb: event.Verb}, nil
	}
	ref := event.ObjectRef
	asked = &Grant{Namespace: ref.Namespace, Group: ref.APIGroup, Resource: ref.Resource, Name: ref.Name, Verb: event.Verb}
	if ref.Subresource != "" {
		asked.Resource += "/" + ref.Subresource
	}
	return request, asked, nil
}

// leave writes what was used into a new file of the folder.
func leave(dir string, used map[Grant]bool) error {
	if dir == "" {
		return nil
	}
	content, err := json.Marshal(slices.Collect(maps.Keys(used)))
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "used-*.json")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// elsewhere are the grants that no request of the tests uses, and why.
func elsewhere() map[Grant]string {
	const owners = "never used: API servers with the admission plugin OwnerReferencesPermissionEnforcement ask for it when owners are written (test/install, TestOwner)"
	return map[Grant]string{
		{Group: "admissionregistration.k8s.io", Resource: "validatingwebhookconfigurations", Name: "meshfence", Verb: "delete"}: owners,
		{Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations", Name: "meshfence", Verb: "delete"}:   owners,
		{Namespace: Namespace, Resource: "secrets", Name: "meshfence-certs", Verb: "list"}:                                      "asked for where an API server cannot stream a list",
	}
}

// CompareRights compares what the tests' clusters have left in a folder with all that the roles in deploy/ grant, and
// returns why each of them is granted: nil if a test used it, else the reason why no test can, "" if there is none.
func CompareRights(dir string) (map[Grant]*string, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	files, err := rendered(root)
	if err != nil {
		return nil, err
	}
	list, err := readGrants(scheme, files)
	if err != nil {
		return nil, err
	}
	used, err := readUsed(dir)
	all := map[Grant]*string{}
	for _, grant := range list {
		if all[grant] = nil; !used[grant] {
			why := elsewhere()[grant]
			all[grant] = &why
		}
	}
	return all, err
}

func readUsed(dir string) (map[Grant]bool, error) {
	files, err := filepath.Glob(filepath.Join(dir, "used-*.json"))
	if err != nil {
		return nil, err
	}
	used := map[Grant]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var grants []Grant
		if err := json.Unmarshal(content, &grants); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, grant := range grants {
			used[grant] = true
		}
	}
	return used, nil
}
