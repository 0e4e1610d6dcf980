# `make help` lists what there is. Everything runs from .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
KAFKA := $(VENV)/.kafka
SHARED := chassis langid policy inference encoder privacy training operations cli local testing
SERVICES := $(patsubst services/%/pyproject.toml,%,$(wildcard services/*/pyproject.toml))
MEMBERS := contracts $(SHARED:%=shared/%) $(SERVICES:%=services/%)

# Where it is set, each of the hundreds of programs that tests start compiles all of Sprat, and pytest all tests, anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup check types test test-long test-attacks test-observability test-containers test-kubernetes test-deploy test-clients test-page test-models test-llm mutants wheels lock sbom audit images docs pictures demo compose-demo up bench bench-models bench-languages bench-sizing bench-scaling bench-train bench-guarantee bench-guard bench-latency bench-floor bench-door bench-check bench-peers bench-runtimes soak train-intent train-ner train-translation generate clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

setup: $(STAMP) $(KAFKA) ## make .venv, install everything into it at the pinned versions, and fetch Apache Kafka

# Third parties, each file by its hash; what has no wheel is built by the setuptools that build.lock names.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCKED := $(PIP) --require-hashes --no-build-isolation --requirement
SHOWN := $(BIN)/python requirements/install.py

$(STAMP): requirements/build.lock requirements/dev.lock pyproject.toml $(MEMBERS:=/pyproject.toml)
	@echo "1 of 5: creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "2 of 5: installing what builds packages"
	@$(SHOWN) --require-hashes --no-build-isolation --requirement requirements/build.lock
	@echo "3 of 5: installing the dependencies into $(VENV), at the versions of constraints.txt (1.2 GB; a minute or two)"
	@$(SHOWN) --require-hashes --no-build-isolation --requirement requirements/dev.lock
	@echo "4 of 5: installing Sprat's own packages"
	@$(SHOWN) --no-deps --no-build-isolation $(MEMBERS:%=-e %)
	@touch $@

# A step of its own: after a failed download, only the download is repeated.
$(KAFKA): $(STAMP)
	@echo "5 of 5: preparing Apache Kafka in the user's cache (about 100 MB, once)"
	@$(BIN)/python -m sprat_local
	@touch $@

check: $(STAMP) ## format, lint, spelling, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(MAKE) --no-print-directory types
	$(BIN)/lint-imports

types: $(STAMP) ## mypy alone
	$(BIN)/mypy $(MEMBERS:=/src) contracts/generators compose/generate.py docs observability

# Three at a time, on two cores too: many of them wait, for brokers and processes. A file's tests share what they have started.
test: $(STAMP) $(KAFKA) ## tests of code, contracts and documents, on a real Kafka and a real Redis; the test-… below take longer or need more
	$(BIN)/python -m pytest -n 3 --dist loadfile -m "not long" tests/unit tests/contract tests/integration tests/security tests/e2e

test-long: $(STAMP) $(KAFKA) ## faults under traffic, sprat up and the demo, the chapters of the docs, a model from its training to its next version, the wheels in an environment of their own
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "long or training" tests/long tests/training tests/integration tests/security tests/e2e
	LEAK_TEXTS=2000 $(BIN)/python -m pytest tests/integration/test_leaks.py

test-attacks: $(STAMP) $(KAFKA) ## attacks on a whole installation that take longer than tests/security
	$(BIN)/python -m pytest tests/attacks

# One observed installation for all of them, so one after the other.
test-observability: $(STAMP) $(KAFKA) ## one observed installation with traffic and faults: its signals, alerts and dashboards; needs Prometheus and others
	$(BIN)/python -m pytest tests/observability/test_collector.py tests/observability/test_up.py \
		tests/observability/test_steady_run.py tests/observability/test_alerts.py tests/observability/test_dashboards.py

test-containers: $(STAMP) ## the promise on containers, with kills and upgrades; skipped where there is no engine or image
	DOCKER=$(DOCKER) $(BIN)/python -m pytest tests/containers
	DOCKER=$(DOCKER) $(BIN)/python -m pytest tests/e2e/test_promises.py --sprat-backend containers

# The programs are built once, into the user's cache.
test-kubernetes: $(STAMP) $(KAFKA) ## the Helm chart on a real API server, and KEDA on a real Kafka; needs Go, etcd, kubectl and Prometheus
	tests/kubernetes/build.sh
	$(LOCKED) requirements/kubernetes.lock
	$(BIN)/python -m pytest tests/unit/test_chart.py tests/kubernetes

test-deploy: $(STAMP) $(KAFKA) ## docs/deploy: two versions side by side, backup and restore, without a network; SPRAT_UPGRADE_FROM names the first version
	$(BIN)/python -m pytest tests/deploy

# Skipped with a sentence where there is no Chromium; CHROMIUM names another one.
test-page: $(STAMP) $(KAFKA) ## the page in a real browser, each screen, with and without script; needs Chromium
	$(LOCKED) requirements/page.lock
	$(BIN)/python -m pytest tests/page

pictures: $(STAMP) $(KAFKA) ## pictures of all screens of the page into .cache/pictures, three into docs/images; needs Chromium
	$(LOCKED) requirements/page.lock
	PYTHONPATH=tests $(BIN)/python -m tests.page.pictures

# The libraries come from their registries, at the versions of the lock files, into the user's caches.
test-clients: $(STAMP) $(KAFKA) ## clients of Kafka in other languages, generated classes, and HTTP clients of others; needs Node, Go and a JDK
	$(BIN)/python -m pytest tests/clients

test-models: $(STAMP) ## models as transformers computes them, beside the converted ones; installs torch and transformers
	$(BIN)/python -m pip install --quiet --constraint constraints.txt -e 'shared/inference[hub]'
	$(BIN)/python -m pytest $(wildcard tests/integration/test_models_add*.py)

# The server is built from its source package, once, into the user's cache.
test-llm: $(STAMP) $(KAFKA) ## a local server of llama.cpp as a tier, on a tiny model; needs a C++ compiler the first time
	PYTHON=$(PYTHON) tests/llm/build.sh
	$(BIN)/python -m pytest tests/llm

mutants: $(STAMP) ## break one promise at a time and check that a unit test fails; TENTH=COMMIT takes a tenth of them, chosen by that hash
	$(BIN)/python -m tests.mutants $(if $(TENTH),--tenth $(TENTH))

docs: $(STAMP) ## the documentation site, into site/; fails on a broken link
	$(LOCKED) requirements/docs.lock
	$(BIN)/python docs/build_site.py

# Built from a copy without the files of earlier builds; tar -h follows symbolic links.
DIST := dist
MAX_WHEEL_MB := 80
WHEEL_PARTS := pyproject.toml LICENSE NOTICE src

wheels: $(STAMP) ## a wheel of each member in dist/, for pip install --find-links dist 'sprat[all]'
	rm -rf $(DIST)
	mkdir -p $(DIST)/.source
	@tar -ch --exclude=__pycache__ --exclude='*.egg-info' $(foreach part,$(WHEEL_PARTS),$(MEMBERS:=/$(part))) \
		| tar -x -C $(DIST)/.source
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} $(BIN)/python requirements/wheels.py $(DIST) \
		$(MEMBERS:%=$(DIST)/.source/%)
	rm -rf $(DIST)/.source
	@large=$$(find $(DIST) -name '*.whl' -size +$(MAX_WHEEL_MB)000k); test -z "$$large" \
		|| { echo "larger than $(MAX_WHEEL_MB) MB: $$large; move weights to a member of their own" >&2; exit 1; }

lock: ## requirements/*.lock from the dependencies and constraints.txt; needs uv and an index
	$(BIN)/python requirements/lock.py

sbom: $(STAMP) ## what Sprat consists of, weights included, as CycloneDX JSON in dist/sprat.cdx.json
	mkdir -p $(DIST)
	$(BIN)/python requirements/sbom.py $(DIST)/sprat.cdx.json

# The service knows what was found in a version until now. One that it does not know is an error, too.
audit: $(STAMP) ## known vulnerabilities of the locked third parties; needs a network
	$(BIN)/python -m pip_audit --strict --disable-pip --require-hashes --requirement requirements/dev.lock

demo: $(STAMP) $(KAFKA) ## the whole path on this machine: 364 texts, a summary, nothing left running
	$(BIN)/sprat demo

# CA names certificates to trust while building, for a network that inspects TLS.
DOCKER ?= docker
BASE_IMAGE ?= debian:trixie-slim
TAG ?= 0.1.0
CA_SECRET := id=ca,src=
BUILD_IMAGE = DOCKER_BUILDKIT=1 $(DOCKER) build --quiet --file compose/Dockerfile --build-arg BASE=$(BASE_IMAGE) \
	$(if $(CA),--secret "$(CA_SECRET)$(CA)") --label org.opencontainers.image.version=$(TAG) \
	--label org.opencontainers.image.revision=$$(git rev-parse HEAD)

images: ## container images of all services and of the command line; reads DOCKER, BASE_IMAGE, TAG and CA
	@for image in $(SERVICES) cli; do \
		echo "building sprat/$$image:$(TAG)"; \
		$(BUILD_IMAGE) --target $$image --tag sprat/$$image:$(TAG) . >/dev/null || exit 1; \
	done

compose-demo: ## make demo on containers, from what make images made: an installation of its own, removed afterwards
	DOCKER=$(DOCKER) SPRAT_TAG=$(TAG) compose/demo.sh

up: $(STAMP) $(KAFKA) ## Kafka, Redis and every service on this machine, until Ctrl-C
	$(BIN)/sprat up

bench: $(STAMP) $(KAFKA) ## measure and fill docs/benchmarks; SPRAT_DATA names the folder of evaluation data, PRESIDIO a Python that has it
	$(BIN)/python -m tests.bench $(if $(PRESIDIO),--presidio $(PRESIDIO))

bench-models: $(STAMP) ## measure the shipped models and fill docs/benchmarks; SPRAT_DATA as above, SPACY a Python that has spaCy
	$(BIN)/python -m tests.bench.models $(if $(SPACY),--spacy $(SPACY))

bench-languages: $(STAMP) ## measure the detector of languages; SPRAT_DATA as above, DETECTORS a Python with others, FASTTEXT its lid.176.ftz
	$(BIN)/python -m tests.bench.language_quality --save $(if $(DETECTORS),--detectors $(DETECTORS) --fasttext $(FASTTEXT))

bench-sizing: $(STAMP) $(KAFKA) ## measure CPU, memory and bytes per text and fill docs/deploy/sizing.md; two minutes on an idle machine
	$(BIN)/python -m tests.bench.sizing

bench-scaling: $(STAMP) $(KAFKA) ## measure instances, a rolling restart, and texts by backlog, models and tenants for docs/deploy/sizing.md; ONLY=restart,models; 25 minutes
	$(BIN)/python -m tests.bench.scaling $(if $(ONLY),--only $(ONLY))

bench-train: $(STAMP) ## measure training on open labels and fill docs/benchmarks; SPRAT_DATA as above
	$(BIN)/python -m tests.bench.train_quality --save
	$(BIN)/python -m tests.bench.encoders --save

bench-guarantee: $(STAMP) ## draw rows again and again: does what is certified hold? fills docs/benchmarks; SPRAT_DATA as above; five minutes
	$(BIN)/python -m tests.bench.guarantee --save

bench-guard: $(STAMP) $(KAFKA) ## how rare are false alarms of reviews, and how soon do real ones come? fills docs/benchmarks; SPRAT_DATA as above
	$(BIN)/python -m tests.bench.guard --save

bench-latency: $(STAMP) $(KAFKA) ## where one text's time goes, at three loads: docs/figures/latency.json and docs/images/latency.png; SPRAT_DATA as above; three minutes
	$(BIN)/python -m tests.bench.latency

bench-floor: $(STAMP) $(KAFKA) ## what two hops over Kafka cost at least, and what Sprat adds, in turns: docs/figures/floor.json; SPRAT_DATA as above; six minutes
	$(BIN)/python -m tests.bench.floor

bench-door: $(STAMP) $(KAFKA) ## the HTTP door beside a Kafka client at two loads, ten open pages, 2,000 open waits, kills under load; seven minutes
	$(BIN)/python -m tests.bench.door $(if $(JSON),--json $(JSON))

bench-check: $(STAMP) $(KAFKA) ## has a change cost speed? ratios against the committed ones; four minutes; CHECK=--update commits to the new ones
	$(BIN)/python -m tests.bench.check $(CHECK)

# Each peer has an environment of its own in the user's cache, eight gigabytes together.
bench-peers: $(STAMP) $(KAFKA) ## Sprat beside transformers, ONNX Runtime, MLServer, Presidio and spaCy; fills docs/benchmarks; SPRAT_DATA as above
	$(BIN)/python -m tests.bench.peers

bench-runtimes: $(STAMP) ## CTranslate2 beside ONNX Runtime, int8 and float32, on one encoder; fills docs/benchmarks; SPRAT_DATA as above
	$(BIN)/python -m tests.bench.runtimes

soak: $(STAMP) $(KAFKA) ## SEED=1 TEXTS=3000 MINUTES=2: texts through three brokers, a fault every 15 to 30 s, then: has each text its Result, and what leaked?
	$(BIN)/python -m tests.soak --seed $(or $(SEED),1) --texts $(or $(TEXTS),3000) --minutes $(or $(MINUTES),2) $(SOAK)

# The recipes make the committed weights anew. They need torch, which no service installs, and go on where they were stopped.
WORK ?= .training
RECIPES = $(BIN)/python -m pip install --quiet --constraint constraints.txt --requirement recipes/requirements.txt

train-intent: $(STAMP) ## both intent models from the encoder and CLINC150, three minutes; SPRAT_DATA as above
	CT2_FORCE_CPU_ISA=AVX2 $(BIN)/python -m recipes.intent.build default
	CT2_FORCE_CPU_ISA=AVX2 $(BIN)/python -m recipes.intent.build en-fast

train-ner: $(STAMP) ## the model of names, one and a half hours on one core; WORK is the folder of checkpoints
	$(RECIPES)
	mkdir -p $(WORK)
	test -f $(WORK)/encoder/tokenizer.json || $(BIN)/python -m recipes.encoder.build \
		--output $(WORK)/encoder --float32 $(WORK)/e5.safetensors
	$(BIN)/python -m recipes.ner.make --weights $(WORK)/e5.safetensors --work $(WORK)/ner \
		--tokenizer $(WORK)/encoder/tokenizer.json

train-translation: $(STAMP) ## the translation model, MINUTES (200) on one core, then its estimate and its card
	$(RECIPES)
	$(BIN)/python -m recipes.translation.train --work $(WORK)/translation --minutes $(or $(MINUTES),200)
	$(BIN)/python -m recipes.translation.build --network $(WORK)/translation/ct2

generate: $(STAMP) ## JSON Schemas and AsyncAPI from the models; what follows from the list of services; signals' page and registry, and dashboards, from their declarations
	$(BIN)/python -m contracts.generators.generate
	$(BIN)/python -m compose.generate
	$(BIN)/python -m observability.registry.generate
	$(BIN)/python -m observability.dashboards.generate

clean: ## remove .venv, wheels and caches
	rm -rf $(VENV) $(DIST) site .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
