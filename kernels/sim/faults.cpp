// How a block ends that cannot go on, and what is said of it.
#include "block.h"
#include "checker.h"
#include "engine.h"

namespace gradlib_sim {

void Worker::leave(bool failed) {
    failed_ = failed;
    if (outside_) throw Outside();
    Machine abandoned;
    switch_machine(abandoned, main_);
    __builtin_unreachable();
}

void Worker::fault(const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    stop("", nullptr, text);
    leave(true);
}

void Worker::fault_at(const char* kind, const Fiber* waiting, const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    stop(kind, waiting, text);
    leave(true);
}

void Worker::stop(const char* kind, const Fiber* waiting, const char* text) {
    Context& c = gradlib_sim_context;
    Fault parts{};
    snprintf(parts.kind, sizeof parts.kind, "%s", kind);
    if (waiting) {
        c.thread = waiting->thread;
        c.linear = waiting->linear;
        current_ = const_cast<Fiber*>(waiting);
    }
    if (checker_) {
        checker_->describe(parts, 0, waiting ? waiting->frame : __builtin_frame_address(0));
    } else {
        place(parts, c.block, c.linear);
    }
    fail(parts, text);
}

void Worker::fail(Fault& parts, const char* text) {
    const uint3& block = gradlib_sim_context.block;
    char where[64];
    snprintf(where, sizeof where, " in block (%u, %u, %u)", block.x, block.y, block.z);
    size_t length = strlen(text);
    if (length && text[length - 1] == ',') --length;
    snprintf(parts.text, sizeof parts.text, "%.*s", (int)length, text);
    job_->fail(text + std::string(where), parts);
}

void Worker::fault(const Fault& parts) {
    report(parts);
    leave(true);
}

void Worker::report(const Fault& parts) { job_->fail(parts.text, parts); }

uint64_t Worker::last_writer(uint64_t address) { return owned_ ? owned_->last_writer(address) : 0; }

// The thread to blame where none can go on, null if none waits; and what kind of fault that is.
const Fiber* Worker::stuck(int& kind) const {
    // A lane that its warp waits for stands elsewhere, perhaps at a barrier: the warp is to blame.
    const Fiber* first[3] = {};
    for (auto& fiber : fibers_) {
        if (fiber->idle) continue;
        const char* what = fiber->site->what;
        bool barrier = !strncmp(what, "__syncthreads", 13) || !strncmp(what, "bar.", 4) ||
                       !strncmp(what, "barrier.", 8);
        bool value = !strncmp(what, "mbarrier", 8) || !strncmp(what, "a loop", 6);
        const Fiber*& one = first[barrier ? 1 : value ? 2 : 0];
        if (!one || fiber->linear < one->linear) one = fiber.get();
    }
    kind = first[0] ? 0 : first[1] ? 1 : 2;
    return first[kind];
}

const char* const Worker::stuck_kinds[] = {"warp-mask", "barrier", "deadlock"};

void Worker::deadlock() {
    int kind;
    const Fiber* first = stuck(kind);
    fault_at(stuck_kinds[kind], first, "no thread can go on: %.900s,", waiting_places().c_str());
}

// One part for each place where threads wait; the fibers know their places.
std::string Worker::waiting_places() {
    struct Place {
        Site site;
        unsigned first, threads;
    };
    std::vector<Place> places;
    for (auto& fiber : fibers_) {
        if (fiber->idle) continue;
        bool known = false;
        for (Place& place : places) {
            if (place.site.line == fiber->site->line && !strcmp(place.site.what, fiber->site->what) &&
                !strcmp(place.site.file, fiber->site->file)) {
                ++place.threads;
                place.first = std::min(place.first, fiber->linear);
                known = true;
            }
        }
        if (!known) places.push_back({*fiber->site, fiber->linear, 1});
    }
    std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.first < b.first; });
    const Context& c = gradlib_sim_context;
    std::string text = "of " + std::to_string(c.count) + " threads";
    for (const Place& place : places) {
        text += ", " + std::to_string(place.threads) + " wait in " + place.site.what + " at " + place.site.file + ":" +
                std::to_string(place.site.line);
    }
    text += ", " + std::to_string(c.finished) + " have returned";
    return engine_ ? text + engine_->describe() : text;
}

// ---- guard zones

static bool intact(const unsigned char* guard) {
    unsigned long long words[guard_bytes / 8], difference = 0;
    memcpy(words, guard, guard_bytes);
    for (unsigned long long word : words) difference |= word ^ (guard_byte * 0x0101010101010101ull);
    return difference == 0;
}

bool Worker::check_guards() {
    for (const Variable& v : variables_) {
        bool before = !intact(v.address - guard_bytes);
        if (!before && intact(v.address + v.size)) continue;
        const unsigned char* byte = before ? v.address - 1 : v.address + v.size;
        while (*byte == guard_byte) byte += before ? -1 : 1;
        const Context& c = gradlib_sim_context;
        char text[512];
        snprintf(text, sizeof text,
                 "a write %s the shared variable %.200s: byte %td of its %zu was overwritten, in block (%u, %u, %u)",
                 before ? "before the start of" : "past the end of", v.name, byte - v.address, v.size, c.block.x,
                 c.block.y, c.block.z);
        Fault parts{};
        snprintf(parts.kind, sizeof parts.kind, "out-of-bounds");
        const uint32_t block[3] = {c.block.x, c.block.y, c.block.z};
        memcpy(parts.block, block, sizeof block);
        snprintf(parts.argument, sizeof parts.argument, "%.60s", v.name);
        snprintf(parts.text, sizeof parts.text, "%s", text);
        job_->fail(text, parts);
        return false;
    }
    return true;
}

}  // namespace gradlib_sim
