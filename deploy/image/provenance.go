package main

import (
	"cmp"
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/meshfence/meshfence/deploy/build"
)

// statement is an in-toto statement, version 1 (https://github.com/in-toto/attestation/tree/main/spec/v1), about SLSA's provenance
// (https://slsa.dev/spec/v1.0/provenance), as far as it is used.
type statement struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     predicate  `json:"predicate"`
}

type resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

type predicate struct {
	BuildDefinition definition `json:"buildDefinition"`
	RunDetails      details    `json:"runDetails"`
}

type definition struct {
	BuildType            string            `json:"buildType"`
	ExternalParameters   map[string]string `json:"externalParameters"`
	ResolvedDependencies []resource        `json:"resolvedDependencies"`
}

type details struct {
	Builder map[string]string `json:"builder"`
}

// unknownBuilder stands for a builder that has not said what it is: a person's machine, mostly.
const unknownBuilder = "unknown"

// provenance says what the image was made of: commit, compiler and each module with its checksum. It is not signed; who signs an image signs it too.
func (r *release) provenance(c *contents, platform build.Platform, image v1.Hash) ([]byte, error) {
	var made []resource
	if r.commit != "" {
		made = append(made, resource{URI: "git+" + repository, Digest: map[string]string{"gitCommit": r.commit}})
	}
	made = append(made, resource{Name: "go", URI: "pkg:golang/stdlib@" + c.compiler[len("go"):]})
	for _, m := range c.modules {
		made = append(made, resource{URI: m.purl(), Digest: map[string]string{"dirHash": m.hash}})
	}
	return json.MarshalIndent(statement{
		Type: "https://in-toto.io/Statement/v1", Subject: []resource{{Name: "meshfence", Digest: map[string]string{"sha256": image.Hex}}},
		PredicateType: "https://slsa.dev/provenance/v1",
		Predicate: predicate{
			BuildDefinition: definition{
				BuildType:            repository + "/blob/main/docs/releasing.md#the-image",
				ExternalParameters:   map[string]string{"version": r.version, "platform": platform.String(), "ldflags": r.ldflags},
				ResolvedDependencies: made,
			},
			RunDetails: details{Builder: map[string]string{"id": cmp.Or(r.builder, unknownBuilder)}},
		},
	}, "", " ")
}
