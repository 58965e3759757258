// Regions: zeroed, of whole huge pages, and spread over the NUMA nodes that there are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/region.h"
#include "kernels/kernels.h"
#include "protocol/base/machine.h"

enum { MIB = 1 << 20 };

// The kernel's policy for a page; -1 where it may not be asked.
static int policy_of(const void *page, unsigned long *nodes) {
    int mode = -1;
    unsigned long mask[16] = {0};
    if (syscall(SYS_get_mempolicy, &mode, mask, 8 * sizeof mask, page, MPOL_F_ADDR)) return -1;
    *nodes = mask[0];
    return mode;
}

static void test_bytes(void **state) {
    (void)state;
    struct error err;
    struct region r;
    assert_int_equal(region_map(&r, 0, "nothing", &err), 0);
    assert_null(r.data);
    assert_int_equal(region_map(&r, 3 * MIB, "a test", &err), 0);
    assert_int_equal(r.bytes, 4 * MIB);
    for (size_t i = 0; i < r.bytes; i += 4096) assert_int_equal(r.data[i], 0);
    r.data[r.bytes - 1] = 1;
    region_unmap(&r);
    assert_null(r.data);
    assert_int_equal(region_map(&r, SIZE_MAX / 2, "the moon", &err), -1);
    assert_non_null(strstr(err.text, "No memory for the moon: "));
}

static void test_spread(void **state) {
    (void)state;
    struct error err;
    struct region r;
    unsigned long nodes;
    uint64_t here = machine_nodes();
    assert_int_equal(region_map(&r, 4 * MIB, "a test", &err), 0);
    int mode = policy_of(r.data, &nodes);
    if (mode >= 0) assert_int_equal(mode == MPOL_INTERLEAVE, __builtin_popcountll(here) > 1);
    if (region_spread(&r, here) && mode >= 0) {
        assert_int_equal(policy_of(r.data + r.bytes - 1, &nodes), MPOL_INTERLEAVE);
        assert_int_equal(nodes, here);
    }
    r.data[r.bytes - 1] = 1;
    region_unmap(&r);
    // Of nodes that are not there the memory stays as it was.
    assert_int_equal(region_map(&r, 4 * MIB, "a test", &err), 0);
    if (!(here >> 63)) assert_false(region_spread(&r, 1ull << 63));
    r.data[0] = 1;
    region_unmap(&r);
}

static void test_line(void **state) {
    (void)state;
    struct device_facts f = {.name = "X", .path = "avx2", .n_units = 64, .memory_bytes = 1u << 30};
    char line[DEVICE_LINE_BYTES];
    f.n_nodes = 1;
    kernels_device_line(&f, line);
    assert_string_equal(line, "X, 64 cores, 1.0 GiB of memory, path avx2");
    f.n_nodes = 4;
    kernels_device_line(&f, line);
    assert_string_equal(line, "X, 64 cores on 4 NUMA nodes, 1.0 GiB of memory, path avx2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
