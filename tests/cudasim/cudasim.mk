# The emulator of CUDA and the checks of .cu files with nvcc; the top Makefile includes this file.
#
# make cudasim        the emulator's test programs, in three builds: normal, race, memory
# make cuda-check     every .cu compiles for all architectures without warnings, uses no more
#                     registers than tests/cudasim/ptxas.txt says, has no stack frame and spills
#                     nothing, holds the instructions of tests/cudasim/ptx.txt, and ptxas has
#                     nothing to say of its wgmma; also a part of make tests, whose test_ptxas
#                     reads what was found
# make cuda-table     writes ptxas.txt anew
# make gpu-wrappers   build/gpu: the wrappers' cases as a program for a GPU of sm_90a, and what the
#                     emulator computed for the same cases; RUN_WRAPPERS says how it is run there
#
# CUDA's headers come from $(CUDA_HOME), or from the wheels in .venv; cublasLt.h too. NCCL's are
# kernels/cuda/nccl.h, which nccl.h is compared with where it is installed.
# Without cuda_runtime.h (or without nvcc, for cuda-check) the targets say so and do nothing.
CUDA_HOME    ?= $(firstword $(wildcard /usr/local/cuda /usr/lib/cuda \
    .venv/lib/python3*/site-packages/nvidia/cu13))
CUDA_INCLUDE := $(wildcard $(addsuffix /include,$(CUDA_HOME) \
    $(wildcard .venv/lib/python3*/site-packages/nvidia/cu13 \
    .venv/lib/python3*/site-packages/nvidia/nccl)) $(CUDA_EXTRA_INCLUDE))
has_header    = $(firstword $(wildcard $(addsuffix /$1,$(CUDA_INCLUDE))))
# PyTorch's wheels bring the runtime's headers without those of the compiler that they include.
HAS_CUDA     := $(and $(call has_header,cuda_runtime.h),$(call has_header,crt/host_defines.h))
NVCC         ?= $(firstword $(wildcard $(CUDA_HOME)/bin/nvcc) $(shell command -v nvcc))
CUDA_ARCHS   := 80 89 90a 100a 120a
CUDASIM      := $(B)/cudasim

# The emulator is g++'s C++17, whatever CC is. AVX2 where this machine has it: the same bits.
CUDASIM_CXX   := g++
CUDASIM_ISA   := $(if $(shell grep -m1 -o avx2 /proc/cpuinfo 2>/dev/null),-mavx2 -mfma -mf16c)
CUDASIM_FLAGS := -std=c++17 -g $(CUDASIM_ISA) -fPIC -I. $(addprefix -isystem ,$(CUDA_INCLUDE)) \
    -MMD -MP -Wall -Wextra -Wno-unused-parameter -Werror -ffp-contract=off -fno-strict-aliasing \
    -fno-omit-frame-pointer -fno-semantic-interposition
CUDASIM_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
CUDASIM_FLAGS_normal := -O2
CUDASIM_FLAGS_race   := -O2 -DCUDASIM_RACE
CUDASIM_FLAGS_memory := -O1 $(CUDASIM_SANITIZE)
# Kernels: the emulator's header comes first in each; unknown pragmas are nvcc's.
CUDASIM_CU_FLAGS := -DCUDASIM -include tests/cudasim/device/device.h -Wno-unknown-pragmas -Wno-psabi
CUDASIM_CU_FLAGS_normal := -O2
# Whole vectors are loaded and stored, so that they are counted as the GPU moves them.
CUDASIM_CU_FLAGS_race   := -O1 -fno-tree-sra -fsanitize=thread --param tsan-distinguish-volatile=1 \
    -ftrivial-auto-var-init=pattern
CUDASIM_CU_FLAGS_memory := -O1 $(CUDASIM_SANITIZE) -ftrivial-auto-var-init=pattern
CUDASIM_LINK_memory := $(CUDASIM_SANITIZE)
CUDASIM_LIBS := -ldl -lpthread -lrt

CUDASIM_SRC := $(sort $(wildcard tests/cudasim/device/*.cpp tests/cudasim/host/*.cpp))
CUDASIM_SRC := $(filter-out $(if $(call has_header,cublasLt.h),,tests/cudasim/host/cublaslt%) \
    $(if $(call has_header,nccl.h),,tests/cudasim/host/nccl_facts.cpp),$(CUDASIM_SRC))
# Programs of one .cu file each, and two of several.
CUDASIM_ONE := $(patsubst tests/cudasim/%.cu,%,$(sort $(wildcard tests/cudasim/cases/*.cu \
    tests/cudasim/bugs/*.cu)))
CUDASIM_ONE := $(filter-out $(if $(call has_header,cublasLt.h),,%/cublaslt),$(CUDASIM_ONE))
CUDASIM_SAMPLES  := $(sort $(wildcard tests/cudasim/samples/*.cu))
CUDASIM_WRAPPERS := $(sort $(wildcard tests/cudasim/wrappers/*.cu)) $(CUDASIM_SAMPLES)
# kernel_check: all kernels, their checks, and the float64 twins in C.
CUDASIM_KERNELS := $(sort $(wildcard kernels/cuda/*.cu tests/cudasim/kernels/*.cu))
CUDASIM_TWINS   := $(patsubst %.c,$(B)/obj/%.o,tests/reference.c protocol/base/memory.c \
    kernels/digest.c kernels/digest_avx512.c)

.PHONY: cudasim cuda-check cuda-table gpu-wrappers
define CUDASIM_VARIANT
$$(CUDASIM)/$1/%.o: %.cpp
	@mkdir -p $$(@D)
	$$(if $$(V),,@echo "  c++ ($1) $$<" &&) $$(CUDASIM_CXX) $$(CUDASIM_FLAGS) $$(CUDASIM_FLAGS_$1) \
	    -c $$< -o $$@
$$(CUDASIM)/$1/%.cu.o: %.cu
	@mkdir -p $$(@D)
	$$(if $$(V),,@echo "  cu ($1) $$<" &&) $$(CUDASIM_CXX) $$(CUDASIM_FLAGS) $$(CUDASIM_CU_FLAGS) \
	    $$(CUDASIM_CU_FLAGS_$1) -x c++ -c $$< -o $$@
# Linked first: of templates that both instantiate, the emulator's must not be those that the race
# build has made report their accesses.
CUDASIM_OBJ_$1 := $$(CUDASIM_SRC:%.cpp=$$(CUDASIM)/$1/%.o)
CUDASIM_SAMPLES_$1 := $$(CUDASIM_SAMPLES:%.cu=$$(CUDASIM)/$1/%.cu.o)
CUDASIM_BIN_$1 := $$(addprefix $$(CUDASIM)/$1/,$$(CUDASIM_ONE) wrappers/wrappers \
    kernels/kernel_check)
$$(addprefix $$(CUDASIM)/$1/,$$(CUDASIM_ONE)): $$(CUDASIM)/$1/%: \
    $$(CUDASIM)/$1/tests/cudasim/%.cu.o $$(CUDASIM_SAMPLES_$1) $$(CUDASIM_OBJ_$1)
	@mkdir -p $$(@D)
	$$(if $$(V),,@echo "  link $$@" &&) $$(CUDASIM_CXX) $$(CUDASIM_LINK_$1) -rdynamic \
	    $$(CUDASIM_OBJ_$1) $$(filter-out $$(CUDASIM_OBJ_$1),$$^) $$(CUDASIM_LIBS) -o $$@
$$(CUDASIM)/$1/wrappers/wrappers: $$(CUDASIM_WRAPPERS:%.cu=$$(CUDASIM)/$1/%.cu.o) $$(CUDASIM_OBJ_$1)
	@mkdir -p $$(@D)
	$$(if $$(V),,@echo "  link $$@" &&) $$(CUDASIM_CXX) $$(CUDASIM_LINK_$1) -rdynamic \
	    $$(CUDASIM_OBJ_$1) $$(filter-out $$(CUDASIM_OBJ_$1),$$^) $$(CUDASIM_LIBS) -o $$@
$$(CUDASIM)/$1/kernels/kernel_check: $$(CUDASIM_KERNELS:%.cu=$$(CUDASIM)/$1/%.cu.o) \
    $$(CUDASIM_OBJ_$1) $$(CUDASIM_TWINS)
	@mkdir -p $$(@D)
	$$(if $$(V),,@echo "  link $$@" &&) $$(CUDASIM_CXX) $$(CUDASIM_LINK_$1) -rdynamic \
	    $$(CUDASIM_OBJ_$1) $$(filter-out $$(CUDASIM_OBJ_$1),$$^) $$(CUDASIM_LIBS) -o $$@
-include $$(CUDASIM_KERNELS:%.cu=$$(CUDASIM)/$1/%.cu.d)
-include $$(CUDASIM_OBJ_$1:.o=.d) $$(CUDASIM_SAMPLES_$1:.o=.d) \
    $$(CUDASIM_WRAPPERS:%.cu=$$(CUDASIM)/$1/%.cu.d) \
    $$(CUDASIM_ONE:%=$$(CUDASIM)/$1/tests/cudasim/%.cu.d)
endef
$(foreach v,normal race memory,$(eval $(call CUDASIM_VARIANT,$v)))

$(foreach v,normal race memory,$(CUDASIM)/$v/tests/cudasim/device/product.o): CUDASIM_FLAGS += -O3

ifneq ($(HAS_CUDA),)
cudasim: $(CUDASIM_BIN_normal) $(CUDASIM_BIN_race) $(CUDASIM_BIN_memory)
	@echo "present$(if $(call has_header,cublasLt.h), cublaslt) nccl" \
	    >$(CUDASIM)/state
else
cudasim:
	@mkdir -p $(CUDASIM)
	@echo "absent: no cuda_runtime.h with crt/ in CUDA_HOME ($(CUDA_HOME)) or .venv" >$(CUDASIM)/state
	@echo "CUDA was left out ($$(cat $(CUDASIM)/state)). make deps CUDA=wheels brings it."
endif
# Other builds of the tests (clang, sanitizers) leave it out: it has its own.
ifeq ($(VARIANT),)
tests: cudasim
endif

# ------------------------------------------------------------------ nvcc

CUDA_CHECKED := $(sort $(wildcard kernels/cuda/*.cu) $(CUDASIM_SAMPLES))
CUDA_PTX := $(foreach a,$(CUDA_ARCHS),$(CUDA_CHECKED:%.cu=$(B)/cuda/%.sm_$a.log))
NVCC_FLAGS := -std=c++17 -I. -Werror all-warnings -fmad=false
# The PTX of one architecture, then machine code from it; what ptxas says is the log.
$(B)/cuda/%.log:
	@mkdir -p $(@D)
	$(if $(V),,@echo "  nvcc $*" &&) $(NVCC) $(NVCC_FLAGS) $(NVCC_FLAGS_$(basename $*)) -MMD \
	    -MT $@ -MF $(@:.log=.d) -arch=$(patsubst .sm_%,compute_%,$(suffix $*)) -ptx $(basename $*).cu \
	    -o $(@:.log=.ptx)
	@ptxas=$(dir $(NVCC))ptxas; [ -x $$ptxas ] || ptxas=ptxas; \
	    $$ptxas -v --warning-as-error -arch=$(patsubst .%,%,$(suffix $*)) $(@:.log=.ptx) \
	    -o $(@:.log=.cubin) >$@.new 2>&1 || { cat $@.new; exit 1; }; mv $@.new $@
-include $(CUDA_PTX:.log=.d)

# kernel_check for a GPU, of as many architectures: KERNEL_CHECK_ARCHS=90a is built in a third of
# the time.
KERNEL_CHECK_ARCHS ?= $(CUDA_ARCHS)
$(B)/cuda/gpu/%.o: %.cu
	@mkdir -p $(@D)
	$(if $(V),,@echo "  nvcc $<" &&) $(NVCC) $(NVCC_FLAGS) -O3 -MMD -MT $@ -MF $(@:.o=.d) \
	    $(foreach a,$(KERNEL_CHECK_ARCHS),-gencode arch=compute_$a$(comma)code=sm_$a) -c $< -o $@
$(B)/cuda/kernel_check: $(CUDASIM_KERNELS:%.cu=$(B)/cuda/gpu/%.o) $(CUDASIM_TWINS)
	$(if $(V),,@echo "  link $@" &&) $(NVCC) -cudart static \
	    $(foreach a,$(KERNEL_CHECK_ARCHS),-gencode arch=compute_$a$(comma)code=sm_$a) $^ -o $@
-include $(CUDASIM_KERNELS:%.cu=$(B)/cuda/gpu/%.d)

# The wrappers on a GPU: nothing but the driver and glibc is needed where it runs.
GPU_WRAPPERS := $(CUDASIM_WRAPPERS:%.cu=$(B)/cuda/%.sm_90a.o)
$(B)/cuda/%.sm_90a.o: %.cu
	@mkdir -p $(@D)
	$(if $(V),,@echo "  nvcc $@" &&) $(NVCC) $(NVCC_FLAGS) -O2 -MMD -MT $@ -MF $(@:.o=.o.d) \
	    -gencode arch=compute_90a,code=sm_90a -c $< -o $@ 2>$@.log || { cat $@.log; exit 1; }
$(B)/gpu/gpu_wrappers: $(GPU_WRAPPERS)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link $@" &&) $(NVCC) -arch=sm_90a -cudart static \
	    -Xcompiler -static-libgcc,-static-libstdc++ $^ -o $@
$(B)/gpu/emulated.bin: $(CUDASIM)/normal/wrappers/wrappers
	@mkdir -p $(@D)
	$< --seeds 3 --dump $@ >$@.log || { cat $@.log; exit 1; }
-include $(GPU_WRAPPERS:.o=.o.d)
RUN_WRAPPERS = cd $(B)/gpu && ./gpu_wrappers --seeds 3 --against emulated.bin --dump gpu.bin

CUDA_FINDINGS := $(B)/cuda/findings.txt
ifneq ($(NVCC),)
gpu-wrappers: $(B)/gpu/gpu_wrappers $(B)/gpu/emulated.bin
	@echo "$(RUN_WRAPPERS)"
$(CUDA_FINDINGS): $(CUDA_PTX) tests/cudasim/ptxas.py tests/cudasim/ptxas.txt tests/cudasim/ptx.txt
	@python3 tests/cudasim/ptxas.py $(B)/cuda $(CUDA_PTX) >$@ 2>&1 || true
cuda-check: $(CUDA_FINDINGS)
	@cat $<; ! grep -qv '^cuda-check: ' $<
cuda-table: $(CUDA_PTX)
	@python3 tests/cudasim/ptxas.py --write $(B)/cuda $(CUDA_PTX)
else
.PHONY: $(CUDA_FINDINGS)
$(CUDA_FINDINGS):
	@mkdir -p $(@D)
	@echo "absent: there is no nvcc in CUDA_HOME ($(CUDA_HOME)) or PATH" >$@
cuda-check: $(CUDA_FINDINGS)
	@echo "CUDA was left out ($$(cat $<))."
cuda-table gpu-wrappers:
	@echo "CUDA was left out: there is no nvcc in CUDA_HOME ($(CUDA_HOME)) or PATH."
endif
ifeq ($(VARIANT),)
tests: $(CUDA_FINDINGS)
endif
