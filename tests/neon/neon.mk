# make check-neon: the CPU backend for 64-bit ARM by a cross compiler, and its kernel tests under
# qemu-user (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user). Without them a sentence
# says what is missing, and nothing fails. It takes 3 minutes of processor time, of which attention
# has two. make check-neon-backend: the whole backend, more than that.
NEON_CC   ?= aarch64-linux-gnu-gcc
NEON_RUN  ?= qemu-aarch64 -L /usr/aarch64-linux-gnu
NEON_SRC  := $(filter-out $(PATHS_x86_64),\
    $(wildcard kernels/*.c kernels/cpu/*.c kernels/types/*.c)) \
    $(addprefix protocol/base/,buffer.c error.c hash.c locale.c machine.c machine_nodes.c memory.c \
    utf8.c) \
    $(wildcard tests/reference*.c) tests/kernels/harness.c tests/neon/cmocka.c
NEON_OBJ  := $(NEON_SRC:%.c=$(B)/neon/%.o) $(patsubst %_neon.c,$(B)/neon/%_neondot.o,\
    $(filter kernels/types/q%_neon.c,$(NEON_SRC)))
NEON_TEST := $(addprefix $(B)/neon/tests/kernels/test_,math types matmul_blocks rms_norm \
    feed_forward matmul attention softmax router rope short_conv draw pool) $(B)/neon/tests/neon/paths
NEON_BACKEND := $(B)/neon/tests/kernels/test_backend
NEON_TOOLS = command -v $(NEON_CC) >/dev/null && command -v $(firstword $(NEON_RUN)) >/dev/null

# One run of a test on a processor: all tests on the one that has everything, on one without dot
# products those of the products. What a test says comes at once, since several run side by side.
NEON_RUNS := $(NEON_TEST:$(B)/neon/%=neon-max/%) $(addprefix neon-cortex-a72/tests/,neon/paths \
    $(addprefix kernels/test_,types matmul_blocks feed_forward matmul))
neon_test = text=$$($(NEON_RUN) -cpu $1 $(B)/neon/$* $2 2>&1); status=$$?; \
    printf '%s, by %s -cpu %s\n%s\n' $(*F) $(firstword $(NEON_RUN)) $1 "$$text"; exit $$status

.PHONY: check-neon check-neon-backend neon-programs $(NEON_RUNS) neon-max/tests/kernels/test_backend
check-neon: WANTED = $(NEON_RUNS)
check-neon-backend: WANTED = neon-max/tests/kernels/test_backend
check-neon check-neon-backend:
	@if $(NEON_TOOLS); then $(MAKE) --no-print-directory $(JOBS) neon-programs && \
	    $(MAKE) --no-print-directory $(JOBS) $(WANTED); \
	else echo "skipped: $@ needs $(NEON_CC) and $(firstword $(NEON_RUN))."; fi
neon-programs: $(NEON_TEST) $(NEON_BACKEND)
neon-max/tests/neon/paths: NEON_ARGS := neon-dot neon-dot neon-bf16
neon-cortex-a72/tests/neon/paths: NEON_ARGS := neon neon none
$(filter neon-max/%,$(NEON_RUNS)) neon-max/tests/kernels/test_backend: neon-max/%: ; @$(call neon_test,max,$(NEON_ARGS))
$(filter neon-cortex-a72/%,$(NEON_RUNS)): neon-cortex-a72/%: ; @$(call neon_test,cortex-a72,$(NEON_ARGS))

# The host's headers of cmocka and xxHash fit: what they declare depends on no machine.
NEON_COMPILE = $(NEON_CC) -I. -D_GNU_SOURCE -DXXH_INLINE_ALL -MMD -MP -std=c11 -O2 -g \
    -fsigned-char -fno-strict-aliasing -ffp-contract=off -Wall -Wextra -Wconversion -Wshadow -Werror \
    -idirafter /usr/include
$(B)/neon/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  cc $< (aarch64)" &&) $(NEON_COMPILE) $(NEON_MORE) -c $< -o $@
$(B)/neon/%_neonbf16.o: NEON_MORE := -march=armv8.2-a+bf16
$(B)/neon/kernels/types/%_neondot.o: kernels/types/%_neon.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  cc $< (aarch64, dot products)" &&) $(NEON_COMPILE) $(NEONDOT) -c $< -o $@
$(NEON_TEST) $(NEON_BACKEND): $(B)/neon/%: $(B)/neon/%.o $(NEON_OBJ)
	$(if $(V),,@echo "  link $@" &&) $(NEON_CC) $^ -lpthread -ldl -lm -o $@
-include $(NEON_OBJ:.o=.d) $(NEON_TEST:%=%.d) $(NEON_BACKEND).d
