# Everything that is built, tested and checked here. `make help` lists the targets.
# Needs GNU make, Go, git and, for the race detector, a C compiler. All else is built from Go modules into bin/; the
# control plane of the tests is downloaded where that is possible.

MODULE := github.com/meshfence/meshfence

# What git knows of the source: its state, version, commit, that in short, and the commit's time; asked once, and only by a target that needs it.
SOURCE = $(eval SOURCE := $$(shell deploy/build/source.sh))$(SOURCE)
# A source that is not exactly a commit, or is none of git's, is marked, also where VERSION is set on the command line.
MARK = $(if $(filter clean,$(word 1,$(SOURCE))),,-dirty)

# Stamped into the binary. The date is the commit's, so that the same commit gives the same binary.
VERSION ?= $(word 2,$(SOURCE))
COMMIT ?= $(word 4,$(SOURCE))$(if $(filter dirty,$(word 1,$(SOURCE))),-dirty)
DATE ?= $(word 5,$(SOURCE))
STAMP = $(VERSION:%-dirty=%)$(MARK)
LDFLAGS = -s -w -X main.version=$(STAMP) -X main.commit=$(COMMIT) -X main.date=$(DATE)

# Passed on to `go test` by unit and e2e: make e2e ARGS='-run TestGuide -v'
ARGS ?=
# The folder of cases that `make cases` runs. CRDS=slim|real|both chooses the CustomResourceDefinitions there
# and in e2e, DEMO=once ends `make run` after the replay; make hands both on in the environment.
DIR ?= test/cases
# How many pods `make measure-pods` looks at.
PODS ?= 5000
# The platforms of `make plugin`, `make image` and `make push`, comma-separated; none stands for all.
PLATFORMS ?=
# The name that `make push` pushes the image to, and that `make bundle` writes into the bundle.
IMAGE ?=
# How long `make fuzz` gives every fuzz target.
FUZZTIME ?= 30s

# Unit tests live beside the product code; everything below test/ needs an API server.
UNIT_PACKAGES = $(filter-out $(MODULE)/test/%,$(shell go list ./...))
# Every Go module of the repository, by its folder.
MODULES := $(patsubst %/go.mod,%,$(patsubst go.mod,./go.mod,$(wildcard go.mod deploy/*/go.mod test/*/go.mod test/*/*/go.mod)))
# Those with tests of their own: they need what others publish, cert-manager for one, and what that needs.
FOREIGN_TESTS := $(patsubst %/go.mod,%,$(wildcard deploy/image/go.mod test/controlplane/prebuilt/go.mod test/foreign/go.mod test/monitoring/go.mod))

GOLANGCI_LINT := bin/tools/golangci-lint
GOLANGCI_LINT_MODULE := test/tools/golangci-lint
GOLANGCI_LINT_VERSION := $(shell sed -n 's|^[[:space:]]*github.com/golangci/golangci-lint/v2 \(v[^ ]*\).*|\1|p' $(GOLANGCI_LINT_MODULE)/go.mod)

HELM := bin/tools/helm
HELM_MODULE := test/tools/helm
HELM_VERSION := $(shell sed -n 's|^[[:space:]]*helm.sh/helm/v4 \(v[^ ]*\).*|\1|p' $(HELM_MODULE)/go.mod)

KREW := bin/tools/krew
KREW_VALIDATOR := bin/tools/validate-krew-manifest
KREW_MODULE := test/tools/krew

GOVULNCHECK := bin/tools/govulncheck
GOVULNCHECK_MODULE := test/tools/govulncheck
# Where make vuln-check looks known vulnerabilities up; empty stands for Go's own database.
VULNDB ?=

# A tool that fails halfway leaves nothing behind that looks finished. Go uses all cores by itself, so the
# targets run one after another even under make -j, and their output stays readable.
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

include test/controlplane/build.mk

# KUBEBUILDER_ASSETS names the folder of kube-apiserver, etcd and kubectl. One that is already set is used, and
# no control plane is built.
ifeq ($(strip $(KUBEBUILDER_ASSETS)),)
KUBEBUILDER_ASSETS := $(CURDIR)/$(CONTROLPLANE_DIR)
ASSETS_NEEDED := $(CONTROLPLANE_BINARIES)
endif
export KUBEBUILDER_ASSETS

.PHONY: help
help: ## list the targets
	@echo 'make TARGET; set variables on the command line, as in make cases DIR=path'
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '  %-14s %s\n' "$$target" "$$text"; done

.PHONY: run
run: build $(if $(CLUSTER),$(filter %/kubectl,$(ASSETS_NEEDED)),controlplane) ## try it: an API server with meshfence in front, the guide replayed (DEMO=once: then exit; CLUSTER=kubeconfig: in a cluster that is there)
	@go build -o bin/sandbox ./test/sandbox
	@bin/sandbox

# The bytes are decided by the commit and by Go alone, and by no setting of the machine; deploy/build says the same for other platforms. GOENV=off drops what
# `go env -w` has set, so what says where modules come from is asked for before.
BUILD_PASSED := GOPROXY GONOPROXY GOPRIVATE GOSUMDB GONOSUMDB GOINSECURE GOVCS GOAUTH GOTOOLCHAIN GOPATH GOMODCACHE GOCACHE GOCACHEPROG GOTMPDIR
BUILD_PINNED := CGO_ENABLED=0 GOFLAGS= GOENV=off GOWORK=off GOAMD64=v1 GOARM64=v8.0 GOPPC64=power8 GOEXPERIMENT= GOFIPS140=off

.PHONY: build
build: ## build bin/meshfence
	@for name in $(BUILD_PASSED); do value=$$(GOWORK=off GOFLAGS= go env $$name) && export "$$name=$$value" || exit 1; done; \
	set -x; $(BUILD_PINNED) go build -buildvcs=false -trimpath -ldflags '$(LDFLAGS)' -o bin/meshfence ./cmd/meshfence

.PHONY: plugin
plugin: ## build meshfence as a plugin of kubectl for all platforms, with krew's manifest, into bin/plugin (PLATFORMS=linux/amd64)
	@go run ./deploy/plugin -version '$(STAMP)' -date '$(DATE)' -ldflags '$(LDFLAGS)' -platforms '$(PLATFORMS)'

.PHONY: image
image: ## make the image for all platforms without a container engine, an OCI layout in bin/image (PLATFORMS=linux/amd64)
	@go -C deploy/image run . build -root '$(CURDIR)' -out '$(CURDIR)/bin/image' -version '$(STAMP)' -commit '$(if $(MARK),,$(word 3,$(SOURCE)))' -date '$(DATE)' \
		-ldflags '$(LDFLAGS)' -platforms '$(PLATFORMS)'

.PHONY: push
push: ## push what make image has made (IMAGE=registry.example.com/meshfence:v1.2.3, PLATFORMS=linux/amd64 if it was made for that alone)
	@go -C deploy/image run . push -from '$(CURDIR)/bin/image' -platforms '$(PLATFORMS)' $(IMAGE)

# A version of a chart is a semantic one without the v; what is no release comes before all releases.
CHART_VERSION = $(if $(filter v%,$(STAMP)),$(STAMP:v%=%),0.0.0-$(STAMP))

.PHONY: package
package: $(HELM) ## pack the chart into bin/package, with the version of the last tag
	@go run ./deploy/render -check -version '$(STAMP)'
	@rm -rf bin/package && mkdir -p bin/package
	@$(HELM) package deploy/chart --version '$(CHART_VERSION)' --app-version '$(STAMP)' --destination bin/package

.PHONY: test
test: unit e2e ## run every test: unit tests with the race detector, then end-to-end tests

.PHONY: unit
unit: ## run the unit tests with the race detector (ARGS='-run X -v')
	go test -race $(ARGS) $(UNIT_PACKAGES)

.PHONY: e2e
e2e: build controlplane $(HELM) $(KREW) $(KREW_VALIDATOR) $(GOVULNCHECK) ## run the end-to-end tests on a real API server (ARGS='-run X -v', CRDS=slim|real|both)
	@rm -rf $(USED_RIGHTS) && mkdir -p $(USED_RIGHTS)
	@$(if $(BROWSER)$(BROWSER_TESTS),,echo 'test/browser is left out: no chromium is installed here')
	go test -count=1 -timeout 20m $(ARGS) $(E2E_PACKAGES)
	@set -e; for module in $(FOREIGN_TESTS); do (cd $$module && go test -count=1 -timeout 10m $(ARGS) ./...); done
	@$(if $(strip $(ARGS)),,go run ./test/harness/cmd/rights $(USED_RIGHTS))

# Pictures are looked at in a browser. Where there is none the package is left out, unless BROWSER_TESTS=required, as in .ci/run: then it fails.
BROWSER = $(firstword $(foreach name,chromium chromium-browser google-chrome,$(shell command -v $(name))))
# test/dockerfile needs buildah; make stress runs it.
E2E_PACKAGES = $(filter-out $(MODULE)/test/dockerfile $(if $(BROWSER)$(BROWSER_TESTS),,$(MODULE)/test/browser),$(shell go list ./test/...))

# Where the end-to-end tests note which of its rights meshfence has used. With ARGS some tests may not have run, and nothing
# is concluded from it.
USED_RIGHTS := bin/used-rights
e2e: export MESHFENCE_RIGHTS_DIR = $(CURDIR)/$(USED_RIGHTS)

.PHONY: cases
cases: build controlplane ## run the cases of a folder (DIR=test/cases, CRDS=slim|real|both)
	@go build -o bin/cases ./test/harness/cmd/cases
	@bin/cases '$(DIR)'

.PHONY: bench
bench: build controlplane ## measure what meshfence costs, beside webhooks that say yes and none (ARGS='-rounds 4')
	@go build -o bin/bench ./test/bench
	@bin/bench $(ARGS)

.PHONY: microbench
microbench: ## run the Go benchmarks, ten times each for benchstat (ARGS='-benchtime 100x')
	go test -run '^$$' -bench . -count 10 $(ARGS) ./webhook/...

.PHONY: measure-pods
measure-pods: build controlplane ## measure what a look at the pods of a namespace with 5,000 costs (MF207; PODS=5000)
	PODS=$(PODS) go test -count=1 -timeout 10m -v -run 'TestAnswers/.*many_pods' ./test/answers

.PHONY: fuzz
fuzz: ## run every fuzz target for a short time (FUZZTIME=30s)
	@set -e; for package in $(UNIT_PACKAGES); do \
		targets=$$(go test -list '^Fuzz' $$package); \
		for target in $$targets; do \
			case $$target in Fuzz*) \
				echo "$$package $$target"; \
				go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package;; \
			esac; \
		done; \
	done

# Four fuzz targets at a time, each with one worker, for STRESSFUZZ; then the stress tests' long forms. A fuzz target that is
# busy making an input smaller finds nothing new, so that has little time. It closes with what was counted: go test prints a
# package's own table only in the package's folder.
STRESSFUZZ ?= 5m
STRESSLOG := bin/stress
.PHONY: stress
stress: build controlplane $(KREW) $(KREW_VALIDATOR) ## run the long forms of the stress tests and of fuzzing, up to two hours (STRESSFUZZ=5m)
	@rm -rf $(STRESSLOG) && mkdir -p $(STRESSLOG)
	@for package in $(UNIT_PACKAGES); do \
		targets=$$(go test -list '^Fuzz' $$package) || { echo "$$targets" >&2; exit 1; }; \
		echo "$$targets" | sed -n "s|^\(Fuzz.*\)|$$package \1|p"; \
	done >$(STRESSLOG)/targets
	@xargs -P 4 -L 1 sh -c 'echo "$$2 for $(STRESSFUZZ)"; \
		go test -run "^$$" -fuzz "^$$2\$$" -fuzztime $(STRESSFUZZ) -fuzzminimizetime 2s -parallel 1 $$1 >$(STRESSLOG)/$$2 2>&1 || \
		{ cat $(STRESSLOG)/$$2; exit 1; }' sh <$(STRESSLOG)/targets
	cd test/stress && STRESS=long go test -count=1 -timeout 75m $(ARGS)
	STRESS=long go test -count=1 -timeout 60m ./test/plugin
	cd deploy/image && STRESS=long go test -count=1 -timeout 60m
	go test -count=1 -timeout 30m ./test/dockerfile
	@cd $(STRESSLOG) && for target in Fuzz*; do \
		sed -n "s/^fuzz: elapsed: \([^,]*\), execs: \([0-9]*\).*/$$target: \2 inputs in \1, none failed/p" $$target | tail -n 1; \
	done

.PHONY: verify
verify: fmt-check vet lint tidy-check generate-check workflow-check vuln-check ## run all checks: format, vet, lint, layering, tidy go.mod files, generated files, workflows, vulnerabilities

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## format the Go code and order its imports
	$(GOLANGCI_LINT) fmt

.PHONY: fmt-check
fmt-check:
	@unformatted=$$(gofmt -s -l .) && if [ -n "$$unformatted" ]; then \
		echo "Not formatted, run make fmt:"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet: ## run go vet
	go vet ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## run golangci-lint, which also checks layering and import order
	$(GOLANGCI_LINT) run --allow-parallel-runners

.PHONY: layering
layering: $(GOLANGCI_LINT) ## check only which package may import which
	$(GOLANGCI_LINT) run --allow-parallel-runners --enable-only depguard

.PHONY: tidy
tidy: ## tidy the go.mod file of every module
	@set -e; for module in $(MODULES); do echo "go mod tidy in $$module"; (cd $$module && go mod tidy); done

# go mod tidy -diff works on a copy in memory and changes nothing.
.PHONY: tidy-check
tidy-check:
	@set -e; for module in $(MODULES); do \
		(cd $$module && go mod tidy -diff) || { echo "$$module/go.mod is not tidy, run make tidy"; exit 1; }; \
	done

.PHONY: generate
generate: $(HELM) ## write generated files anew: conditions of the chart, deploy/*.yaml, deploy/olm, values in docs/install.md, index of docs/rules.md
	go test ./webhook/policy -run 'TestCatalogue/index' -update-index
	@go run ./deploy/render -helm $(HELM)

.PHONY: bundle
bundle: $(HELM) ## write the bundle for OLM with an image by its digest into bin/olm (IMAGE=registry.example.com/meshfence@sha256:...)
	@rm -rf bin/olm && go run ./deploy/render -helm $(HELM) -out bin/olm -image '$(or $(IMAGE),IMAGE)' -version '$(STAMP)'

# The files are made in a folder of their own and compared: the work tree stays as it is.
.PHONY: generate-check
generate-check: $(HELM)
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && go run ./deploy/render -helm $(HELM) -out "$$fresh" && \
	for file in $$(cd "$$fresh" && find . -type f); do \
		diff -u "$$file" "$$fresh/$$file" || { echo "$$file is not what deploy/chart and webhook/match give, run make generate"; exit 1; }; \
	done
	@$(HELM) lint --strict --quiet deploy/chart

.PHONY: workflow-check
workflow-check:
	@cd test/tools/actionlint && go tool actionlint -shellcheck= -pyflakes= ../../../.github/workflows/*.yaml

.PHONY: vuln-check
vuln-check: $(GOVULNCHECK) ## look known vulnerabilities of the program up, where Go's database of them answers (VULNDB=url)
	@go run ./test/tools/vulncheck -govulncheck $(GOVULNCHECK) -db '$(VULNDB)' ./cmd/...

.PHONY: controlplane
controlplane: $(ASSETS_NEEDED) ## download or build kube-apiserver, etcd and kubectl (K8S=1.37); KUBEBUILDER_ASSETS=dir uses others
	@echo "Control plane: $(KUBEBUILDER_ASSETS)"

.PHONY: clean
clean: ## remove everything that was built; Go's own caches stay
	rm -rf bin .sandbox coverage.out

$(GOLANGCI_LINT): $(GOLANGCI_LINT_MODULE)/go.mod $(GOLANGCI_LINT_MODULE)/go.sum
	@echo "Building golangci-lint $(GOLANGCI_LINT_VERSION) from its Go module into bin/tools."
	@echo "The first time takes three to five minutes on two cores; later, with Go's build cache, seconds."
	@mkdir -p $(@D)
	@cd $(GOLANGCI_LINT_MODULE) && CGO_ENABLED=0 go build -p 2 -trimpath \
		-ldflags '-s -w -X main.version=$(GOLANGCI_LINT_VERSION)' \
		-o '$(abspath $@)' github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

$(HELM): $(HELM_MODULE)/go.mod $(HELM_MODULE)/go.sum
	@echo "Building Helm $(HELM_VERSION) from its Go module into bin/tools, which takes one to five minutes the first time."
	@mkdir -p $(@D)
	@cd $(HELM_MODULE) && CGO_ENABLED=0 go build -p 2 -trimpath \
		-ldflags '-s -w -X helm.sh/helm/v4/internal/version.version=$(HELM_VERSION)' \
		-o '$(abspath $@)' helm.sh/helm/v4/cmd/helm
	@touch $@

$(KREW) $(KREW_VALIDATOR): $(KREW_MODULE)/go.mod $(KREW_MODULE)/go.sum
	@mkdir -p $(@D)
	@cd $(KREW_MODULE) && CGO_ENABLED=0 go build -p 2 -trimpath -ldflags '-s -w' -o '$(abspath $@)' sigs.k8s.io/krew/cmd/$(@F)
	@touch $@

$(GOVULNCHECK): $(GOVULNCHECK_MODULE)/go.mod $(GOVULNCHECK_MODULE)/go.sum
	@mkdir -p $(@D)
	@cd $(GOVULNCHECK_MODULE) && CGO_ENABLED=0 go build -p 2 -trimpath -ldflags '-s -w' -o '$(abspath $@)' golang.org/x/vuln/cmd/govulncheck
	@touch $@
