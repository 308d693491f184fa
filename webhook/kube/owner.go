package kube

import (
	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// OriginOf returns where the istio.io/rev of a namespace comes from; ns is nil if there is no namespace.
func OriginOf(ns *Namespace, raw []byte) policy.Origin {
	if ns == nil {
		return policy.Origin{}
	}
	origin := policy.Origin{Filled: ns.Metadata.Annotations[api.FilledRevisionAnnotation]}
	if _, present := ns.Metadata.Labels[mesh.RevisionLabel]; present {
		origin.Owner = ownerOf(raw)
	}
	return origin
}

// LosesRevision reports whether a request takes istio.io/rev away.
func LosesRevision(old, updated *Namespace) bool {
	if old == nil {
		return false
	}
	_, had := old.Metadata.Labels[mesh.RevisionLabel]
	_, has := updated.Metadata.Labels[mesh.RevisionLabel]
	return had && !has
}

// Rewritten reports whether an object was written whole, from a file that knows nothing of the stored one: it has no uid yet when
// mutating admission sees it. A patch leaves the stored uid in place, and an edit of what was read brings it along (test/facts
// pins it). An object that cannot be read was read by the caller, and counts as no such one.
func Rewritten(raw []byte) bool {
	read := struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}{}
	return kjson.UnmarshalCaseSensitivePreserveInts(raw, &read) == nil && read.Metadata.UID == ""
}

// managers are the field managers of a namespace, with the labels and annotations that each owns. The values are not read: a
// field that is owned is a key (k8s.io/apimachinery, FieldsV1). Beside them is what kubectl has applied on the client's side.
type managers struct {
	Metadata struct {
		Labels        map[string]string `json:"labels"`
		Annotations   map[string]string `json:"annotations"`
		ManagedFields []struct {
			Operation string `json:"operation"`
			FieldsV1  struct {
				Metadata struct {
					Labels      map[string]any `json:"f:labels"`
					Annotations map[string]any `json:"f:annotations"`
				} `json:"f:metadata"`
			} `json:"fieldsV1"`
		} `json:"managedFields"`
	} `json:"metadata"`
}

// applied is the operation of a manager that applies on the server's side. All others have the operation Update.
const applied = "Apply"

// ownerOf reads who owns the istio.io/rev of a namespace. Few requests need to know, so the managedFields, which are most of
// a namespace, are read for those alone. What cannot be read counts as unknown: then only the annotation speaks.
func ownerOf(raw []byte) policy.Owner {
	read := managers{}
	switch err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &read); {
	case err != nil:
		return policy.UnknownOwner
	case inLastApplied(read.Metadata.Annotations[lastApplied], read.Metadata.Labels[mesh.RevisionLabel]):
		return policy.SomeOwner
	case len(read.Metadata.ManagedFields) == 0:
		return policy.UnknownOwner
	}
	owner := policy.NoOwner
	for _, manager := range read.Metadata.ManagedFields {
		fields := manager.FieldsV1.Metadata
		if _, owns := fields.Labels["f:"+mesh.RevisionLabel]; !owns {
			continue
		}
		if _, copied := fields.Annotations["f:"+api.FilledRevisionAnnotation]; !copied || manager.Operation == applied {
			return policy.SomeOwner
		}
		owner = policy.CopyingOwner
	}
	return owner
}

// lastApplied is the annotation in which kubectl keeps what it has applied on the client's side (k8s.io/api/core/v1).
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// inLastApplied reports whether what kubectl has applied on the client's side has this istio.io/rev. A value that the namespace
// has already is left out of its patch, so that no manager comes to own it: only the annotation says that it stands in a file.
func inLastApplied(annotation, revision string) bool {
	file := Namespace{}
	if annotation == "" || kjson.UnmarshalCaseSensitivePreserveInts([]byte(annotation), &file) != nil {
		return false
	}
	written, present := file.Metadata.Labels[mesh.RevisionLabel]
	return present && written == revision
}
