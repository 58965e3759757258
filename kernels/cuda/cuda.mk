# The CUDA backend as shared objects beside the program; the top Makefile includes this file behind
# tests/cudasim/cudasim.mk, which finds CUDA's headers and nvcc.
#
# make cuda           stampede_cuda.so, by nvcc, for the architectures CUDA_ARCHS
# make gpu-bundle     build/gpu-bundle: one folder for a bare GPU machine, with the program `check`
# make cuda-emulated  stampede_cudasim.so: the same sources on the emulator; `make tests` has it too
CUDA_C   := $(sort $(wildcard kernels/cuda/*.c)) kernels/shape.c kernels/digest.c kernels/digest_avx512.c kernels/tensor.c \
    $(addprefix protocol/base/,error.c memory.c machine.c utf8.c buffer.c locale.c)
CUDA_CU  := $(sort $(wildcard kernels/cuda/*.cu))
CUDA_OBJ := $(CUDA_C:%.c=$(B)/cuda/host/%.o)
CUDA_DEVICE_OBJ := $(CUDA_CU:%.cu=$(B)/cuda/device/%.o)
# With SAN=address,undefined the emulated object is the emulator's build of that kind.
CUDASIM_KIND := $(if $(findstring address,$(SAN)),memory,normal)
CUDASIM_DEVICE_OBJ := $(CUDA_CU:%.cu=$(CUDASIM)/$(CUDASIM_KIND)/%.cu.o)

# Machine code of an "a" is for that one device; PTX of 100 for those beside and behind it (B300,
# 103, and whatever comes later).
CUDA_CODE := $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$a,code=sm_$a) \
    $(if $(filter 100a,$(CUDA_ARCHS)),-gencode arch=compute_100$(comma)code=compute_100)

.PHONY: cuda cuda-emulated gpu-bundle gpu-bundle-emulated
$(B)/cuda/host/%.o: %.c | libraries
	@mkdir -p $(@D)
	$(if $(V),,@echo "  cc $<" &&) $(CC) $(CPPFLAGS) $(addprefix -isystem ,$(CUDA_INCLUDE)) $(CFLAGS) \
	    -fPIC -c $< -o $@
# cublas.c is another one where `make deps CUDA=wheels` has brought the library's header since.
$(B)/cuda/host/kernels/cuda/cublas.o: $(B)/cuda/cublaslt
$(B)/cuda/cublaslt: FORCE
	@mkdir -p $(@D); h=$(call has_header,cublasLt.h); echo $$h | cmp -s - $@ || echo $$h >$@
$(B)/cuda/host/%_avx512.o: CFLAGS += -mavx512f -mavx512dq -mavx512bw -mavx512vl
$(B)/cuda/device/%.o: %.cu
	@mkdir -p $(@D)
	$(if $(V),,@echo "  nvcc $<" &&) $(NVCC) $(NVCC_FLAGS) $(NVCC_FLAGS_$(<:%.cu=%)) -O3 -MMD -MP \
	    -MF $(@:.o=.d) $(CUDA_CODE) -Xcompiler -fPIC,-ffp-contract=off -c $< -o $@

# cudart is linked in: the object needs the driver, libc and nothing else.
$(B)/stampede_cuda.so: $(CUDA_OBJ) $(CUDA_DEVICE_OBJ) kernels/cuda/backend.map
	$(if $(V),,@echo "  link $@" &&) $(CUDASIM_CXX) -shared -Wl,-z,defs -Wl,-Bsymbolic \
	    -Wl,--version-script=kernels/cuda/backend.map -static-libstdc++ -static-libgcc \
	    $(filter %.o,$^) $(addprefix -L,$(wildcard $(CUDA_HOME)/lib64 $(CUDA_HOME)/lib)) \
	    -lcudart_static -lpthread -ldl -lrt -o $@
$(B)/stampede_cudasim.so: $(CUDA_OBJ) $(CUDASIM_DEVICE_OBJ) $(CUDASIM_OBJ_$(CUDASIM_KIND))
	$(if $(V),,@echo "  link $@" &&) $(CUDASIM_CXX) -shared $(CUDASIM_LINK_$(CUDASIM_KIND)) \
	    $(if $(SAN),,-Wl$(comma)-z$(comma)defs) -Wl,-Bsymbolic $^ $(CUDASIM_LIBS) -o $@

# Tests look in the folder lib beside their own.
$(B)/tests/lib/%.so: $(B)/%.so
	@mkdir -p $(@D)
	@ln -sf ../../$*.so $@
ifneq ($(NVCC),)
cuda: $(B)/tests/lib/stampede_cuda.so
else
cuda:
	@echo "CUDA was left out: there is no nvcc in CUDA_HOME ($(CUDA_HOME)) or PATH."
endif
ifneq ($(HAS_CUDA),)
cuda-emulated: $(B)/tests/lib/stampede_cudasim.so
else
cuda-emulated:
	@echo "CUDA was left out: no cuda_runtime.h with crt/ in CUDA_HOME ($(CUDA_HOME)) or .venv."
endif
# Builds with clang or sanitizers leave the emulator out: it is g++'s and has builds of its own.
ifeq ($(VARIANT),)
tests: cuda-emulated
endif
-include $(CUDA_OBJ:.o=.d) $(CUDA_DEVICE_OBJ:.o=.d) $(CUDASIM_DEVICE_OBJ:.o=.d)

# CUDA_ARCHS=90a KERNEL_CHECK_ARCHS=90a keep it small. The emulated one shows that check works.
ifneq ($(NVCC),)
gpu-bundle: all cuda gpu-wrappers $(B)/tests/kernels/test_backend $(B)/cuda/kernel_check
	@tests/gpu/bundle $(B)
else
gpu-bundle: cuda
endif
gpu-bundle-emulated: all cuda-emulated $(B)/tests/kernels/test_backend \
    $(CUDASIM)/normal/kernels/kernel_check $(CUDASIM)/normal/wrappers/wrappers
	@tests/gpu/bundle $(B) emulated
