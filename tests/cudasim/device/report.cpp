// What is said of a mistake: one sentence with the kernel, the block, the thread and the source line.
#include <cxxabi.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <map>

#include "tests/cudasim/device/block.h"
#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/device/sim.h"

namespace cudasim {

std::string text(const char *format, ...) {
    char buffer[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    return buffer;
}

// The first line that addr2line gives for the address which is not the emulator's or a wrapper's.
static std::string ask_addr2line(const void *caller) {
    Dl_info info;
    if (!dladdr(caller, &info) || !info.dli_fname) return "";
    size_t offset = (size_t)((const char *)caller - (const char *)info.dli_fbase) - 1;
    std::string command = text("addr2line -i -e '%s' 0x%zx 2>/dev/null", info.dli_fname, offset);
    FILE *pipe = popen(command.c_str(), "r");
    if (!pipe) return "";
    char line[512];
    std::string found;
    while (found.empty() && fgets(line, sizeof line, pipe)) {
        if (line[0] == '?' || strstr(line, "cudasim/device/") || strstr(line, "kernels/cuda/ptx") ||
            strstr(line, "kernels/cuda/launch.h") || strstr(line, "/include/c++/"))
            continue;
        const char *slash = strrchr(line, '/');
        found = slash ? slash + 1 : line;
        found.resize(strcspn(found.c_str(), " \n"));
    }
    pclose(pipe);
    return found;
}

std::string source_line(const void *caller) {
    static std::map<const void *, std::string> known;
    if (!caller) return "";
    auto found = known.find(caller);
    if (found == known.end()) found = known.emplace(caller, ask_addr2line(caller)).first;
    return found->second;
}

std::string describe_thread(const Thread *t) {
    const uint3 &b = t->owner->block_index, &i = t->thread_index;
    return text("thread (%u,%u,%u) of block (%u,%u,%u)", i.x, i.y, i.z, b.x, b.y, b.z);
}

static std::string describe_shared(const Block *b, const unsigned char *p) {
    const SharedArray *near = nullptr;
    for (const SharedArray &a : b->arrays)
        if (p >= a.at && (!near || a.at > near->at)) near = &a;
    if (!near) return text("shared memory at %p", (const void *)p);
    std::string name = near->name ? text("the shared array %s", near->name)
                                  : text("the %zu bytes taken at %zu of the dynamic shared memory",
                                         near->bytes, near->begin);
    return text("byte %zu of %s", (size_t)(p - near->at), name.c_str());
}

std::string describe(const void *address) {
    const unsigned char *p = (const unsigned char *)address;
    Thread *t = current_thread();
    if (t && shared_holds(t->owner, p)) return describe_shared(t->owner, p);
    if (t)
        for (const Block *b : t->owner->machine->resident)
            if (shared_holds(b, p))
                return describe_shared(b, p) + text(" of block (%u,%u,%u)", b->block_index.x,
                                                    b->block_index.y, b->block_index.z);
    if (memory_find(p)) {
        const Buffer &part = memory_buffer(memory_part(p));
        return text("byte %zu of %s", (size_t)(p - part.at), part.name.c_str());
    }
    const Buffer *before = memory_before(p);
    if (before) return text("byte %zu of %s", (size_t)(p - before->at), before->name.c_str());
    return text("address %p", address);
}

void fail(const void *caller, const char *format, ...) {
    char sentence[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    std::string where;
    if (Thread *t = current_thread())
        where = text("%s, %s", t->owner->grid->name.c_str(), describe_thread(t).c_str());
    std::string line = source_line(caller);
    if (!line.empty()) where += (where.empty() ? "" : ", ") + line;
    fflush(stdout);
    fprintf(stderr, "cudasim: %s%s%s.\n", where.c_str(), where.empty() ? "" : ": ", sentence);
    abort();
}

void trap(const char *what) { fail(CALLER, "%s", what); }

// ---------------------------------------------------------------- deadlocks

// Who waits where, the same places counted together.
void Machine::deadlock(const char *kind) {
    std::map<std::string, unsigned> waiting;
    std::string pending;
    for (const Block *b : resident) {
        for (unsigned i = 0; i < b->n_threads; i++) {
            const Thread *t = &b->threads[i];
            bool waits = t->warp->live & t->bit && !(t->warp->runnable & t->bit);
            if (!waits || !t->wait.what) continue;
            std::string at = t->wait.what, line = source_line(t->wait.caller);
            if (t->wait.key && (shared_holds(b, t->wait.key)))
                at += " on " + describe_shared(b, (const unsigned char *)t->wait.key) +
                      mbarrier_text(b, t->wait.key);
            waiting[at + (line.empty() ? "" : " (" + line + ")")]++;
        }
        for (const Pending &p : b->pending) pending += ", " + p.describe();
    }
    std::string list;
    for (const auto &entry : waiting)
        list += text("%s%u %s", list.empty() ? "" : ", ", entry.second, entry.first.c_str());
    std::string name = grids.empty() ? "" : grids[0]->name;
    place = nullptr;
    fail(nullptr, "%s: %s; %zu blocks are resident: %s%s", name.c_str(), kind, resident.size(),
         list.c_str(), pending.c_str());
}

} // namespace cudasim
