# What leaves the checkout: an installation, a wheel, an image. The top Makefile includes this file.
.PHONY: install wheel check-image
VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' protocol/python/pyproject.toml)
# verify.h needs three of protocol/base; programs include them as the tree does: verifiers/verify.h.
HEADERS := kernels/diff/library.h verifiers/library.h verifiers/verify.h \
    $(addprefix protocol/base/,buffer.h error.h slice.h)

install: TO = $(DESTDIR)$(PREFIX)
install: all $(WEIGHTS)
	install -Dm755 $(B)/stampede $(TO)/bin/stampede
	for l in $(LIBRARY) $(WEIGHTS); do install -Dm644 $$l -t $(TO)/lib || exit; done
	[ ! -e $(B)/stampede_cuda.so ] || \
	    install -Dm755 $(B)/stampede_cuda.so $(TO)/lib/stampede_cuda.so
	for h in $(HEADERS); do install -Dm644 $$h $(TO)/include/stampede/$$h || exit; done
	install -d $(TO)/lib/pkgconfig
	for pc in verifiers/stampede_verify kernels/diff/stampede_weights; do \
	    sed 's|@PREFIX@|$(PREFIX)|;s|@VERSION@|$(VERSION)|' $$pc.pc.in \
	        >$(TO)/lib/pkgconfig/$${pc##*/}.pc || exit; done

wheel: all $(WEIGHTS) ; @.ci/wheel $(B) $(PY)
check-image:
	@STAMPEDE_IMAGE=$(or $(IMAGE),all) $(PY) -m pytest -q -p no:cacheprovider \
	    tests/docker/test_image.py

# The packages of the list that a build needs, and not its tests; the image's build stage has these.
BUILD_PACKAGES = $(filter build-essential pkg-config %-dev,\
    $(filter-out libclang% libcmocka%,$(PACKAGES)))
.PHONY: build-deps
build-deps: ; @.ci/deps "$(BUILD_PACKAGES)"
