# make deps     install what is missing: system packages and the Python environment .venv
# make          build/stampede, build/libstampede_verify.so, build/libstampede_weights.so
# make demo     deps, build, then a worker and a PyTorch trainer: rollouts and a rising curve
# make test     deps, build, every test; ends with "N passed, N failed, N skipped"
# make bench    prefill and decode speed on synthetic and shipped models
# make bench-host   what the engine and the loop cost around a step, without a device
# make bench-weights    weight updates, from the trainer's diff to the worker's pause
#                       (SECOND_COPY=1: to a worker that makes them in a second copy)
# make bench-drafts what drafts give and cost here, with and without them in turn (minutes)
# make check-fresh  demo and test in minimal roots of Debian 12 and 13 (as root, with mmdebstrap)
# make verify-report  the verifiers on the public test data, with every disagreement
# make verify-bench  times of single checks, beside the public graders that make peers installs
# make bench-peers  CPU speed beside llama.cpp on the same files; builds it from source (minutes)
# make bench-peers-avx2  the same without AVX-512 on either side; PEERS_ARGS="--types q4_0,q8_0" for both
# make peers    Math-Verify, if-verifiable, lm-eval and llama.cpp into .venv-peers: optional, no torch
# make test-faults  the fault matrix, its short form (ROW= CASE= SEED=); minutes
# make soak     the long form for DURATION seconds (default 3600), seed after seed
# make fuzz     each fuzz target for FUZZ_S seconds (default 20)
# make cudasim      CUDA's kernels and host side on an emulator; a part of make tests, which runs
#                   what is there (tests/cudasim/README.md)
# make cuda-check   every .cu by nvcc for all architectures, and the tables of ptxas; also in make tests
# make check-neon   the CPU backend for 64-bit ARM, and its kernel tests under qemu-user
# make gpu-wrappers what a GPU is asked about single instructions
# make lint     include rules, formatting, sizes, cppcheck
# make format   clang-format over the tree
# make install  PREFIX=/usr/local DESTDIR=: program, libraries, headers, a pkg-config file
# make wheel    one file for pip: client, program and every library that they need
# make check-image  the Dockerfile's stages, for real, and a rollout in what comes out (as root)
# make clean    remove build
# make tests    builds the tests and their tools without running them
# make cuda     build/stampede_cuda.so by nvcc (CUDA_HOME), for the architectures CUDA_ARCHS
# make gpu-bundle   build/gpu-bundle: its program `check` checks and measures on a bare GPU machine
#                   (gpu-bundle-emulated: the same on the emulator)
# Variables: CC=gcc|clang  SAN=address,undefined|thread  V=1 prints the commands
# make deps CUDA=wheels   also NVIDIA's compiler, headers, cuBLAS and NCCL, where no toolkit is
.DEFAULT_GOAL := all
CC     := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX ?= /usr/local
FUZZ_S ?= 20
PY     := .venv/bin/python
comma  := ,
VARIANT := $(if $(filter gcc,$(CC)),,$(notdir $(CC)))$(if $(SAN),-$(subst $(comma),-,$(SAN)))
B      := build$(if $(VARIANT),/$(patsubst -%,%,$(VARIANT)))

# The one list of system packages. a|b: the first of them that the distribution has.
PACKAGES := mmdebstrap build-essential git pkg-config python3 python3-venv clang clang-format cppcheck \
    libclang-rt-dev|libclang-rt-14-dev|libclang-common-14-dev libzmq3-dev \
    libmsgpack-dev|libmsgpack-c-dev libmicrohttpd-dev libpcre2-dev libutf8proc-dev libxxhash-dev libcmocka-dev \
    zlib1g-dev libzstd-dev locales procps zstd iproute2 \
    libflint-dev libflint-arb-dev|libflint-dev libcalcium-dev|libflint-dev libantic-dev|libflint-dev
LIBS_PC  := libzmq libmicrohttpd libpcre2-8 libutf8proc libxxhash zlib libzstd
# Before `make deps` there may be no pkg-config, and nothing to ask it about.
PKG      := $(shell command -v pkg-config)
LIBS_PC  += $(if $(PKG),$(shell $(PKG) --exists msgpack-c && echo msgpack-c || echo msgpack))
PC_FLAGS := $(if $(PKG),$(shell $(PKG) --cflags $(LIBS_PC) 2>/dev/null))
PC_LIBS  := $(if $(PKG),$(shell $(PKG) --libs $(LIBS_PC) 2>/dev/null))

CPPFLAGS += -I. -D_GNU_SOURCE -MMD -MP $(PC_FLAGS)
# A char has a sign on every machine: graders decide by bytes.
CFLAGS   += -std=c11 -O2 -g -fsigned-char -fno-strict-aliasing -ffp-contract=off -Wall -Wextra -Wconversion \
    -Wshadow -Werror -fno-omit-frame-pointer $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
# Under the thread sanitizer gcc 12 misreads the layout of Arb's numbers in its inline functions.
CFLAGS   += $(if $(findstring thread,$(SAN)),$(if $(filter gcc,$(CC)),-Wno-stringop-overflow \
    -Wno-stringop-overread))
LDFLAGS  += $(if $(SAN),-fsanitize=$(SAN))
# Unpacked into build/tools and not installed, since that would start a daemon.
UNPACKED := prometheus
# Exact arithmetic is one library since FLINT 3; in Debian 12 it is three.
FLINT3   := $(shell $(CC) -include flint/ca.h -E -x c /dev/null >/dev/null 2>&1 && echo yes)
LDLIBS   += $(PC_LIBS) $(if $(FLINT3),,-lcalcium -lflint-arb) -lflint -lgmp -lpthread -ldl -lm

CUDA_WHEELS := tests/requirements-cuda.txt

# Every .c file is found by its place. A test, tool or fuzz target of tests/ is a program of its
# own; the other files of tests/ are helpers, linked into each of them.
find  = $(sort $(shell find $1 -name '*.c' 2>/dev/null))
ARCH  := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
PATHS_x86_64  := %_avx2.c %_avx512.c %_avx512bf16.c %_amx.c %_amxbf16.c \
    %/amx_try.c
PATHS_aarch64 := %_neon.c %_neondot.c %_neonbf16.c
OTHER_PATHS   := $(filter-out $(PATHS_$(ARCH)),$(PATHS_x86_64) $(PATHS_aarch64))
SRC   := $(filter-out kernels/cuda/% $(OTHER_PATHS),$(call find,worker kernels protocol verifiers))
CHECK := $(filter-out tests/neon/%,$(call find,tests))
OBJ   := $(SRC:%.c=$(B)/obj/%.o)
# Block types' products are compiled twice: for ARM with dot products the second time, for AVX-512
# with AMX.
OBJ   += $(patsubst %_neon.c,$(B)/obj/%_neondot.o,$(filter kernels/types/q%_neon.c,$(SRC)))
OBJ   += $(patsubst %_avx512.c,$(B)/obj/%_amx.o,$(filter kernels/types/q%_avx512.c,$(SRC)))
MAIN  := $(B)/obj/worker/main.o
FUZZ  := $(foreach f,$(CHECK),$(if $(filter fuzz_%,$(notdir $f)),$(f:%.c=$(B)/%)))
TESTS := $(foreach f,$(CHECK),$(if $(filter test_%,$(notdir $f)),$(f:%.c=$(B)/%)))
TESTS += $(patsubst %.c,$(B)/%,$(filter tests/tools/%,$(CHECK)))
# An object_NAME.c is a shared object of its own, stampede_NAME.so beside the tests.
SHARED := $(wildcard tests/kernels/object_*.c) tests/faults/preload.c
HELP  := $(patsubst %.c,$(B)/obj/%.o,$(filter-out $(TESTS:$(B)/%=%.c) $(FUZZ:$(B)/%=%.c) $(SHARED),\
    $(CHECK)))

.PHONY: all deps demo test bench bench-host bench-weights bench-drafts bench-peers \
    bench-peers-avx2 peers verify-bench verify-report fuzz lint check-fresh format clean help tests fuzzers libraries FORCE
LIBRARY := $(B)/libstampede_verify.so
WEIGHTS := $(B)/libstampede_weights.so
all: $(B)/stampede $(LIBRARY) $(if $(SAN),,$(WEIGHTS))

help: ; @sed -n '/^# /s/^# //p;/^\.DEFAULT/q' Makefile

$(B)/stampede: $(OBJ)
	$(if $(V),,@echo "  link $@" &&) $(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(B)/obj/%.o: %.c | libraries
	@mkdir -p $(@D)
	$(if $(V),,@echo "  cc $<" &&) $(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# The graders as a shared library: what verify.h and library.h declare.
$(LIBRARY): $(filter $(B)/obj/protocol/base/% $(B)/obj/verifiers/%,\
    $(filter-out $(B)/obj/verifiers/score/%,$(OBJ))) verifiers/library.map
	$(if $(V),,@echo "  link $@" &&) $(CC) $(LDFLAGS) -shared -Wl,--version-script=verifiers/library.map \
	    $(filter %.o,$^) $(LDLIBS) -o $@
# A trainer's side of weight updates as a library that needs no other one: kernels/diff/library.h.
# Not for the sanitizers: the client looks for it beside the program, and Python does not load theirs.
$(WEIGHTS): $(filter $(B)/obj/kernels/diff/% $(B)/obj/kernels/digest%,$(OBJ)) kernels/diff/library.map
	$(if $(V),,@echo "  link $@" &&) $(CC) $(LDFLAGS) -shared -Wl,--version-script=kernels/diff/library.map \
	    $(filter %.o,$^) -o $@
$(B)/obj/verifiers/%.o $(B)/obj/protocol/base/%.o $(B)/obj/kernels/diff/%.o $(B)/obj/kernels/digest%.o: \
    CFLAGS += -fPIC -fno-semantic-interposition

AVX512 := -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni
# Twins and the tests' own arithmetic have no threads: watched, they take most of the time.
ifneq ($(findstring thread,$(SAN)),)
$(B)/obj/tests/%.o $(B)/obj/tests/kernels/%.o: CFLAGS += -fno-sanitize=thread -DIS_SANITIZED=1
$(B)/obj/tests/kernels/test_pool.o: CFLAGS += -fsanitize=thread # whose jobs are the test's own
endif
$(B)/obj/%_avx2.o: CFLAGS += -mavx2 -mfma -mf16c
$(B)/obj/%_avx512.o: CFLAGS += $(AVX512)
$(B)/obj/%_avx512bf16.o: CFLAGS += $(AVX512) -mavx512bf16
AMX := $(AVX512) -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16
$(B)/obj/kernels/amx_try.o $(B)/obj/worker/commands/limits_amx.o: CFLAGS += $(AMX)
$(B)/obj/kernels/cpu/%_amx.o: CFLAGS += $(AVX512)
$(B)/obj/%_amxbf16.o: CFLAGS += $(AMX)
$(B)/obj/kernels/types/%_amx.o: kernels/types/%_avx512.c | libraries
	@mkdir -p $(@D)
	$(if $(V),,@echo "  cc $< (AMX)" &&) $(CC) $(CPPFLAGS) $(CFLAGS) $(AMX) -DDOT_AMX -c $< -o $@
$(B)/obj/%_neonbf16.o: CFLAGS += -march=armv8.2-a+bf16
NEONDOT := -march=armv8.2-a+dotprod -DDOT_SDOT
$(B)/obj/kernels/types/%_neondot.o: kernels/types/%_neon.c | libraries
	@mkdir -p $(@D)
	$(if $(V),,@echo "  cc $< (dot products)" &&) $(CC) $(CPPFLAGS) $(CFLAGS) $(NEONDOT) -c $< -o $@

# The status page is bytes of the binary.
$(B)/obj/worker/http/page.o: worker/http/page.html

# Only version.c knows the commit; the stamp changes when the commit does, not at each make.
$(B)/obj/worker/version.o: $(B)/commit
$(B)/obj/worker/version.o: CPPFLAGS += -DSTAMPEDE_COMMIT='"$(shell cat $(B)/commit)"'
$(B)/commit: FORCE
	@mkdir -p $(@D); c=$${COMMIT:-$$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)}; \
	    echo $$c | cmp -s - $@ || echo $$c >$@
libraries:
	@pkg-config --exists $(LIBS_PC) 2>/dev/null || \
	    { echo "Libraries are missing: run make deps first."; exit 1; }

$(B)/tests/%: $(B)/obj/tests/%.o $(filter-out $(MAIN),$(OBJ)) $(HELP)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link $@" &&) $(CC) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@
TOOLS := $(patsubst %.c,$(B)/%,$(wildcard tests/tools/*.c))
include tests/faults/faults.mk
OBJECTS := $(patsubst tests/kernels/object_%.c,$(B)/tests/kernels/stampede_%.so,\
    $(filter tests/kernels/%,$(SHARED))) $(PRELOAD)
tests: $(TESTS) $(TOOLS) $(OBJECTS)
$(B)/tests/kernels/stampede_%.so: tests/kernels/object_%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link $@" &&) $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MF $@.d \
	    -fPIC -shared $< -o $@
include tests/cudasim/cudasim.mk
include kernels/cuda/cuda.mk
include tests/neon/neon.mk
include tests/amx/amx.mk
include docker/docker.mk

deps:
	@.ci/deps "$(PACKAGES)" tests/requirements.txt $(if $(filter wheels,$(CUDA)),$(CUDA_WHEELS))
	@.ci/unpack $(UNPACKED)

# Of the two commands that do everything nobody should have to say -j.
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
demo: deps
	@$(MAKE) --no-print-directory $(JOBS) all
	@$(PY) examples/grpo.py --quick

test: deps
	@$(MAKE) --no-print-directory $(JOBS) all tests
	@.ci/tests $(B)

bench: all ; $(B)/stampede bench --model examples/tiny/checkpoint && $(B)/stampede bench --synthetic 350m

bench-host: $(B)/tests/tools/bench_host
	@$<
	@$(PY) tests/tools/client_bench.py

bench-weights: all
	@PYTHONPATH=protocol/python STAMPEDE_BIN=$(B)/stampede $(PY) tests/tools/bench_weights.py \
	    --picture $(B)/bench-weights.png $(if $(SECOND_COPY),--second-copy)
	@PYTHONPATH=protocol/python STAMPEDE_BIN=$(B)/stampede $(PY) tests/tools/bench_weights_pack.py
bench-drafts: $(B)/stampede
	@STAMPEDE_BIN=$(B)/stampede $(PY) tests/tools/bench_drafts.py

bench-peers: $(B)/stampede .venv-llama/.stampede
	@PYTHONPATH=protocol/python STAMPEDE_BIN=$(B)/stampede $(PY) tests/tools/bench_peers.py \
	    --picture $(B)/bench-peers.png --json $(B)/bench-peers.json $(PEERS_ARGS)
bench-peers-avx2: .venv-llama-avx2/.stampede
	@CPPFLAGS=-DPROCESSOR_WITHOUT_AVX512 $(MAKE) B=$(B)/avx2 $(B)/avx2/stampede
	@PYTHONPATH=protocol/python STAMPEDE_BIN=$(B)/avx2/stampede $(PY) tests/tools/bench_peers.py \
	    --llama .venv-llama-avx2/bin/python $(PEERS_ARGS)

# llama.cpp, built from source: for this machine, and for any with AVX2 (what GGML_NATIVE=OFF is).
.venv-llama/.stampede: LLAMA = -DGGML_NATIVE=ON
.venv-llama-avx2/.stampede: LLAMA = -DGGML_NATIVE=OFF
.venv-llama/.stampede .venv-llama-avx2/.stampede: tests/requirements-llama.txt
	@[ -x $(@D)/bin/python ] || python3 -m venv $(@D)
	@CMAKE_ARGS="$(LLAMA)" CMAKE_BUILD_PARALLEL_LEVEL=$$(nproc) $(@D)/bin/pip \
	    install -q --disable-pip-version-check --no-cache-dir --no-binary llama-cpp-python -r $<
	@touch $@

peers: .venv-peers/.stampede
.venv-peers/.stampede: tests/requirements-peers.txt
	@[ -x .venv-peers/bin/python ] || python3 -m venv .venv-peers
	@.venv-peers/bin/pip install -q --disable-pip-version-check --no-deps -r $<
	@touch $@

verify-bench: $(B)/stampede $(B)/tests/tools/verify_bench
	@STAMPEDE_BIN=$(B)/stampede python3 tests/tools/verify_bench.py

verify-report: $(B)/stampede $(addprefix $(B)/tests/tools/,math_equal math_grade constraints)
	@$(PY) tests/tools/verify_report.py $(B)

# Fuzz targets need clang's libFuzzer, and every object built again for it.
fuzz:
	@$(MAKE) --no-print-directory CC=clang SAN=fuzzer-no-link,address,undefined B=build/fuzz fuzzers
	@.ci/fuzz $(FUZZ_S) build/fuzz
fuzzers: $(FUZZ)
$(FUZZ): LDFLAGS += -fsanitize=fuzzer

lint: ; @.ci/lint --self-test
check-fresh: ; @.ci/check-fresh
format: ; @git ls-files -co --exclude-standard '*.c' '*.h' '*.cu' '*.cuh' | xargs clang-format -i
clean: ; rm -rf build

-include $(patsubst %.o,%.d,$(OBJ) $(HELP)) $(patsubst $(B)/%,$(B)/obj/%.d,$(TESTS) $(TOOLS) $(FUZZ)) \
    $(OBJECTS:%=%.d)
.SECONDARY:
