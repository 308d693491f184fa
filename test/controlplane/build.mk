# Where the control plane of the end-to-end tests comes from. Included by the Makefile at the top.
#
# What KUBEBUILDER_ASSETS names is taken as it is, and so is what is in bin/controlplane. Else the binaries that are published for envtest are
# downloaded (prebuilt), where their index answers within ten seconds, and built from their Go modules where not. ENVTEST_INDEX is the URL of another index;
# ENVTEST_INDEX=none builds at once.
#
# Every folder beside this file that is named for a version is a Go module that pins one minor version of Kubernetes and the etcd that
# belongs to it: K8S=1.37 chooses test/controlplane/1.37. Its `tool` directives name the three main packages,
# so `go mod tidy` keeps their requirements. Another version is another folder; nothing below changes.
#
# Beside each binary stands what it was made of: a digest of the module and of this file. Where that is still so it is taken, whatever times files have: those of a
# checkout are newer than those of a cache. Else it is made again, which Go's build cache makes a matter of seconds.

K8S ?= 1.37

K8S_MODULE := test/controlplane/$(K8S)
ifeq ($(wildcard $(K8S_MODULE)/go.mod),)
$(error K8S=$(K8S) is not pinned here; known: $(patsubst test/controlplane/%/go.mod,%,$(wildcard test/controlplane/1.*/go.mod)))
endif

# The exact versions come from go.mod: it alone says what is built.
K8S_VERSION := $(shell sed -n 's|^[[:space:]]*k8s.io/kubernetes v\([^ ]*\).*|\1|p' $(K8S_MODULE)/go.mod)
ETCD_VERSION := $(shell sed -n 's|^[[:space:]]*go.etcd.io/etcd/server/v3 v\([^ ]*\).*|\1|p' $(K8S_MODULE)/go.mod)
K8S_MAJOR := $(word 1,$(subst ., ,$(K8S_VERSION)))
K8S_MINOR := $(word 2,$(subst ., ,$(K8S_VERSION)))

CONTROLPLANE_DIR := bin/controlplane/$(K8S_VERSION)
CONTROLPLANE_BINARIES := $(addprefix $(CONTROLPLANE_DIR)/,etcd kube-apiserver kubectl)
CONTROLPLANE_INPUTS := $(K8S_MODULE)/go.mod $(K8S_MODULE)/go.sum test/controlplane/build.mk
CONTROLPLANE_DIGEST := $(firstword $(shell cat $(CONTROLPLANE_INPUTS) | cksum))
# What a binary depends on, unless it is of these inputs already.
inputs_of = $(if $(filter $(CONTROLPLANE_DIGEST),$(shell cat '$(CONTROLPLANE_DIR)/$(1).inputs' 2>/dev/null)),,controlplane-inputs)

# A Go module carries no commit: the version is all that is known, and the build date stays at the default, so
# that two builds are the same. client-go keeps a copy of its own, which it puts into the User-Agent.
k8s_stamp = -X $(1).gitVersion=v$(K8S_VERSION) -X $(1).gitMajor=$(K8S_MAJOR) -X $(1).gitMinor=$(K8S_MINOR) \
	-X $(1).gitTreeState=archive -X $(1).gitCommit=unknown
K8S_LDFLAGS := -s -w $(call k8s_stamp,k8s.io/component-base/version) $(call k8s_stamp,k8s.io/client-go/pkg/version)
ETCD_LDFLAGS := -s -w -X go.etcd.io/etcd/api/v3/version.GitSHA=unknown

ENVTEST_INDEX ?=

# Tried before the first binary only. What fails there is told in one line.
fetch_controlplane = $(if $(controlplane_tried)$(filter none,$(ENVTEST_INDEX)),,$(eval controlplane_tried := yes)\
go -C test/controlplane/prebuilt run . -version '$(K8S_VERSION)' -to '$(abspath $(CONTROLPLANE_DIR))' -inputs '$(CONTROLPLANE_DIGEST)' \
	$(addprefix -index ,$(ENVTEST_INDEX)) 2>&1 | grep -v '^exit status\|^go: downloading' || true)

# Brings one binary: $(1) its main package, $(2) its linker flags, $(3) its version, $(4) how many seconds it took to build on two cores, the first time; with
# Go's build cache it is seconds. -p 2 bounds the memory on machines with many cores.
define bring_controlplane
	@mkdir -p $(@D)
	@$(fetch_controlplane)
	@if [ "$$(cat '$@.inputs' 2>/dev/null)" = '$(CONTROLPLANE_DIGEST)' ] && [ -x '$@' ]; then exit 0; fi; \
	echo "Building $(notdir $@) $(3) from its Go module, which takes about $(4) s on two cores ..."; \
	rm -f '$(@D)/prebuilt' '$@.inputs'; begin=$$(date +%s); \
	(cd $(K8S_MODULE) && CGO_ENABLED=0 exec go build -p 2 -trimpath -ldflags '$(2)' -o '$(abspath $@)' $(1)) & build=$$!; \
	trap 'kill $$build' INT TERM; tick=0; \
	while kill -0 $$build 2>/dev/null; do \
		sleep 1; tick=$$((tick + 1)); \
		if [ $$((tick % 30)) = 0 ]; then echo "  $(notdir $@): $$(( $$(date +%s) - begin )) s of about $(4)"; fi; \
	done; \
	wait $$build && echo '$(CONTROLPLANE_DIGEST)' >'$@.inputs' && echo "Built $@ in $$(( $$(date +%s) - begin )) s."
endef

$(CONTROLPLANE_DIR)/etcd: $(call inputs_of,etcd)
	$(call bring_controlplane,go.etcd.io/etcd/server/v3,$(ETCD_LDFLAGS),$(ETCD_VERSION),50)

$(CONTROLPLANE_DIR)/kube-apiserver: $(call inputs_of,kube-apiserver)
	$(call bring_controlplane,k8s.io/kubernetes/cmd/kube-apiserver,$(K8S_LDFLAGS),$(K8S_VERSION),450)

$(CONTROLPLANE_DIR)/kubectl: $(call inputs_of,kubectl)
	$(call bring_controlplane,k8s.io/kubernetes/cmd/kubectl,$(K8S_LDFLAGS),$(K8S_VERSION),30)

# Is never there: what depends on it is made again.
.PHONY: controlplane-inputs
controlplane-inputs:
