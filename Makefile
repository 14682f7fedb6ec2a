# Each of `demo`, `test` and `check` does all the set-up that it needs on a fresh machine.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

export DO_NOT_TRACK = true
export PREFECT_SERVER_ANALYTICS_ENABLED = false
export MLFLOW_DISABLE_TELEMETRY = true
export DVC_NO_ANALYTICS = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test check browser

demo: $(VENV)/installed
	$(BIN)/lm build_assistant demo

test: check browser
	$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder

# Prefect's form is filled in with a browser; where there is none and none can be had, that test is skipped.
browser:
	@command -v chromedriver > /dev/null || test "$$(id -u)" != 0 || ! command -v apt-get > /dev/null || \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	chromium chromium-driver; } > /dev/null 2>&1 || true

check: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/installed: pyproject.toml
	@echo "installing into $(VENV) (two or three minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -qq -e .
	@touch $@

$(VENV)/installed-test: pyproject.toml
	@echo "installing into $(VENV) with what the tests need (two or three minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -qq -e ".[test]"
	@touch $@ $(VENV)/installed
