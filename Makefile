# pkern: `make help` lists what there is. Everything lands in .venv/ and build/.

PYTHON ?= python3
VENV   ?= .venv
ifeq ($(origin CC),default)
CC := gcc
endif
BIN    := $(VENV)/bin
# Processors that the tests may use, all of them by default.
JOBS   ?= $(shell nproc)
# The file that the story reads; empty: the compiled core itself.
FILE   ?=
# A make that has jobs of its own: not those that the one above it shares out.
ALONE   = MAKEFLAGS= $(MAKE) --no-print-directory

CORE_C  := $(filter-out kernel/core/_core.c,$(wildcard kernel/core/*.c kernel/core/*/*.c))
CORE_H  := $(wildcard kernel/core/*.h kernel/core/*/*.h)
CORE_I  := -Ikernel/core
TESTS_C := $(wildcard tests/core/*.c)
TESTS_H := $(wildcard tests/core/*.h)
SOURCES_C := $(CORE_C) $(CORE_H) $(TESTS_C) $(TESTS_H) $(wildcard userland/*/*.[ch]) $(wildcard tests/system/elf/*.h tests/system/elf/*/*.c) $(wildcard tests/system/cases/*.c) $(wildcard examples/*.c)
TREE    := build/sanitized

.DEFAULT_GOAL := help
.PHONY: help venv build core run test check check-tools lint types layers analyse \
	test-core test-python test-sanitized coverage-c docs bench conform realprograms browser pictures clean distclean
.DELETE_ON_ERROR:
.SECONDARY:

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

# ---- environment and build ----

need-tools:
	@command -v $(PYTHON) >/dev/null || { echo "Python is missing ('$(PYTHON)'): install it, for example with 'apt-get install python3 python3-venv python3-dev'." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "pkern needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V). Name another one: make PYTHON=python3.12." >&2; exit 1; }
	@command -v $(firstword $(CC)) >/dev/null || { echo "A C compiler is missing ('$(firstword $(CC))'): install one, for example with 'apt-get install gcc libc6-dev'." >&2; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' || { echo "The header Python.h is missing: install it, for example with 'apt-get install python3-dev'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is incomplete: install it, for example with 'apt-get install python3-venv'." >&2; exit 1; }
.PHONY: need-tools

$(BIN)/python: | need-tools
	@echo "Making $(VENV), a Python environment for pkern alone ..."
	@$(PYTHON) -m venv $(VENV)

# The editable installation (which compiles the core once), then what it requires: what is installed
# is not built again. Each step may take minutes.
$(VENV)/installed: pyproject.toml setup.py | $(BIN)/python
	@echo "1 of 3: fetching pip, setuptools and cffi, which build the package ..."
	@$(BIN)/python -m pip install -qq --upgrade pip "setuptools>=77" "cffi>=1.16"
	@echo "2 of 3: compiling the $(words $(CORE_C)) files of the C core ..."
	@$(BIN)/python -m pip install -qq --no-build-isolation --no-deps -e .
	@echo "3 of 3: fetching the libraries of emulators, pictures, tests and checks ..."
	@$(BIN)/python -m pip install -qq 'pkern[emulators,pretty,pictures,view,cluster,fuse,test,dev]'
	@touch $@
	@touch $(VENV)/core-built

# Later changes of the C sources need only the compiler. Make looks before it installs: who finds
# here what an installation has just compiled has nothing to do.
$(VENV)/core-built: $(VENV)/installed $(CORE_C) $(CORE_H) kernel/core/build_core.py kernel/core/interface.py
	@[ -e $@ ] && [ -z "$$(find $^ -newer $@)" ] || { \
		echo "Compiling the C core ..." && $(BIN)/python setup.py -q build_ext --inplace && touch $@; }

venv: $(VENV)/installed ## create .venv with all that the project needs
# Bytecode too, as an installation from a wheel has it: a start must not compile, whatever the
# environment says of writing it (PYTHONDONTWRITEBYTECODE).
build: $(VENV)/core-built ## compile the C core, creating .venv first if need be
	@$(BIN)/python -m compileall -q pkern kernel syscalls userland
core: build

# ---- the two commands ----

run: build ## tell the letter's story on a real file (FILE=...)
	$(BIN)/pkern story $(if $(FILE),'$(FILE)')

# Of a run with nothing else to do, from nothing compiled: processor seconds (397 that the shell
# sees, 90 of the tests' server of commands), and what of its 253 seconds could not be shared out
# between two processors. With everything compiled it takes 238.
TEST_CPU   := 487
TEST_ALONE := 10

# The C programs beside pytest, which collects meanwhile: no processor waits for the end of either.
test: build ## every test: C programs beside pytest, on all processors (JOBS=N); ROUNDS=N draws more
	@echo "make test: about $$(( $(TEST_CPU) / $(JOBS) + $(TEST_ALONE) )) seconds if $(JOBS) processors have nothing else to do"
	@$(ALONE) --jobs=2 --keep-going test-core-shown-at-once test-python

# ---- all that CI runs ----

# Empty: without the static analyser, where it cannot be had.
ANALYSE ?= analyse

check: export PYTEST_FLAGS := --cov --cov-report=term
check: build lint types layers $(ANALYSE) coverage-c test-sanitized test ## lint, types, layers, analyser, all tests, coverage
	@echo "make check: all passed"

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(SOURCES_C)

# The package as it is installed: for tools that read folders and know nothing of the build's mapping.
PACKAGE := build/package
$(PACKAGE):
	@rm -rf $@ && mkdir -p $@/pkern
	@cp -rp pkern/. kernel syscalls userland $@/pkern
.PHONY: $(PACKAGE)

types: build $(PACKAGE)
	MYPYPATH=$(PACKAGE) $(BIN)/mypy

layers: build $(PACKAGE)
	cd $(PACKAGE) && $(abspath $(BIN))/lint-imports $(CURDIR)/pyproject.toml

# The static analyser; gcc's warnings are errors in test-core. access.c writes a byte back to itself
# on purpose, to touch a page for writing.
analyse:
	@command -v cppcheck >/dev/null || \
		{ echo "analyse needs cppcheck: install it (Debian: apt install cppcheck)"; exit 1; }
	@cppcheck -j $(JOBS) --quiet --std=c11 --language=c --inline-suppr --error-exitcode=1 \
		--enable=warning,performance,portability \
		--suppress=missingIncludeSystem --suppress=selfAssignment:kernel/core/access.c \
		$(CORE_I) $(CORE_C)

# ---- C tests: each tests/core/*.c is a program on the core as a library, built in several ways ----

# -g1: functions and lines, for what a sanitiser reports; all of -g costs a fifth of the compilation.
C_WARN := -std=gnu11 -Wall -Wextra -Werror -g1 -fPIC $(CORE_I) -Itests/core
# Undefined behaviour ends in an instruction that there is not, which costs a third less to compile
# than a call that tells all of it; the address sanitiser says where (ASAN, below).
C_SAN  := -Og -fsanitize=address,undefined -fsanitize-undefined-trap-on-error -fno-omit-frame-pointer
C_COV  := -O0 --coverage

# What reads sizes.h is compiled for each of the two sizes, all else once for both.
SIZED := $(shell grep -lF '"sizes.h"' $(CORE_C) $(TESTS_C))
# $(1): sources, $(2): where the objects of a size lie, $(3): where those of any size do
objects = $(patsubst %.c,build/$(2)/%.o,$(filter $(SIZED),$(1))) $(patsubst %.c,build/$(3)/%.o,$(filter-out $(SIZED),$(1)))

# $(1): where the objects lie, $(2): flags. A test waits for the core: it need not be fast itself.
define C_OBJECTS
build/$(1)/%.o: %.c $(CORE_H) $(TESTS_H)
	@mkdir -p $$(@D)
	@$(CC) $(C_WARN) $(2) -c $$< -o $$@
build/$(1)/tests/core/%.o: tests/core/%.c $(CORE_H) $(TESTS_H)
	@mkdir -p $$(@D)
	@$(CC) $(C_WARN) $(2) -O0 -c $$< -o $$@
endef

$(eval $(call C_OBJECTS,c-asan,$(C_SAN)))
$(eval $(call C_OBJECTS,c-tiny,$(C_SAN) -DPKERN_TINY))
$(eval $(call C_OBJECTS,c-any,$(C_SAN) -DPKERN_ANY_SIZE))
$(eval $(call C_OBJECTS,c-cov,$(C_COV)))

# $(1): name of the configuration, $(2): flags, $(3): where its objects of any size lie, $(4): words
# that its programs are given
define C_CONFIG
build/c-$(1)/libcore.so: $(call objects,$(CORE_C),c-$(1),$(3))
	@$(CC) $(2) -shared $$^ -o $$@ -ldl
$(foreach test,$(TESTS_C),$(eval build/c-$(1)/$(basename $(notdir $(test))): $(call objects,$(test),c-$(1),$(3))))
PROGRAMS_$(1) := $(TESTS_C:tests/core/%.c=build/c-$(1)/%)
$$(PROGRAMS_$(1)): build/c-$(1)/libcore.so
	@$(CC) $(2) $$(filter %.o,$$^) -L$$(@D) -lcore -Wl,-rpath,'$$$$ORIGIN' -o $$@
RUN_$(1) := $(TESTS_C:tests/core/%.c=run-c-$(1)/%)
.PHONY: $$(RUN_$(1))
$$(RUN_$(1)): run-c-$(1)/%: build/c-$(1)/%
	@echo "$$<"; ASAN_OPTIONS=$(ASAN) $$< $(4)
endef

# A small quarantine: memory that comes back soon costs no fault.
ASAN := detect_leaks=1:quarantine_size_mb=8:handle_sigill=1
# The block sizes of chains have nothing to do with the two sizes: 3 is tried there, others here.
$(eval $(call C_CONFIG,asan,$(C_SAN),c-any))
$(eval $(call C_CONFIG,tiny,$(C_SAN),c-any,3))
$(eval $(call C_CONFIG,cov,$(C_COV),c-cov))

# Side by side, each program's lines together; one that fails does not keep the others from running.
SIDE_BY_SIDE = $(ALONE) --jobs=$(JOBS) --output-sync=target --keep-going

test-core: ## C programs under ASan, UBSan and the leak checker, twice
	@$(SIDE_BY_SIDE) $(RUN_asan) $(RUN_tiny)

# In one piece: pytest prints meanwhile.
test-core-shown-at-once: build
	@mkdir -p build
	@$(MAKE) --no-print-directory test-core >build/test-core.txt 2>&1; status=$$?; cat build/test-core.txt; exit $$status
.PHONY: test-core-shown-at-once

coverage-c: build
	@$(SIDE_BY_SIDE) $(RUN_cov)
	@echo "coverage of the C core, from the C programs:"
	@$(BIN)/gcovr --root . --filter kernel/core/ build/c-cov | cut -c -63

# ---- Python tests ----

# Half as many again as there are processors: tests wait, for a clock, a debugger, a process beside.
TESTERS = $(shell expr $(JOBS) + $(JOBS) / 2)

# What pytest makes of a test's file is kept, whatever the environment says of writing bytecode: each
# of its processes would make it anew, three seconds of a processor.
test-python: export PYTHONDONTWRITEBYTECODE :=
test-python: build
	$(BIN)/pytest -n $(TESTERS) --dist worksteal $(PYTEST_FLAGS)

# The same tests on a module with sanitisers, in a copy of the tree.
test-sanitized: build ## pytest of tests/unit on the sanitised core
	@rm -rf $(TREE) && mkdir -p $(TREE)
	@cp -r pyproject.toml setup.py README.md LICENSE Makefile pkern kernel syscalls userland tests docs $(TREE)
	@find $(TREE) -name '*.so' -delete
	cd $(TREE) && PKERN_SANITIZE=1 $(abspath $(BIN))/python setup.py -q build_ext --inplace
	$(MAKE) -C $(TREE) --no-print-directory build/package
	cd $(TREE) && PYTHONPATH=build/package PKERN_SANITIZE=1 \
		ASAN_OPTIONS=detect_leaks=0:handle_sigill=1 \
		LD_PRELOAD="$$($(CC) -print-file-name=libasan.so)" \
		$(abspath $(BIN))/python -m pytest -q -n $(JOBS) tests/unit

# ---- test programs in machine code: static, each from one file of userland/programs ----

PROGRAMS := $(patsubst userland/programs/%.c,build/programs/%,$(wildcard userland/programs/*.c))
PROGRAM_CC ?= $(CC)

build/programs/%: userland/programs/%.c userland/programs/raw.h
	@mkdir -p $(@D)
	$(PROGRAM_CC) -std=gnu11 -O1 -static -fno-pie -no-pie -Wall -Wextra -Werror $< -o $@

programs: $(PROGRAMS) ## compile userland/programs into build/programs (PROGRAM_CC=musl-gcc)
.PHONY: programs

# ---- others ----

docs: build ## write the generated pages, and the stub of sys, from the code
	$(BIN)/pkern docs

bench: build ## this kernel beside the host's, as ratios
	$(BIN)/pkern bench

conform: build ## random sequences on this kernel and on the host's
	$(BIN)/pkern conform

otherhost: build ## make test (WORDS=: pytest's) on an emulated host with KERNEL=, an unpacked Debian package
	@tests/otherhost.sh '$(KERNEL)' $(WORDS)

realprograms: build ## programs that people have, here and in a machine: docs/realprograms.md (root; ONLY=names)
	$(BIN)/python -m tests.real $(ONLY)

need-browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
		{ echo "this needs Debian's chromium and chromium-driver: apt install them" >&2; exit 1; }
	@$(BIN)/python -m pip install -qq 'selenium>=4.20'
.PHONY: need-browser

browser: build need-browser ## the page of `pkern run --view` in a real browser (Debian: chromium, chromium-driver)
	$(BIN)/python -m pytest -q -s tests/browser/page_in_chromium.py

pictures: build need-browser ## take docs/pictures anew, with the same browser
	$(BIN)/python -m tests.browser.pictures

clean: ## remove what was built
	rm -rf build *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache
	find pkern kernel syscalls userland tests -name '*.so' -delete -o -name '*.pyc' -delete
	rm -f $(VENV)/core-built

distclean: clean ## remove the environment too
	rm -rf $(VENV)
