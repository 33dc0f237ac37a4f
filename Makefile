# Each target sets up what it needs. `make help` lists the targets.
INV := .litekiln/host/bin/inv
JOBS ?= 2
# JOBS processes run test files side by side; `make test JOBS=0` runs them one by one.
PYTEST = .litekiln/host/bin/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
MODEL ?=
VARIANT ?=
ZOO ?= --zoo
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help host host-dev demo build pi test test-all fuzz attack lint bench soak images doctor clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

host:
	@tools/host-env user

host-dev:
	@tools/host-env dev

demo: host ## build the demo model in all its variants (no Docker needed)
	@$(INV) build --model shapes $(ARGS)

build: host ## build a model: make build MODEL=shapes [ARGS="--variant float32"], or all models: make build ARGS="--all"
	@$(INV) build $(if $(MODEL),--model "$(MODEL)") $(ARGS)

pi: host ## build a bundle's image for a Raspberry Pi: make pi MODEL=shapes VARIANT=int8
	@$(INV) pi --model "$(MODEL)" --variant "$(VARIANT)" $(ARGS)

test: host-dev ## run the tests that need no Docker: unit, engine venv, end to end
	@$(PYTEST) --engines=venv --toolchains=tf2.13 $(ARGS)

test-all: host-dev ## run every test: all toolchains under every engine; needs a Docker daemon and what .ci installs
	@$(PYTEST) --engines=venv,docker --toolchains=all --long --browser --servers $(ZOO) $(ARGS)

fuzz: host-dev ## fuzz the code that reads untrusted files: make fuzz [ARGS="picture --inputs 100000"] (Linux on x86-64)
	@.litekiln/host/bin/python tests/fuzz/run.py $(ARGS)

attack: host-dev ## attack the Pi's server: make attack [ARGS="--requests 10000 --bundle out/shapes/int8"] (Linux)
	@.litekiln/host/bin/python -m tests.pi.attack $(ARGS)

lint: host-dev ## check style and types
	@.litekiln/host/bin/ruff check . && .litekiln/host/bin/ruff check steps && .litekiln/host/bin/ruff format --check . && .litekiln/host/bin/mypy

bench: host-dev ## run the benchmarks, which print ratios
	@.litekiln/host/bin/python bench/up_to_date.py && .litekiln/host/bin/python bench/build.py --quick --pictures 20 $(ARGS) && \
	$(INV) build --model shapes --variant int8 --engine venv && .litekiln/host/bin/python bench/runtime.py && \
	.litekiln/host/bin/python bench/served.py

soak: host-dev ## run the Pi's server at full speed for ten minutes: make soak [ARGS="--seconds 60"]
	@$(INV) build --model shapes --variant int8 --engine venv && .litekiln/host/bin/python bench/soak.py $(ARGS)

images: host ## build the toolchain images
	@$(INV) images $(ARGS)

doctor: host ## check this machine
	@$(INV) doctor $(ARGS)

clean: host ## free disk space: make clean ARGS="--all"
	@$(INV) clean $(ARGS)
