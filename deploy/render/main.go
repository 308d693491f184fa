// Command render makes the files that `make generate` writes: the match conditions of the Helm chart deploy/chart, from webhook/match;
// and from the chart one file of manifests for each way to get certificates, and the table of the chart's values in the documentation.
//
// It runs Helm as users do (helm template) and changes two things: a file is sorted, so that the webhook configurations
// come last also after custom resources, and Helm's own comments are left out.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// modes are the values of certs.mode.
func modes() []string { return []string{"cert-manager", "openshift", "self-signed"} }

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func command(args []string) error {
	flags := flag.NewFlagSet("render", flag.ContinueOnError)
	helm := flags.String("helm", "bin/tools/helm", "`PATH` of helm")
	out := flags.String("out", ".", "`FOLDER` below which the files are written")
	image := flags.String("image", "", "write nothing but the bundle for OLM, into the folder, with this `IMAGE@DIGEST`")
	version := flags.String("version", "", "`VERSION` of the bundle, as in v1.2.3; the chart's without it. A release's must be the chart's")
	check := flags.Bool("check", false, "write nothing, only compare -version with the chart")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := readChart()
	if err != nil {
		return err
	}
	if err := c.agree(*version); err != nil || *check {
		return err
	}
	if *image == "" {
		return run(*helm, *out, c)
	}
	return bundleOf(*helm, *out, *image, semantic(cmp.Or(*version, "v"+c.Version)))
}

// run writes all files below the folder out; it reads the chart below the working directory.
func run(helm, out string, c chart) error {
	if err := writeConditions(out); err != nil { // Helm reads it below the working directory; if it differs, so do these files.
		return err
	}
	for _, mode := range modes() {
		content, err := manifests(helm, mode)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(out, "deploy", "meshfence-"+mode+".yaml"), content); err != nil {
			return err
		}
	}
	content, err := manifests(helm, "openshift", bundled)
	if err != nil {
		return err
	}
	if err := writeBundle(filepath.Join(out, "deploy", "olm"), content, c.Version); err != nil {
		return fmt.Errorf("deploy/olm: %w", err)
	}
	values, err := os.ReadFile(filepath.Join("deploy", "chart", "values.yaml"))
	if err != nil {
		return err
	}
	doc, err := os.ReadFile(filepath.Join("docs", "install.md"))
	if err != nil {
		return err
	}
	doc, err = replaceReference(doc, values)
	if err != nil {
		return err
	}
	return write(filepath.Join(out, "docs", "install.md"), doc)
}

// bundled are the values of the bundle.
const bundled = "configMap.create=false"

// bundleOf writes the bundle of a version, whose image is known, into a folder.
func bundleOf(helm, dir, image, version string) error {
	repository, digest, named := strings.Cut(image, "@")
	if !named || !strings.HasPrefix(digest, "sha256:") {
		return fmt.Errorf("%s has no digest: name the image as NAME@sha256:…, because clusters without access to its registry find copies by that, and a tag can be moved", image)
	}
	content, err := manifests(helm, "openshift", bundled, "image.repository="+repository, "image.digest="+digest)
	if err != nil {
		return err
	}
	annotations, err := os.ReadFile(filepath.Join("deploy", "olm", "metadata", "annotations.yaml"))
	if err != nil {
		return err
	}
	return errors.Join(writeBundle(dir, content, version), write(filepath.Join(dir, "metadata", "annotations.yaml"), annotations))
}

func write(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}

// manifests renders the chart for one mode, with more values.
func manifests(helm, mode string, values ...string) ([]byte, error) {
	values = append([]string{"namespace.create=true", "certs.mode=" + mode}, values...)
	cmd := exec.Command(helm, "template", "meshfence", filepath.Join("deploy", "chart"), "--namespace", "meshfence-system",
		"--skip-tests", "--set", strings.Join(values, ","))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	rendered, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.Bytes())
	}
	return append([]byte(header(mode)), sorted(string(rendered))...), nil
}

// header says how to use a file.
func header(mode string) string {
	needs := map[string]string{
		"cert-manager": "cert-manager must be in the cluster: it issues the serving certificate.",
		"openshift":    "OpenShift's service CA issues the serving certificate.",
		"self-signed":  "meshfence issues its serving certificate itself; nothing else is needed.",
	}
	tool := "kubectl"
	if mode == "openshift" {
		tool = "oc"
	}
	file := "meshfence-" + mode + ".yaml"
	return fmt.Sprintf(`# meshfence for %[1]s apply. %[2]s
# First put the name of your image where image: is, then:
#
#   %[1]s apply -f %[3]s --selector meshfence.io/part!=webhooks
#   %[1]s -n meshfence-system rollout status deployment/meshfence
#   %[1]s apply -f %[3]s
#
# The last command alone installs it as well. Then changes of meshes and of mesh labels are refused until meshfence is up. To remove
# it, first what the API server asks; this line is also the emergency exit:
#
#   %[1]s delete validatingwebhookconfiguration,mutatingwebhookconfiguration meshfence
#   %[1]s delete -f %[3]s --ignore-not-found
#
# Code generated by make generate from deploy/chart. DO NOT EDIT.
`, tool, needs[mode], file)
}

// sorted returns the documents of Helm's output, without Helm's comments, the webhook configurations last.
func sorted(rendered string) string {
	var first, last []string
	for _, document := range strings.Split("\n"+rendered, "\n---\n") {
		var lines []string
		for _, line := range strings.Split(document, "\n") {
			if !strings.HasPrefix(line, "# Source: ") {
				lines = append(lines, strings.TrimRight(line, " "))
			}
		}
		text := strings.TrimSpace(strings.Join(lines, "\n"))
		switch {
		case text == "":
		case strings.Contains(text, "meshfence.io/part: webhooks") && !strings.Contains(text, "\nkind: ValidatingAdmissionPolicy"):
			last = append(last, text)
		default:
			first = append(first, text)
		}
	}
	return "---\n" + strings.Join(append(first, last...), "\n---\n") + "\n"
}
