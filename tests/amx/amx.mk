# build/amx: a worker and the kernel tests whose AMX instructions are those of tests/amx/emulated.c
# (kernels/amx.h), for tests/python/test_amx.py. The rest of these paths is AVX-512 with bf16, which
# the machine must have. A part of make tests.
AMX_FILES := kernels/amx.c kernels/amx_try.c kernels/cpu/matmul_amxbf16.c \
    worker/commands/limits_amx.c
AMX_OBJ   := $(AMX_FILES:%.c=$(B)/amx/%.o) $(patsubst %_avx512.c,$(B)/amx/%_amx.o,\
    $(filter kernels/types/q%_avx512.c,$(SRC)))
AMX_REST  := $(filter-out $(AMX_OBJ:$(B)/amx/%=$(B)/obj/%),$(OBJ))
AMX_TESTS := $(addprefix $(B)/amx/tests/kernels/test_,types matmul matmul_blocks feed_forward)
AMX_ALL   := $(if $(filter x86_64,$(ARCH)),$(B)/amx/stampede $(AMX_TESTS))
AMX_FLAGS = $(if $(filter %_amx.o %_amxbf16.o %/amx_try.o,$@),$(AVX512) -mavx512bf16) -DAMX_EMULATED

tests: $(AMX_ALL)
$(B)/amx/kernels/types/%_amx.o: kernels/types/%_avx512.c | libraries
	@mkdir -p $(@D)
	$(if $(V),,@echo "  cc $< (AMX, emulated)" &&) $(CC) $(CPPFLAGS) $(CFLAGS) $(AMX_FLAGS) -DDOT_AMX \
	    -c $< -o $@
$(B)/amx/%.o: %.c | libraries
	@mkdir -p $(@D)
	$(if $(V),,@echo "  cc $< (AMX, emulated)" &&) $(CC) $(CPPFLAGS) $(CFLAGS) $(AMX_FLAGS) -c $< -o $@
$(B)/amx/stampede: $(AMX_OBJ) $(AMX_REST) $(B)/obj/tests/amx/emulated.o
	$(if $(V),,@echo "  link $@" &&) $(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(AMX_TESTS): $(B)/amx/%: $(B)/obj/%.o $(AMX_OBJ) $(filter-out $(MAIN),$(AMX_REST)) $(HELP)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link $@" &&) $(CC) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@
-include $(AMX_OBJ:.o=.d)
