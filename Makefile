# Everything a fresh machine needs is Python 3.11 or newer, and make.
PYTHON ?= python3
HOST ?=
PORT ?=
VENV := .venv
BIN := $(VENV)/bin
# How many tests run at once; those of a file one after the other, since they share services and browsers
JOBS ?= 4
EXTENSION_FILES = $(filter-out README.md,$(notdir $(wildcard extension/*)))
# How often `prove-resume` disturbs each kind of download in each way; the seed that it printed repeats it
POINTS ?= 50
SEED ?=
# What `bench` measures (nothing: every case), how often, and where the results go
BENCHMARKS ?=
ROUNDS ?= 5
BENCH_RESULTS := data/benchmarks.json
# A finished run to record or compare; without it a new one is made
RUN ?=
SERVE_OPTIONS := $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT))

.DEFAULT_GOAL := help
.PHONY: help install run test test-all prove-resume prove-lives chaos soak bench bench-record bench-compare bench-growth check format contract lock messages screenshots extension clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.installed ## Make the virtual environment and install what the service needs

$(VENV)/.installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Downie Enhanced needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

run: $(VENV)/.installed ## Start the service (PORT=9000 and HOST=... if you like)
	@exec $(BIN)/python manage.py serve $(SERVE_OPTIONS)

test: $(VENV)/.installed-dev ## Run the whole test suite
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-all: test ## Run it once more with PostgreSQL and Redis in the place of SQLite
	$(BIN)/python -m tests.on_postgres_and_redis -n $(JOBS) --dist loadfile --no-loadscope-reorder

prove-resume: $(VENV)/.installed-dev ## Kill and cut downloads at many random points (POINTS=50 takes half an hour)
	$(BIN)/python -m tests.resume_proof --points $(POINTS) $(if $(SEED),--seed $(SEED))

prove-lives: $(VENV)/.installed-dev ## Let thousands of tasks live through what users, workers, crashes and recovery may do
	LIVES=3000 $(BIN)/python -m pytest tests/test_life_of_a_task.py

chaos: $(VENV)/.installed-dev ## Kill, cut, freeze and fill everything at random for minutes while downloads run (SEED=1 the same again)
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.chaos --scaled $(if $(SEED),--seed $(SEED))

soak: $(VENV)/.installed-dev ## Put 2,000 downloads through one service, and see that it holds no more at the end
	$(BIN)/python -m tests.soak

bench: $(VENV)/.installed-dev ## How fast downloads are, beside yt-dlp and curl (ROUNDS=5, takes minutes; quiet machine)
	$(BIN)/python -m benchmarks $(BENCHMARKS) --rounds $(ROUNDS) --json $(BENCH_RESULTS)

bench-record: $(VENV)/.installed-dev $(if $(RUN),,bench) ## Measure, and write docs/performance.md with its chart (RUN=data/benchmarks.json what was measured)
	$(BIN)/python -m benchmarks.record $(or $(RUN),$(BENCH_RESULTS))

bench-compare: $(VENV)/.installed-dev $(if $(RUN),,bench) ## Measure, and fail if a ratio fell by more than the noise (RUN=... as above)
	$(BIN)/python -m benchmarks.compare $(or $(RUN),$(BENCH_RESULTS))

bench-growth: $(VENV)/.installed-dev ## What a library of 1,000,000 tasks costs, beside one of 1,000 (takes minutes; quiet machine)
	$(BIN)/python -m benchmarks.growth

check: $(VENV)/.installed-dev ## Format, lint, types, import layers, migrations, Django's own checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; export DOWNIE_DATA_DIR="$$folder"; \
	  $(BIN)/python manage.py makemigrations --check --dry-run; \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING; \
	  $(BIN)/python manage.py export_openapi_schema --api downloads.api.api --sorted --indent 1 --output "$$folder/openapi.json"; \
	  diff -u docs/openapi.json "$$folder/openapi.json" || { echo "The API's document has changed: see the difference, then 'make contract'." >&2; exit 1; }

format: $(VENV)/.installed-dev ## Format the code and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

contract: $(VENV)/.installed-dev ## Write the API's document to docs/openapi.json
	$(BIN)/python manage.py export_openapi_schema --api downloads.api.api --sorted --indent 1 --output docs/openapi.json

lock: ## Pin the dependencies anew, from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock
	uv pip compile pyproject.toml --group dev --constraints requirements.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements-dev.lock

messages: $(VENV)/.installed-dev ## Collect and compile the translations (needs gettext)
	$(BIN)/python manage.py makemessages --all --no-wrap --add-location file --ignore .venv --ignore data --ignore tests
	$(BIN)/python manage.py compilemessages --ignore .venv
	$(BIN)/python manage.py sentences

screenshots: $(VENV)/.installed-dev ## Take the pictures in docs/screenshots anew (needs Chromium)
	SCREENSHOTS=1 $(BIN)/python -m pytest -p no:xdist tests/test_screenshots.py

extension: ## Pack the browser extension into dist/downie-extension.zip
	@mkdir -p dist
	@rm -f dist/downie-extension.zip
	cd extension && $(PYTHON) -m zipfile -c ../dist/downie-extension.zip $(EXTENSION_FILES)

clean: ## Remove the virtual environment, the caches and what was packed; downloads stay
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
