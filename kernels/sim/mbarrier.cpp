// mbarrier objects (PTX, section "Parallel Synchronization and Communication Instructions: mbarrier").
// The state is kept where the program put it: 8 bytes of shared memory.
#include "engine.h"

namespace gradlib_sim {

// Bits: phase 1 | expected arrivals 20 | pending arrivals 20 | pending bytes 21, signed | mark 2.
namespace mbarrier_bits {
constexpr unsigned long long low20 = (1 << 20) - 1, mark = 2;
inline unsigned phase(unsigned long long s) { return (unsigned)(s & 1); }
inline unsigned expected(unsigned long long s) { return (unsigned)(s >> 1 & low20); }
inline unsigned pending(unsigned long long s) { return (unsigned)(s >> 21 & low20); }
inline int bytes(unsigned long long s) { return (int)((long long)(s << 2) >> 43); }
inline unsigned long long join(unsigned phase, unsigned expected, unsigned pending, int bytes) {
    return phase | (unsigned long long)expected << 1 | (unsigned long long)pending << 21 |
           ((unsigned long long)(unsigned)bytes & 0x1fffff) << 41 | mark << 62;
}
}  // namespace mbarrier_bits
using namespace mbarrier_bits;

unsigned long long Engine::checked(unsigned long long* barrier, const Site& site) {
    touched_ = true;
    if ((size_t)barrier % 8 || *barrier >> 62 != mark) {
        worker_.fault_at("uninitialised", nullptr,
                         "%s at %s:%d: there is no mbarrier at this address (not initialised, or "
                         "overwritten), thread %u",
                         site.what, site.file, site.line, gradlib_sim_context.linear);
    }
    return *barrier;
}

void Engine::mbarrier_init(unsigned long long* barrier, unsigned count, const Site& site) {
    touched_ = true;
    size_t offset = shared_offset(barrier, 8, site);
    if (offset % 8 || count == 0 || count > low20) {
        worker_.fault_at(offset % 8 ? "misaligned" : "barrier", nullptr,
                         "%s at %s:%d: an mbarrier for %u arrivals at byte "
                         "%zu (need 1 to 2^20 - 1, and a multiple of 8),",
                         site.what, site.file, site.line, count, offset);
    }
    *barrier = join(0, count, count, 0);
}

void Engine::mbarrier_inval(unsigned long long* barrier, const Site& site) {
    checked(barrier, site);
    for (Waiters& waiters : waiters_) {
        if (waiters.barrier == barrier && waiters.queue.head) {
            worker_.fault_at("barrier", nullptr, "%s at %s:%d: threads wait for this mbarrier,", site.what, site.file,
                             site.line);
        }
    }
    memset(barrier, poison_byte, 8);
}

// Store the state; where nothing is pending any more the phase is complete, and the next one begins.
void Engine::settle(unsigned long long* barrier, unsigned long long state) {
    if (pending(state) == 0 && bytes(state) == 0) {
        *barrier = join(phase(state) ^ 1, expected(state), expected(state), 0);
        if (checker()) checker()->completed((Address)barrier);
        if (Cluster* c = cluster()) {
            for (unsigned i = 0; i < c->size(); ++i) c->member(i).engine().wake(barrier);
        } else {
            wake(barrier);
        }
    } else {
        *barrier = state;
    }
}

void Engine::wake(unsigned long long* barrier) {
    polls_ = 0;
    for (Waiters& waiters : waiters_) {
        if (waiters.barrier == barrier) worker_.ready_.take(waiters.queue);
    }
}

// `bytes_expected` is added to the bytes that the phase waits for, before the arrivals count.
unsigned long long Engine::mbarrier_arrive(unsigned long long* barrier, unsigned count, unsigned bytes_expected,
                                           const Site& site) {
    unsigned long long state = checked(barrier, site);
    long long total = (long long)bytes(state) + bytes_expected;
    if (count > pending(state)) {
        worker_.fault_at("barrier", nullptr, "%s at %s:%d: %u more arrivals, but the phase waits for %u of %u,",
                         site.what, site.file, site.line, count, pending(state), expected(state));
    }
    if (total > (long long)low20) {
        worker_.fault_at("barrier", nullptr, "%s at %s:%d: %lld bytes pending on one mbarrier, above 2^20 - 1,",
                         site.what, site.file, site.line, total);
    }
    settle(barrier, join(phase(state), expected(state), pending(state) - count, (int)total));
    return state;
}

void Engine::mbarrier_complete(unsigned long long* barrier, unsigned done, const Site& site) {
    unsigned long long state = checked(barrier, site);
    long long left = (long long)bytes(state) - done;
    if (left < -(long long)low20) {
        worker_.fault_at("barrier", nullptr, "%s at %s:%d: more than 2^20 - 1 bytes arrived unexpected,", site.what,
                         site.file, site.line);
    }
    settle(barrier, join(phase(state), expected(state), pending(state), (int)left));
}

// Whether the phase of this parity is complete; with `wait`, back only then.
bool Engine::mbarrier_test(unsigned long long* barrier, unsigned parity, bool wait_for_it, const Site& site) {
    if (parity > 1) {
        worker_.fault_at("barrier", nullptr, "%s at %s:%d: parity %u,", site.what, site.file, site.line, parity);
    }
    shared_offset(barrier, 8, site);
    if (phase(checked(barrier, site)) != parity) return true;
    if (!wait_for_it) {  // let others run before it asks again
        worker_.suspend(polling_, site);
        return phase(checked(barrier, site)) != parity;
    }
    while (phase(checked(barrier, site)) == parity) {
        Waiters* place = nullptr;
        for (Waiters& waiters : waiters_) {
            if (waiters.barrier == barrier) place = &waiters;
        }
        if (!place) {
            waiters_.push_back({barrier, Queue()});
            place = &waiters_.back();
        }
        wait(place->queue, site);
    }
    return true;
}

std::string Engine::describe() {
    std::string text;
    for (Waiters& waiters : waiters_) {
        if (!waiters.queue.head) continue;
        unsigned long long state = *waiters.barrier;
        std::string name = "shared memory";
        size_t offset = 0;
        for (const auto& v : worker_.variables_) {
            unsigned char* place = reinterpret_cast<unsigned char*>(waiters.barrier);
            if (place >= v.address && place < v.address + v.size) {
                name = v.name;
                offset = (size_t)(place - v.address);
            }
        }
        text += ", the mbarrier at byte " + std::to_string(offset) + " of " + name + " in a phase of parity " +
                std::to_string(phase(state)) + " misses " + std::to_string(pending(state)) + " of " +
                std::to_string(expected(state)) + " arrivals and " + std::to_string(bytes(state)) + " bytes";
    }
    return text;
}

}  // namespace gradlib_sim
