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
    char where[64];
    snprintf(where, sizeof where, " in block (%u, %u, %u)", c.block.x, c.block.y, c.block.z);
    Fault parts{};
    snprintf(parts.kind, sizeof parts.kind, "%s", kind);
    snprintf(parts.text, sizeof parts.text, "%.*s", (int)(strlen(text) - (strlen(text) && text[strlen(text) - 1] == ',')),
             text);
    if (waiting) {
        c.thread = waiting->thread;
        current_ = const_cast<Fiber*>(waiting);
    }
    if (checker_) checker_->describe(parts, 0, waiting ? waiting->frame : __builtin_frame_address(0));
    job_->fail(text + std::string(where), parts);
}

void Worker::fault(const Fault& parts) {
    report(parts);
    leave(true);
}

void Worker::report(const Fault& parts) { job_->fail(parts.text, parts); }

uint64_t Worker::last_writer(uint64_t address) { return owned_ ? owned_->last_writer(address) : 0; }

// What the block's threads wait for; `blamed` and `kind`: the one to blame, and what to call it.
std::string Worker::waiting_places(const Fiber*& blamed, const char*& kind) {
    // One line for each place where threads wait; the fibers know their places.
    struct Place {
        Site site;
        unsigned first, threads;
    };
    std::vector<Place> places;
    const Fiber *in_warp = nullptr, *in_barrier = nullptr, *elsewhere = nullptr;
    for (auto& fiber : fibers_) {
        if (fiber->idle) continue;
        const char* what = fiber->site->what;
        const Fiber*& first = !strncmp(what, "__syncthreads", 13) ? in_barrier
                              : what[0] == '_' && strstr(what, "sync") ? in_warp : elsewhere;
        if (!first || fiber->linear < first->linear) first = fiber.get();
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
    // A lane that its warp waits for stands elsewhere, perhaps at a barrier: the warp is to blame.
    blamed = in_warp ? in_warp : in_barrier ? in_barrier : elsewhere;
    kind = in_warp ? "warp-mask" : in_barrier ? "barrier" : "deadlock";
    text += ", " + std::to_string(c.finished) + " have returned";
    return engine_ ? text + engine_->describe() : text;
}

void Worker::deadlock() {
    const Fiber* blamed = nullptr;
    const char* kind = "";
    std::string text = waiting_places(blamed, kind);
    fault_at(kind, blamed, "no thread can go on: %.900s,", text.c_str());
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
        snprintf(parts.argument, sizeof parts.argument, "%.60s", v.name);
        snprintf(parts.text, sizeof parts.text, "%s", text);
        job_->fail(text, parts);
        return false;
    }
    return true;
}

}  // namespace gradlib_sim
