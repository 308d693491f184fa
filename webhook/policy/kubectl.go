package policy

import (
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// kindTag is the kind of the tags that stand for revisions.
const kindTag = "IstioRevisionTag"

// resourceOf is what kubectl calls a kind of the Sail operator, with the group, because other products have an istio resource too.
// All commands name their resources by it.
func resourceOf(kind string) string { return strings.ToLower(kind) + "s.sailoperator.io" }

// object names an object of the Sail operator in a command.
func object(kind, name string) string { return resourceOf(kind) + " " + NameWord(name) }

// setting is one of the values of Istio's chart for istiod: its path, and the JSON that it gets.
type setting struct{ path, json string }

// setValues are the commands that change values of a mesh: a patch of the object of the Sail operator, or an upgrade of each Helm release. There are none for istiods
// that were installed in another way: what has installed them has the other values.
func setValues(m *mesh.Mesh, settings ...setting) []string {
	if m.Kind != mesh.KindIstiod {
		return []string{patchValues(m.Ref, settings...)}
	}
	var commands []string
	for i := range m.Sources {
		s := &m.Sources[i]
		if s.Release == "" {
			return nil
		}
		command := "helm upgrade " + NameWord(s.Release) + " istio/istiod --namespace " + NameWord(m.ControlPlane)
		if s.Version != "" {
			command += " --version " + ShellWord(strings.TrimPrefix(s.Version, "v"))
		}
		command += " --reset-then-reuse-values" // which null takes a value away from, unlike --reuse-values
		for _, set := range settings {
			command += " --set-json " + ShellWord(set.path+"="+set.json)
		}
		commands = append(commands, command)
	}
	return commands
}

// uninstall removes a release.
func uninstall(release, namespace string) string {
	return "helm uninstall " + NameWord(release) + " --namespace " + NameWord(namespace)
}

// patchValues merges values into the spec of an object of the Sail operator.
func patchValues(ref mesh.Ref, settings ...setting) string {
	texts := make([]string, len(settings))
	for i, s := range settings {
		keys := strings.Split(s.path, ".")
		texts[i] = `"` + strings.Join(keys, `":{"`) + `":` + s.json + strings.Repeat("}", len(keys)-1)
	}
	return mergePatch(object(ref.Kind, ref.Name), `{"spec":{"values":{`+strings.Join(texts, ",")+`}}}`)
}

// mergePatch merges JSON into an object, which is named as object names it.
func mergePatch(object, json string) string {
	return "kubectl patch " + object + " --type=merge -p " + ShellWord(json)
}

// labelNamespaces are label commands without what they do to the labels.
func labelNamespaces(names ...string) string {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = NameWord(name)
	}
	return "kubectl label namespace " + strings.Join(words, " ")
}

// showAll lists the objects of some kinds.
func showAll(kinds ...string) string {
	resources := make([]string, len(kinds))
	for i, kind := range kinds {
		resources[i] = resourceOf(kind)
	}
	return "kubectl get " + strings.Join(resources, ",")
}

// showOne prints an object.
func showOne(kind, name string) string { return "kubectl get " + object(kind, name) + " -o yaml" }

// tagObject names a tag in a command: its object, or the webhooks that istioctl or Helm has made for it.
func tagObject(f *mesh.Fleet, name string) string {
	if byWebhooks(f, name) {
		return "mutatingwebhookconfigurations.admissionregistration.k8s.io --selector " + ShellWord(api.TagLabel+"="+name)
	}
	return object(kindTag, name)
}

// tagNamed names a tag in a sentence.
func tagNamed(f *mesh.Fleet, name string) string {
	if byWebhooks(f, name) {
		return fmt.Sprintf("tag %q of istioctl or Helm", name)
	}
	return fmt.Sprintf("%s %q", kindTag, name)
}

// byWebhooks reports whether a tag is none of the Sail operator's.
func byWebhooks(f *mesh.Fleet, name string) bool {
	own, others := false, false
	for _, tag := range f.Tags() {
		if tag.Name == name {
			own, others = own || tag.Target.Kind != mesh.KindIstiod, others || tag.Target.Kind == mesh.KindIstiod
		}
	}
	return others && !own
}

// annotateCommand changes annotations, each KEY=VALUE, of a mesh's object: of the ConfigMap of an istiod that the Sail operator did not install.
func annotateCommand(m *mesh.Mesh, annotations ...string) string {
	command := "kubectl annotate "
	if m.Kind == mesh.KindIstiod {
		_, name, _ := strings.Cut(m.Sources[0].Name, "/")
		command += "configmap " + NameWord(name) + " --namespace " + NameWord(m.ControlPlane)
	} else {
		command += object(m.Kind, m.Name)
	}
	for _, annotation := range annotations {
		command += " " + ShellWord(annotation)
	}
	return command + " --overwrite"
}

// showNames lists what istio.io/rev can name.
func showNames() string { return showAll(mesh.KindIstioRevision, kindTag) }
