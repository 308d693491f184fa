package main

import (
	"bytes"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/meshfence/meshfence/deploy/build"
)

// noAssertion is what SPDX says of what is not known.
const noAssertion = "NOASSERTION"

// sbom is what is in the image, as SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/): the image, in it meshfence, and the modules and the standard library that
// meshfence is linked from.
func (r *release) sbom(c *contents, platform build.Platform, image v1.Hash) ([]byte, error) {
	top := &spdx.Package{
		PackageName: "meshfence image", PackageSPDXIdentifier: "image", PackageVersion: r.version, PackageDownloadLocation: noAssertion,
		PackageChecksums: []spdx.Checksum{{Algorithm: spdx.SHA256, Value: image.Hex}}, PrimaryPackagePurpose: "CONTAINER",
	}
	self := modulePackage("meshfence", module{"github.com/meshfence/meshfence", r.version, ""})
	self.PackageLicenseConcluded, self.PackageLicenseDeclared, self.PrimaryPackagePurpose = "Apache-2.0", "Apache-2.0", "APPLICATION"
	document := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: "meshfence " + r.version + " " + platform.String(),
		// Must be unique, and the same for the same image.
		DocumentNamespace: repository + "/spdx/" + image.Hex,
		CreationInfo:      &spdx.CreationInfo{Creators: []spdx.Creator{{CreatorType: "Tool", Creator: "meshfence-make-image"}}, Created: r.date.Format(time.RFC3339)},
		Packages:          []*spdx.Package{top, self},
		Relationships: []*spdx.Relationship{
			related("DOCUMENT", "DESCRIBES", "image"), related("image", "CONTAINS", "meshfence"),
		},
	}
	parts := append([]module{{"stdlib", c.compiler[len("go"):], ""}}, c.modules...)
	for i, m := range parts {
		id := spdx.ElementID(fmt.Sprintf("module-%d", i))
		document.Packages = append(document.Packages, modulePackage(id, m))
		document.Relationships = append(document.Relationships, related("meshfence", "DEPENDS_ON", id))
	}
	var text bytes.Buffer
	err := json.Write(document, &text, json.Indent(" "))
	return text.Bytes(), err
}

func modulePackage(id spdx.ElementID, m module) *spdx.Package {
	p := &spdx.Package{
		PackageName: m.path, PackageSPDXIdentifier: id, PackageVersion: m.version, PackageDownloadLocation: noAssertion, PrimaryPackagePurpose: "LIBRARY",
		PackageExternalReferences: []*spdx.PackageExternalReference{{Category: "PACKAGE-MANAGER", RefType: "purl", Locator: m.purl()}},
	}
	if m.hash != "" {
		// SPDX has no name for Go's checksum of a module's files, so a checksum would say that an archive has it.
		p.PackageSourceInfo = "dirHash (h1) of the module, SHA-256: " + m.hash
	}
	return p
}

func related(from spdx.ElementID, how string, to spdx.ElementID) *spdx.Relationship {
	return &spdx.Relationship{RefA: common.MakeDocElementID("", string(from)), RefB: common.MakeDocElementID("", string(to)), Relationship: how}
}
