# make deps     install what is missing: system packages and the Python environment .venv
# make          build/stampede
# make demo     deps, build, then a worker and a PyTorch trainer: rollouts and a rising curve
# make test     deps, build, every test; ends with "N passed, N failed, N skipped"
# make bench    prefill and decode speed on synthetic and shipped models
# make fuzz     each fuzz target for FUZZ_S seconds (default 20)
# make lint     include rules, formatting, sizes, cppcheck
# make format   clang-format over the tree
# make install  PREFIX=/usr/local
# make clean    remove build
# Variables: CC=gcc|clang  SAN=address,undefined|thread  V=1 prints the commands
.DEFAULT_GOAL := all
CC     := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX ?= /usr/local
FUZZ_S ?= 20
PY     := .venv/bin/python
comma  := ,
VARIANT := $(if $(filter gcc,$(CC)),,$(notdir $(CC)))$(if $(SAN),-$(subst $(comma),-,$(SAN)))
B      := build$(if $(VARIANT),/$(patsubst -%,%,$(VARIANT)))
Q      := $(if $(V),,@)

# The one list of system packages. a|b: the first of them that the distribution has.
PACKAGES := build-essential pkg-config python3 python3-venv clang clang-format cppcheck \
    libclang-rt-14-dev|libclang-rt-dev libzmq3-dev libmsgpack-dev|libmsgpack-c-dev libpcre2-dev \
    libutf8proc-dev libxxhash-dev libcmocka-dev
LIBS_PC := libzmq libpcre2-8 libutf8proc libxxhash
MSGPACK := $(shell pkg-config --exists msgpack-c && echo msgpack-c || echo msgpack)

CPPFLAGS += -I. -D_GNU_SOURCE -DSTAMPEDE_COMMIT='"$(COMMIT)"' -MMD -MP
CFLAGS   += -std=c11 -O2 -g -fno-strict-aliasing -ffp-contract=off -Wall -Wextra -Wconversion \
    -Wshadow -Werror -fno-omit-frame-pointer $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
CPPFLAGS += $(shell pkg-config --cflags $(LIBS_PC) $(MSGPACK) 2>/dev/null)
LDLIBS   += $(shell pkg-config --libs $(LIBS_PC) $(MSGPACK) 2>/dev/null) -lpthread -ldl
LDFLAGS  += $(if $(SAN),-fsanitize=$(SAN))
COMMIT   := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

SRC   := $(wildcard worker/*.c worker/*/*.c kernels/*.c kernels/cpu/*.c protocol/*.c \
    protocol/base/*.c verifiers/*.c verifiers/*/*.c)
OBJ   := $(SRC:%.c=$(B)/obj/%.o)
MAIN  := $(B)/obj/worker/main.o
TESTS := $(patsubst %.c,$(B)/%,$(shell find tests -name 'test_*.c' 2>/dev/null))
HELP  := $(patsubst %.c,$(B)/obj/%.o,$(shell find tests -name '*.c' ! -name 'test_*.c' \
    ! -name 'fuzz_*.c' ! -path 'tests/tools/*' 2>/dev/null))
FUZZ  := $(patsubst %.c,$(B)/%,$(shell find tests -name 'fuzz_*.c' 2>/dev/null))

.PHONY: all deps demo test bench fuzz lint format install clean help tests fuzzers
all: $(B)/stampede

help: ; @sed -n '/^# /s/^# //p;/^\.DEFAULT/q' Makefile

$(B)/stampede: $(OBJ)
	$(if $(V),,@echo "  link $@" &&) $(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(B)/obj/%_avx2.o: CFLAGS += -mavx2 -mfma -mf16c
$(B)/obj/%.o: %.c | deps-note
	@mkdir -p $(@D)
	$(if $(V),,@echo "  cc $<" &&) $(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# A test is one program with its own main(): everything but the worker's main is linked in.
$(B)/tests/%: $(B)/obj/tests/%.o $(filter-out $(MAIN),$(OBJ)) $(HELP)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@
$(B)/tests/%: LDLIBS += -lm
tests: $(TESTS)

.PHONY: deps-note
deps-note:
	@pkg-config --exists $(LIBS_PC) || { echo "Libraries are missing: run make deps first."; exit 1; }

deps: ; @.ci/deps "$(PACKAGES)" tests/requirements.txt

demo: deps
	@$(MAKE) --no-print-directory all
	@$(PY) examples/grpo.py --quick

test: deps
	@$(MAKE) --no-print-directory all tests
	@.ci/tests $(B)

bench: all ; $(B)/stampede bench --model examples/tiny/checkpoint && $(B)/stampede bench --synthetic 350m

# Fuzz targets need clang's libFuzzer; every object is built again under the sanitizers.
fuzz: ; @$(MAKE) --no-print-directory CC=clang SAN=fuzzer-no-link,address,undefined fuzzers && .ci/fuzz $(FUZZ_S)
fuzzers: $(FUZZ)
$(B)/tests/%: LDFLAGS += $(if $(findstring fuzz_,$@),-fsanitize=fuzzer)

lint: ; @.ci/lint
format: ; @git ls-files '*.c' '*.h' '*.cu' | xargs clang-format -i
install: all
	install -Dm755 $(B)/stampede $(DESTDIR)$(PREFIX)/bin/stampede
clean: ; rm -rf build

-include $(OBJ:.o=.d) $(HELP:.o=.d)
-include $(patsubst $(B)/%,$(B)/obj/%.d,$(TESTS) $(FUZZ))
.SECONDARY:
