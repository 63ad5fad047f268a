# Everything a person needs, by name. Each target prepares .venv first, once.
.DEFAULT_GOAL := help
.PHONY: help venv page demo up down test test-exact test-faults test-fleet test-browser test-players test-docker test-compose test-hostile bench check lock schemas clean
MAKEFLAGS += --no-print-directory

# Reach the recipes through the environment: a path with spaces or quotes needs no care there.
export PYTHON VIDEO PRESET OUT

PRESET ?= h264_small

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

venv:
	@scripts/bootstrap.sh
	@scripts/build_page.sh

page:  ## build the page Videos of Airflow's UI with npm; format and types are checked
	@scripts/build_page.sh --check

demo: venv  ## turn a clip into HLS on a local Airflow: make demo [VIDEO=file] [PRESET=name] [OUT=folder]
	@.venv/bin/python scripts/local_airflow.py demo

up: venv  ## start the local Airflow with its UI, and keep it running
	@.venv/bin/python scripts/local_airflow.py up

down:  ## stop it
	@[ ! -x .venv/bin/python ] || .venv/bin/python scripts/local_airflow.py down

test: check  ## all checks, then the fast tests, on all cores
	.venv/bin/python -m pytest -n logical --maxprocesses 4 --dist worksteal

test-exact: venv  ## every strange source, frame by frame, and the seams: EXACT_CLIPS=folder EXACT_REPORT=file
	.venv/bin/python -m pytest -m 'exact or not exact' -o log_cli=false tests/exact

test-faults: venv  ## kill -9 at 100 moments, bad S3, damage, 50 at once: FAULTS_RUNS=n FAULTS_OUTAGE_S=n FAULTS_REPORT=file
	.venv/bin/python -m pytest -m 'faults or not faults' -o log_cli=false tests/faults tests/e2e/test_interrupt.py

test-fleet: venv  ## a backfill that is killed and repeated, 20 videos with 2 slots: FAULTS_REPORT=file
	.venv/bin/python -m pytest -m 'fleet or not fleet' -o log_cli=false tests/fleet

test-browser: page up  ## the page Videos and the trigger form in a Chromium that this machine has: real runs, three users, axe
	.venv/bin/python -m pip install -q 'playwright>=1.50'
	.venv/bin/python -m pytest -m browser tests/browser

test-players: venv  ## eight players, of npm and of this machine, play each preset: EXACT_CLIPS=folder PLAYERS_SHOTS=folder PLAYERS_REPORT=file
	.venv/bin/python -m pip install -q 'playwright>=1.50'
	.venv/bin/python -m pytest -m players -o log_cli=false tests/players

test-docker: venv  ## the Docker runner, in the engine of DOCKER_HOST: DOCKER_TEST_IMAGE=name (default vod-media)
	.venv/bin/python -m pytest -m docker tests/runners tests/e2e

test-compose: venv  ## docker-compose.yaml in a real engine: five videos, a killed transcoder, viewers; COMPOSE_KEEP=1
	.venv/bin/python -m pip install -q 'playwright>=1.50'
	.venv/bin/python -m pytest -m compose -o log_cli=false tests/compose

test-hostile: venv  ## hostile files and requests, refused or published exact: HOSTILE_REPORT=file
	.venv/bin/python -m pytest -m hostile -o log_cli=false tests/hostile

bench: venv  ## against plain ffmpeg, overhead, both ends, scale; hours: make bench [PARTS="ends scale"] [REPEAT=n] [QUICK=1]
	.venv/bin/python -m pip install -q 'matplotlib>=3.9'
	.venv/bin/python -m bench $(PARTS) --repeat $(or $(REPEAT),5) $(if $(QUICK),--quick)

check: venv  ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check --quiet .
	.venv/bin/mypy

lock: venv  ## write requirements.lock anew, keeping its versions: make lock [UPGRADE=--upgrade]
	UV_PYTHON_DOWNLOADS=never .venv/bin/uv pip compile --universal --python-version 3.10 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --quiet $(UPGRADE) \
		--extra test --extra celery --extra postgres --extra local --output-file requirements.lock pyproject.toml

schemas: venv  ## write docs/schemas anew (video.json, the callback), and docs/page-api.json
	.venv/bin/python -m vod_operators.work.schemas docs/schemas
	.venv/bin/python -m vod_operators.page.schema docs/page-api.json

clean: down  ## remove the environment, the local Airflow with all it made, and caches
	rm -rf .venv .venv.lock .airflow .mypy_cache .ruff_cache .pytest_cache build dist
	cd plugins/vod_operators/page && rm -rf static ui/node_modules ui/node_modules.lock
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
