# The fault matrix (tests/faults/matrix.py --list). The top Makefile includes this file.
.PHONY: test-faults soak
DURATION ?= 3600
MATRIX = STAMPEDE_BIN=$(abspath $(B))/stampede PYTHONPATH=protocol/python $(PY) tests/faults/matrix.py \
    $(if $(ROW),--row $(ROW)) $(if $(CASE),--case $(CASE)) --seed $(or $(SEED),1)
test-faults: all $(PRELOAD) ; @$(MATRIX)
soak: all $(PRELOAD) ; @$(MATRIX) --soak $(DURATION)

# What fails in front of libc; without sanitizers, which stand there themselves.
PRELOAD := $(B)/tests/faults/preload.so
$(PRELOAD): tests/faults/preload.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link $@" &&) $(CC) $(CPPFLAGS) $(filter-out -fsanitize%,$(CFLAGS)) -fPIC \
	    -shared $< -o $@
