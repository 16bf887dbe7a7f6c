# make setup   libtorch into .libtorch (once; LIBTORCH in the environment wins)
# make demo    the nightly job on the bundled demo
# make test    formatting, lints, documentation, all tests
# make test-warc   only the page archive of the demo, read by warcio
# make test-labelstudio   questions to a real Label Studio and answers back (apart from make test: 1 GB of packages)
# make bench   benchmarks

SHELL := /bin/bash
PYTHON ?= python3
CARGO ?= cargo
# Three wheels of PyPI hold the CPU half of libtorch 2.11.0 and what it links to.
WHEELS := torch==2.11.0 nvidia-cuda-cupti==13.0.85 nvidia-cuda-runtime==13.0.96

# An independent reader of page archives, for the tests alone.
WARCIO := 1.8.1
PYTOOLS := warcio==$(WARCIO) six==1.17.0

# A real server to talk to, with all that it brings, in an environment of its own.
LABEL_STUDIO := 1.23.2

.PHONY: setup demo test test-warc test-labelstudio lint bench clean

setup:
ifdef LIBTORCH
	@echo "libtorch: $(LIBTORCH) (from the environment)"
else
	@$(MAKE) --no-print-directory .libtorch/complete
endif

# The mark is written last: a download that broke off is begun anew.
.libtorch/complete:
	@command -v $(CARGO) >/dev/null || { echo "error: cargo is missing: install Rust 1.91 or newer from https://rustup.rs"; exit 2; }
	@command -v c++ >/dev/null || { echo "error: a C++ compiler is missing (Debian: apt-get install g++)"; exit 2; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "error: $(PYTHON) with pip is missing (Debian: apt-get install python3-pip)"; exit 2; }
	@echo "libtorch: fetching 540 MB of wheels into .libtorch"
	@rm -rf .libtorch
	@PIP_ROOT_USER_ACTION=ignore $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --target .libtorch $(WHEELS)
	@touch .libtorch/complete

demo: setup
	@echo "building kopri (the first time takes some minutes)"
	@$(CARGO) build --release --locked
	@./target/release/kopri run pipelines/demo.toml

lint: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

test: lint
	$(CARGO) test --locked
	@$(MAKE) --no-print-directory test-warc

# The second run asks for every page again, so that the archive holds revisits too.
test-warc: setup .pytools/warcio-$(WARCIO).complete
	@workspace=$$(mktemp -d) && trap 'rm -rf "$$workspace"' EXIT && \
	for run in 1 2; do \
		$(CARGO) run --quiet --locked -- run pipelines/demo.toml --workspace "$$workspace" || exit; \
	done && \
	PYTHONPATH=.pytools $(PYTHON) tests/external/warc_with_warcio.py "$$workspace/pages"

.pytools/warcio-$(WARCIO).complete:
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "error: $(PYTHON) with pip is missing (Debian: apt-get install python3-pip)"; exit 2; }
	@rm -rf .pytools/warcio* .pytools/six*
	@PIP_ROOT_USER_ACTION=ignore $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --target .pytools $(PYTOOLS)
	@touch $@

# Pictures of the labelling interfaces: make test-labelstudio LABEL_STUDIO_TEST="--screenshots pictures"
test-labelstudio: setup .pytools/label-studio/$(LABEL_STUDIO).complete
	$(CARGO) build --quiet --locked
	.pytools/label-studio/bin/python tests/external/annotate_with_label_studio.py \
		"$${CARGO_TARGET_DIR:-target}/debug/kopri" $(LABEL_STUDIO_TEST)

.pytools/label-studio/$(LABEL_STUDIO).complete:
	@$(PYTHON) -m venv --help >/dev/null 2>&1 || { echo "error: $(PYTHON) with venv is missing (Debian: apt-get install python3-venv)"; exit 2; }
	@echo "label-studio: fetching version $(LABEL_STUDIO) into .pytools/label-studio"
	@rm -rf .pytools/label-studio
	@$(PYTHON) -m venv .pytools/label-studio
	@.pytools/label-studio/bin/pip install --quiet --disable-pip-version-check label-studio==$(LABEL_STUDIO)
	@touch $@

bench: setup
	$(CARGO) bench --locked

clean:
	rm -rf target workspaces
