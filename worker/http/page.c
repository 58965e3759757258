#include "worker/http/page.h"

#include <stdint.h>

// The build is run in the tree's root, and the Makefile has the dependency.
__asm__(".section .rodata\n"
        ".global page_start\n"
        "page_start:\n"
        ".incbin \"worker/http/page.html\"\n"
        "page_end:\n"
        ".balign 8\n"
        ".global page_bytes\n"
        "page_bytes:\n"
        ".quad page_end - page_start\n"
        ".previous\n");

extern const char page_start[];
extern const uint64_t page_bytes;

struct slice page_html(void) {
    return (struct slice){page_start, page_bytes};
}
