#include "worker/http/page.h"

// The build is run in the tree's root, and the Makefile has the dependency.
__asm__(".section .rodata\n"
        ".global page_start\n"
        ".global page_end\n"
        "page_start:\n"
        ".incbin \"worker/http/page.html\"\n"
        "page_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const char page_start[], page_end[];

struct slice page_html(void) {
    return (struct slice){page_start, (size_t)(page_end - page_start)};
}
