// A fault as the runtime hands it to Python, which finds the source lines.  Mirrored by sim_checked.py.
#pragma once

#include <cstdint>

#include "context.h"

namespace gradlib_sim {

constexpr unsigned fault_frames = 16;

struct Fault {
    char kind[16];      // "" for one that has no kind of its own: a failed assertion, a trap
    char text[512];     // what happened, without its place
    char argument[64];  // the array or shared variable, "" if none
    uint32_t block[3], thread[3];
    uint32_t has_thread;
    uint32_t frame_count;
    uint64_t address;
    uint64_t frames[fault_frames];  // return addresses inside the kernel's module, innermost first, relative to it
    uint64_t other;                 // the other access of a race, relative to the module; 0 if none
};

// An array argument: where it lies, and whether anything has been written there before the launch.
struct Argument {
    const char* name;
    uint64_t begin, bytes;
    uint64_t written;
};

struct CheckedOptions {
    const Argument* arguments;
    uint32_t count;
    uint32_t order;  // of threads and blocks: 0 forward, 1 backward, 2 random
    uint64_t seed;
    uint64_t packed_bytes;
    uint64_t quiet;            // whether what the kernel prints has been printed before
    uint64_t variables, data;  // the module's own: where they begin, and those that can be written
};

}  // namespace gradlib_sim
