#include "kernels/cpu/region.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/base/machine.h"

enum { HUGE_PAGE = 2 << 20 };

size_t region_bytes(size_t bytes) {
    if (bytes < HUGE_PAGE) return bytes;
    return (bytes + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1);
}

bool region_spread(const struct region *r, uint64_t nodes) {
    unsigned long mask = nodes;
    return syscall(SYS_mbind, r->data, r->bytes, MPOL_INTERLEAVE, &mask, 8 * sizeof mask + 1, 0u) ==
           0;
}

int region_map(struct region *r, size_t bytes, const char *what, struct error *err) {
    *r = (struct region){0};
    if (bytes == 0) return 0;
    bytes = region_bytes(bytes);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return error_set(err, ERROR_MEMORY, "No memory for %s: %zu bytes were asked for: %s.", what,
                         bytes, strerror(errno));
    madvise(p, bytes, MADV_HUGEPAGE); // a hint: it may be refused
    *r = (struct region){p, bytes};
    uint64_t nodes = machine_nodes();
    if (nodes & (nodes - 1)) region_spread(r, nodes); // a hint as well
    return 0;
}

void region_unmap(struct region *r) {
    if (r->data) munmap(r->data, r->bytes);
    *r = (struct region){0};
}
