# The developer's commands. `make` alone lists them; `make demo` and `make test` set up everything they need.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# sam looks for pip, and the layer's build for uv, on the PATH.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
# With it, each of the many processes would compile all its imports again.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
HOST := $(subst aarch64,arm64,$(shell uname -m))

# --- Environments: .venv to work in, .venv-cloud for the emulator, .venv-runtime for its functions (boto3 alone) ------

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
UV_VERSION := $(shell sed -n 's/^ *"uv==\(.*\)",/\1/p' pyproject.toml)
UV := .venv-uv/bin/uv

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.made .venv-cloud/.made .venv-runtime/.made ## Create the environments and install the command as .venv/bin/email-handler
	@:

PYTHONS := $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.12.*/bin/python)

# Any Python can install uv, and uv finds or downloads 3.12. This file stores the path of that Python.
.venv-uv/.$(UV_VERSION):
	@python=; for each in python3.12 python3 python $(PYTHONS); do \
		"$$each" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && { python=$$each; break; }; \
	done; \
	[ -n "$$python" ] || { echo "No Python with venv found: install Python 3.12 (on Debian, python3-venv too) and run make setup again." >&2; exit 1; }; \
	echo "uv $(UV_VERSION): .venv-uv" >&2; \
	rm -rf .venv-uv && "$$python" -m venv .venv-uv && \
	.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@for each in 3.12 $(PYTHONS); do found=$$($(UV) python find --system $$each 2>/dev/null) && break; done; \
	[ -n "$$found" ] || { $(UV) python install --quiet 3.12 2>/dev/null && found=$$($(UV) python find --system 3.12); }; \
	[ -n "$$found" ] || { echo "Python 3.12 is missing and could not be downloaded: install it (for example, pyenv install 3.12) and run make setup again." >&2; exit 1; }; \
	echo "$$found" > $@

SYNC = $(UV) sync --quiet --locked --python "$$(cat .venv-uv/.$(UV_VERSION))"

.venv/.made: pyproject.toml uv.lock .venv-uv/.$(UV_VERSION)
	@echo "Python for development: .venv" >&2
	@UV_PROJECT_ENVIRONMENT=.venv $(SYNC) --extra console && touch $@

.venv-cloud/.made: pyproject.toml uv.lock .venv-uv/.$(UV_VERSION)
	@echo "Python for the local cloud: .venv-cloud" >&2
	@UV_PROJECT_ENVIRONMENT=.venv-cloud $(SYNC) --only-group cloud && touch $@

.venv-runtime/.made: pyproject.toml uv.lock .venv-uv/.$(UV_VERSION)
	@echo "Python for its functions: .venv-runtime" >&2
	@UV_PROJECT_ENVIRONMENT=.venv-runtime $(SYNC) --only-group runtime && touch $@

.venv-moto/.made: pyproject.toml uv.lock .venv-uv/.$(UV_VERSION)
	@echo "Python for moto: .venv-moto" >&2
	@UV_PROJECT_ENVIRONMENT=.venv-moto $(SYNC) --only-group moto && touch $@

# --- Code -------------------------------------------------------------------------------------------------------------

.PHONY: format
format: setup ## Format the code and fix what can be fixed automatically
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: check
check: setup ## Format, lint, types, import rules, template
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cfn-lint --include-checks I --template template.yaml
	$(BIN)/cfn-lint --include-checks I --template docs/import.yaml
	$(BIN)/cfn-lint --template docs/events/lead-scoring.yaml docs/events/chat.yaml
	$(BIN)/sam validate --lint

.PHONY: lock
lock: .venv-uv/.$(UV_VERSION) ## Resolve the dependencies again and write the layer's requirements.txt
	$(UV) lock
	$(MAKE) $(REQUIREMENTS)

# The project's dependencies without those of the operator's command; boto3 is part of Lambda's runtime.
REQUIREMENTS := layers/email_handler/requirements.txt
$(REQUIREMENTS): pyproject.toml uv.lock | .venv-uv/.$(UV_VERSION)
	$(UV) export --quiet --locked --no-default-groups --no-emit-project --no-header --no-annotate \
		--prune boto3 --prune typer --prune rich --prune dnspython --output-file $@

# --- Tests ------------------------------------------------------------------------------------------------------------

CHROMIUMS := chromium chromium-browser google-chrome google-chrome-stable

.PHONY: browser
browser: ## Install Debian's Chromium, which the browser tests need, if there is none (CHROMIUM=path names another)
	@[ -x "$$CHROMIUM" ] || command -v $(CHROMIUMS) >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Chromium: apt-get install chromium" >&2 && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium >/dev/null; \
	} || { echo "The browser tests need Chromium: install it (on Debian, sudo apt-get install chromium) or set CHROMIUM to its path." >&2; exit 1; }

.PHONY: pictures
pictures: setup browser ## Draw what owner and contact see, and the console, into docs/pictures/ (better with Arial's sizes: fonts-liberation2)
	$(BIN)/python -m tests.browser.pictures
	$(BIN)/python -m tests.console.pictures

# Tests write down the AWS calls of functions and commands here, and the proof of their permissions reads them. Functions
# of another endpoint run elsewhere and record nothing.
CALLS := .permissions
RECORDED = rm -rf $(CALLS) && mkdir $(CALLS) && RECORDED_CALLS=$(CURDIR)/$(CALLS)
PROVE = $(BIN)/python -m tests.permissions $(CALLS) $(if $(JSON),--json)

.PHONY: test
test: setup browser ## All tests: units, template, contracts, and the deployed stack from SMTP to sent email; proves the permissions
	$(RECORDED) $(BIN)/pytest -n auto
	@$(if $(EMAIL_HANDLER_ENDPOINT),,$(PROVE))

.PHONY: test-unit
test-unit: setup browser ## Only the tests that need no local cloud: a minute or two
	$(BIN)/pytest -n auto -m 'not cloud'

.PHONY: test-moto
test-moto: setup .venv-moto/.made ## The contract tests on moto's server, an implementation of AWS that is not MiniStack's
	@$(BIN)/python -m tests.support.moto -q -n 2

.PHONY: test-localstack
test-localstack: setup ## The tests of the deployed stack on LocalStack: needs Docker and its image (make test does not)
	@$(BIN)/python -m tests.support.localstack

.PHONY: golden
golden: setup ## Accept the *.actual.eml that failed golden tests wrote, after you have read them
	@find tests -name '*.actual.eml' | while read -r actual; do mv -v "$$actual" "$${actual%.actual.eml}.eml"; done

.PHONY: released
released: setup ## Record what template.yaml deploys as the last release, which later updates are compared with
	$(BIN)/python -m tests.support.releases

# --- Build and run ----------------------------------------------------------------------------------------------------

# Two separate builds: for AWS (the template's arm64) and for this machine. SAM does not pass the architecture to the
# layer's make, and its cache ignores it; so ARCH is set here, and each build has its own cache.
BUILD = ARCH=$(1) $(BIN)/sam build --parallel --cached --build-dir .aws-sam/$(2) --cache-dir .aws-sam/cache-$(2) \
	--parameter-overrides Architecture=$(1)
ARCH ?= arm64

# ENV=local never reaches AWS: its endpoint is on this machine, and its credentials are valid nowhere else, whatever the
# shell or an AWS profile says about either.
LOOPBACK := ^https?://(127(\.[0-9]{1,3}){3}|localhost|\[::1\])(:[0-9]+)?/?$$
LOCAL_ONLY := env -u AWS_PROFILE -u AWS_DEFAULT_PROFILE -u AWS_SESSION_TOKEN -u AWS_ENDPOINT_URL_CLOUDFORMATION -u AWS_ENDPOINT_URL_S3 \
	AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1

.PHONY: build
build: setup ## Build for AWS (ARCH=x86_64 for the other processor)
	$(call BUILD,$(ARCH),build)

.PHONY: build-local
build-local: setup ## Build for this machine, as the local cloud and sam local invoke use it
	$(call BUILD,$(HOST),local)

.PHONY: demo
demo: setup ## Send email in over SMTP and see what comes out (JSON=1 for JSON lines)
	@$(BIN)/python -m cli.demo $(if $(JSON),--json)

.PHONY: package
package: ## Build, upload to BUCKET, and write .aws-sam/packaged.yaml, which sam publish and CloudFormation take
	@[ -n "$(BUCKET)" ] || { echo "Name a bucket for the code: make package BUCKET=…" >&2; exit 2; }
	@[ "$(ENV)" != local ] || [[ "$$AWS_ENDPOINT_URL" =~ $(LOOPBACK) ]] || { echo "ENV=local needs AWS_ENDPOINT_URL to name" \
		"the local cloud." >&2; exit 2; }
	@$(MAKE) $(if $(filter local,$(ENV)),build-local,build)
	@$(if $(filter local,$(ENV)),$(LOCAL_ONLY)) $(BIN)/sam package --template-file .aws-sam/$(or $(filter local,$(ENV)),build)/template.yaml \
		--s3-bucket $(BUCKET) --output-template-file .aws-sam/packaged.yaml >/dev/null

SHIPPED := .aws-sam/shipped
.PHONY: sbom
sbom: setup ## List the libraries that the layer ships, with versions and licences: .aws-sam/sbom.json (CycloneDX)
	@mkdir -p .aws-sam && $(UV) venv --quiet --clear --python .venv/bin/python $(SHIPPED)
	@$(UV) pip sync --quiet --require-hashes --python $(SHIPPED)/bin/python $(REQUIREMENTS)
	@$(BIN)/cyclonedx-py environment $(SHIPPED) --output-reproducible --output-format JSON --output-file .aws-sam/sbom.json

.PHONY: release
release: ## What a release consists of, after all checks: the build for AWS and its bill of materials
	@[ -z "$(TAG)" ] || [ "$(TAG)" = "v$(VERSION)" ] || { echo "The tag is $(TAG), the version $(VERSION)" >&2; exit 2; }
	@grep -q '^## \[$(VERSION)\]' CHANGELOG.md || { echo "CHANGELOG.md has no section [$(VERSION)]" >&2; exit 2; }
	@$(MAKE) check test build sbom

.PHONY: invoke
invoke: setup ## Run one function on one sample: make invoke F=inbound E=first_contact
	@[ -n "$(F)" ] && [ -n "$(E)" ] || { echo "Name a function and an event: make invoke F=inbound E=first_contact" >&2; exit 2; }
	@$(BIN)/python -m cloud.invoke $(F) $(E)

.PHONY: invoke-container
invoke-container: setup ## The same in AWS's runtime image: needs Docker and email-handler local up --for-sam
	@[ -n "$(F)" ] && [ -n "$(E)" ] || { echo "Name a function and an event: make invoke-container F=inbound E=first_contact" >&2; exit 2; }
	@$(BIN)/python -m cloud.invoke --container $(F) $(E)

.PHONY: local-up
local-up: setup ## Start the local cloud and its SMTP port; Ctrl-C stops it
	@$(BIN)/email-handler local up

.PHONY: local-down
local-down: setup ## Stop a local cloud that runs in another terminal
	@$(BIN)/email-handler local down

.PHONY: local-outbox
local-outbox: setup ## List what the local cloud has sent
	@$(BIN)/email-handler local outbox

.PHONY: bench
bench: setup ## Measure: make bench B=parse ARGS="FOLDER…" runs bench/parse.py on folders of messages (B=cold JSON=1)
	@[ -f "bench/$(B).py" ] || { echo "Name what to measure, B=" $(basename $(notdir $(wildcard bench/*.py))) >&2; exit 2; }
	@$(if $(filter cold latency warm,$(B)),$(MAKE) build-local >/dev/null)
	@$(BIN)/python -m bench.$(B) $(if $(JSON),--json) $(ARGS)

.PHONY: faults
faults: setup ## Break every AWS call of every function in every way, and judge the result (PAIRS=100 or all, SEED=1, JOBS=2, JSON=1)
	@$(BIN)/python -m tests.faults.matrix $(if $(PAIRS),--pairs $(PAIRS)) $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(if $(JSON),--json)

.PHONY: soak
soak: setup ## Send many messages while AWS fails and functions die, then audit (MAILS=1000 SEED=1 FAULTS=0.05 SES_DOWN=1 JSON=1)
	@$(BIN)/python -m bench.soak --mails $(or $(MAILS),1000) --seed $(or $(SEED),1) --faults $(or $(FAULTS),0.05) \
		$(if $(SES_DOWN),--ses-down-first-half) $(if $(JSON),--json)

.PHONY: permissions
permissions: setup ## Prove that the policies allow every AWS call of functions and commands, and nothing else (JSON=1)
	@$(RECORDED) $(BIN)/pytest -q -n auto -m cloud tests/cli tests/e2e tests/faults tests/integration >&2
	@$(PROVE)

.PHONY: mutants
mutants: setup ## Change the core in small ways and list the changes that no test notices (F=sending LIMIT=50 SEED=1)
	@$(BIN)/python -m tests.mutants $(if $(F),--file $(F)) $(if $(LIMIT),--limit $(LIMIT)) $(if $(SEED),--seed $(SEED))

.PHONY: fuzz
fuzz: setup ## Mutate messages and take them all the way: nothing may raise (SECONDS=60 SEED=1 CASES=100000 JOBS=2 ARGS="FOLDER…")
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(if $(CASES),--cases $(CASES)) \
		$(if $(JOBS),--jobs $(JOBS)) $(ARGS)

.PHONY: configure
configure: setup ## Ask for what a deployment to AWS needs, check it, and deploy (ENV=prod, docs/deploy.md)
	@$(BIN)/email-handler configure $(if $(ENV),--env $(ENV)) $(ARGS)

.PHONY: deploy
deploy: ## Deploy again, with what configure was told: make deploy ENV=dev|prod|local (ARCH=x86_64, ARGS=sam deploy's)
	@grep -vxF '[default.deploy.parameters]' samconfig.toml | grep -qxF '[$(or $(ENV),none).deploy.parameters]' || \
		{ echo "ENV=$(ENV) is not in samconfig.toml; there are:" \
		$$(sed -n '/^\[default/d; s/^\[\(.*\)\.deploy\.parameters\]/\1/p' samconfig.toml) >&2; exit 2; }
	@[ "$(ENV)" != local ] || [[ "$$AWS_ENDPOINT_URL" =~ $(LOOPBACK) ]] || { echo "ENV=local needs AWS_ENDPOINT_URL to name" \
		"an endpoint on this machine, such as http://127.0.0.1:4566; it is '$$AWS_ENDPOINT_URL'" >&2; exit 2; }
	@$(if $(filter --guided -g,$(ARGS)),echo "--guided can't explain its questions or check the answers: make configure does" >&2; exit 2)
	@$(MAKE) setup
	@$(if $(filter local,$(ENV)),$(LOCAL_ONLY)) $(BIN)/email-handler deploy $(ENV) \
		$(if $(filter file,$(origin ARCH)),,--architecture $(ARCH)) -- $(ARGS)

.PHONY: clean
clean: ## Remove what was built and the local cloud's data; the environments stay
	rm -rf .aws-sam .local $(CALLS) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
