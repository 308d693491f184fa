package cluster

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Allowed asks the API server whether a user may do something, with a SubjectAccessReview: whatever authorizers it has
// count. An error means that it could not be asked. What an authorizer says of a problem of its own, such as a binding to a
// role that does not exist, does not change the answer.
func (c *Cluster) Allowed(ctx context.Context, review authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	answer, err := c.resources.accessReviews.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: review}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask what user %q may do: %w", review.User, err)
	}
	return answer.Status.Allowed && !answer.Status.Denied, nil
}
