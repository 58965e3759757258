// What the emulator does where CUDA leaves a choice, and the device that it stands for. Read from
// the environment once (README.md has the table); the C functions of cudasim.h change it.
#ifndef TESTS_CUDASIM_DEVICE_SETTINGS_H
#define TESTS_CUDASIM_DEVICE_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

namespace cudasim {

// When an asynchronous operation takes effect: at its start, as late as is legal, or in between.
enum class When { early, late, random };

// Limits of a device, from NVIDIA's data sheets and the table of compute capabilities in the CUDA
// programming guide.
struct Device {
    const char *name, *full_name;
    int major, minor;
    int n_sms;
    size_t memory_bytes;
    int shared_per_sm, shared_per_block; // with the opt-in; both without the 1 KB that is reserved
    int threads_per_sm, blocks_per_sm;
    int l2_bytes;
    int clock_khz, memory_clock_khz, memory_bus_bits;
    bool has(int version) const { return major * 10 + minor >= version; }
};
const Device *device_named(const char *name); // null: there is none

struct Settings {
    uint64_t seed = 1;
    bool shuffle = true; // random order of threads, warps and blocks
    When copies = When::late, streams = When::late;
    Device device; // a copy: tests change the number of SMs
    int n_threads = 1; // host threads that run blocks
    bool count = false; // requests and bank conflicts of collectives too
    uint64_t stuck_rounds = 2000; // rounds in which threads only ask, before it is called stuck
};
extern Settings settings;
void settings_from_environment();

} // namespace cudasim

#endif
