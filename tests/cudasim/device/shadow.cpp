#ifdef CUDASIM_RACE
#include "tests/cudasim/device/shadow.h"

#include <unordered_map>

#include "tests/cudasim/device/race.h"

namespace cudasim {
namespace race {

static std::unordered_map<uintptr_t, Page *> pages;

Page *page_if_any(const void *address) {
    static uintptr_t last_number;
    static Page *last;
    uintptr_t number = (uintptr_t)address / PAGE_BYTES;
    if (last && number == last_number) return last;
    auto found = pages.find(number);
    if (found == pages.end()) return nullptr;
    last_number = number;
    return last = found->second;
}

Page *page_of(const void *address) {
    Page *page = page_if_any(address);
    if (!page) page = pages[(uintptr_t)address / PAGE_BYTES] = new Page();
    return page;
}

void cell_clear(Cell *cell) {
    if (cell->bytes) {
        for (int i = 0; i < 4; i++) delete cell->bytes[i].marks;
        delete[] cell->bytes;
    }
    delete cell->marks;
    *cell = Cell();
}

// Pages outside of the range that nobody has touched are not made.
template <class F> static void each_page(const void *address, size_t bytes, F f) {
    uintptr_t at = (uintptr_t)address, end = at + bytes;
    while (at < end) {
        uintptr_t page_end = at / PAGE_BYTES * PAGE_BYTES + PAGE_BYTES;
        uintptr_t stop = page_end < end ? page_end : end;
        f(at, stop);
        at = stop;
    }
}

void forget(const void *address, size_t bytes) {
    each_page(address, bytes, [](uintptr_t at, uintptr_t end) {
        Page *page = page_if_any((void *)at);
        if (!page) return;
        for (uintptr_t w = at / 4; w < (end + 3) / 4; w++)
            cell_clear(&page->cells[w % (PAGE_BYTES / 4)]);
        for (; at < end; at++) page->written[at % PAGE_BYTES] = false;
    });
}

void filled(void *to, size_t bytes) {
    each_page(to, bytes, [](uintptr_t at, uintptr_t end) {
        Page *page = page_of((void *)at);
        for (; at < end; at++) page->written[at % PAGE_BYTES] = true;
    });
}

void moved(void *to, const void *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        const char *source = (const char *)from + i;
        Page *page = page_if_any(source);
        bool written = page && page->written[(uintptr_t)source % PAGE_BYTES];
        char *target = (char *)to + i;
        page_of(target)->written[(uintptr_t)target % PAGE_BYTES] = written;
    }
}

} // namespace race
} // namespace cudasim
#endif
