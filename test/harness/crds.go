package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	pollInterval = 20 * time.Millisecond
	// effectTimeout limits the wait for the API server to act on something that it has stored already.
	effectTimeout = 30 * time.Second
)

// readCRDs reads the definitions in dir. Unknown fields are kept out of the way, not refused: the real ones are not
// ours.
func readCRDs(dir string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no CustomResourceDefinitions in %s", dir)
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(content, crd); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		crds = append(crds, crd)
	}
	return crds, nil
}

// readCRDSet reads the definitions of a set. What the operator's own set does not have, the Gateway API, comes from the slim one.
func readCRDSet(set CRDSet, root string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	crds, err := readCRDs(set.dir(root))
	if err != nil || set == Slim {
		return crds, err
	}
	slim, err := readCRDs(Slim.dir(root))
	for _, crd := range slim {
		if !slices.ContainsFunc(crds, func(other *apiextensionsv1.CustomResourceDefinition) bool { return other.Name == crd.Name }) {
			crds = append(crds, crd)
		}
	}
	return crds, err
}

// InstallCRDs creates the definitions of the cluster's set that are missing, and returns when the API server serves
// them all.
func (c *Cluster) InstallCRDs(ctx context.Context) error {
	for _, crd := range c.crds {
		if err := c.Client.Create(ctx, crd.DeepCopy()); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("install %s: %w", crd.Name, err)
		}
	}
	return c.eventually(ctx, "serves the custom resources", func(context.Context) (bool, error) {
		for _, crd := range c.crds {
			if served, err := c.serves(crd); err != nil || !served {
				return false, err
			}
		}
		return true, nil
	})
}

// RemoveCRDs deletes the definitions of the Sail operator, and with them all their objects, and returns when the API
// server serves them no more.
func (c *Cluster) RemoveCRDs(ctx context.Context) error {
	var sail []*apiextensionsv1.CustomResourceDefinition
	for _, crd := range c.crds {
		if strings.HasSuffix(crd.Spec.Group, "sailoperator.io") {
			sail = append(sail, crd)
		}
	}
	if err := c.deleteObjectsOf(ctx, "sailoperator.io"); err != nil {
		return err
	}
	for _, crd := range sail {
		if err := c.Client.Delete(ctx, crd.DeepCopy()); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("remove %s: %w", crd.Name, err)
		}
	}
	return c.eventually(ctx, "no longer serves the Sail operator's resources", func(ctx context.Context) (bool, error) {
		for _, crd := range sail {
			err := c.Client.Get(ctx, client.ObjectKeyFromObject(crd), &apiextensionsv1.CustomResourceDefinition{})
			served, discoveryErr := c.serves(crd)
			if !apierrors.IsNotFound(err) || served || discoveryErr != nil {
				return false, errors.Join(client.IgnoreNotFound(err), discoveryErr)
			}
		}
		return true, nil
	})
}

// restoreCRDs deletes definitions that are not of the cluster's set, replaces those that were changed (their generation
// says so) and creates those that are missing. The real ones are large: nothing but their metadata is sent around unless
// there is something to restore.
func (c *Cluster) restoreCRDs(ctx context.Context) error {
	found := metav1.PartialObjectMetadataList{}
	found.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	if err := c.Client.List(ctx, &found); err != nil {
		return err
	}
	missing := map[string]bool{}
	for _, crd := range c.crds {
		missing[crd.Name] = true
	}
	for i := range found.Items {
		crd := &found.Items[i]
		if missing[crd.Name] && crd.Generation == 1 && crd.DeletionTimestamp == nil {
			delete(missing, crd.Name)
			continue
		}
		if err := c.Client.Delete(ctx, crd); client.IgnoreNotFound(err) != nil {
			return err
		}
		if err := c.waitGone(ctx, crd); err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return c.InstallCRDs(ctx)
}

// serves reports whether the API server's discovery lists the definition's versions.
func (c *Cluster) serves(crd *apiextensionsv1.CustomResourceDefinition) (bool, error) {
	for _, v := range crd.Spec.Versions {
		list, err := c.discovery.ServerResourcesForGroupVersion(crd.Spec.Group + "/" + v.Name)
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		found := false
		for _, resource := range list.APIResources {
			found = found || resource.Name == crd.Spec.Names.Plural
		}
		if v.Served && !found {
			return false, nil
		}
	}
	return true, nil
}

// waitGone waits until an object is no longer stored.
func (c *Cluster) waitGone(ctx context.Context, object client.Object) error {
	return c.eventually(ctx, "has removed "+object.GetName(), func(ctx context.Context) (bool, error) {
		err := c.Client.Get(ctx, client.ObjectKeyFromObject(object), object)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

// eventually polls a condition that the API server brings about by itself; what completes "the API server …" in the
// error.
func (c *Cluster) eventually(ctx context.Context, what string, condition wait.ConditionWithContextFunc) error {
	err := wait.PollUntilContextTimeout(ctx, pollInterval, effectTimeout, true, condition)
	if err != nil {
		return fmt.Errorf("waiting until the API server %s: %w", what, err)
	}
	return nil
}
