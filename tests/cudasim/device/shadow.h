// Shadow memory of the race mode: for each word of device, page-locked and shared memory who wrote
// it last and who has read it since, and for each byte whether it was ever written.
#ifndef TESTS_CUDASIM_DEVICE_SHADOW_H
#define TESTS_CUDASIM_DEVICE_SHADOW_H

#include <stddef.h>
#include <stdint.h>

#include <bitset>
#include <vector>

#include "tests/cudasim/device/clock.h"

namespace cudasim {
namespace race {

// An access that still counts: a read since the last write, an atomic operation, a pending read.
struct Mark {
    Stamp stamp; // of a pending one: slot is its token
    bool pending, atomic, writes;
};

struct Cell {
    Stamp write = {};           // the last ordinary write
    uint32_t pending_write = 0; // a token
    std::vector<Mark> *marks = nullptr;
    Cell *bytes = nullptr; // four cells instead, once an access covered less than the word
};

enum { PAGE_BYTES = 4096 };
struct Page {
    Cell cells[PAGE_BYTES / 4];
    std::bitset<PAGE_BYTES> written;
};

Page *page_of(const void *address); // made when it is first asked for
Page *page_if_any(const void *address);
void cell_clear(Cell *cell);

// f(cell) for each cell of the bytes, f(word cell) where whole words are accessed alike.
template <class F> void each_cell(const void *address, size_t bytes, F f) {
    uintptr_t at = (uintptr_t)address, end = at + bytes;
    while (at < end) {
        Cell *cell = &page_of((void *)at)->cells[at % PAGE_BYTES / 4];
        bool whole = at % 4 == 0 && end - at >= 4;
        if (whole && !cell->bytes) {
            f(cell);
            at += 4;
            continue;
        }
        if (!cell->bytes) {
            cell->bytes = new Cell[4];
            for (int i = 0; i < 4; i++) {
                cell->bytes[i].write = cell->write;
                cell->bytes[i].pending_write = cell->pending_write;
                if (cell->marks) cell->bytes[i].marks = new std::vector<Mark>(*cell->marks);
            }
        }
        uintptr_t word_end = at / 4 * 4 + 4;
        for (; at < end && at < word_end; at++) f(&cell->bytes[at % 4]);
    }
}

} // namespace race
} // namespace cudasim

#endif
