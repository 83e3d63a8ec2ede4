// What a thread knows of the others: the clocks behind "ordered before".
//
// Every thread counts its releases (its `time`), every block its full barriers (its `generation`).  Thread t is ordered
// after an access of u if a full barrier of their block lies between; if they share a warp and t joined a __syncwarp
// with u since; or if t acquired, through an atomic or a barrier object, what u released after it.  Shuffles and votes
// order nothing: CUDA says so.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace gradlib_sim {

enum AccessKind : uint8_t { plain_read, plain_write, atomic_read, atomic_write };

// Asynchronous work has a thread of its own, numbered from here on.  No barrier orders what it does: others learn of it
// by waiting for it.
constexpr unsigned first_agent = 1024;
constexpr uint32_t unordered = ~0u;  // its generation

inline bool conflicting(AccessKind a, AccessKind b) {
    bool writes = a == plain_write || a == atomic_write || b == plain_write || b == atomic_write;
    return writes && (a <= plain_write || b <= plain_write);
}

struct Access {
    uint32_t block;  // its serial number; 0: there is none
    uint32_t generation, time;
    uint32_t pc;  // relative to the module
    uint32_t thread;
    AccessKind kind;
};

// A sparse vector clock: for blocks and threads far away, about which most kernels never learn anything.
class Knowledge {
  public:
    bool empty() const { return times_.empty(); }
    void clear() { times_.clear(); }
    bool covers(const Access& access) const {
        if (times_.empty()) return false;
        return at(access.block, whole) > access.generation || at(access.block, access.thread) >= access.time;
    }
    // Everything that the block did before its generation `value`, or the thread until its time `value`.
    void learn_block(uint32_t block, uint32_t value) { raise(key(block, whole), value); }
    void learn_thread(uint32_t block, uint32_t thread, uint32_t value) { raise(key(block, thread), value); }
    void join(const Knowledge& other) {
        for (const auto& entry : other.times_) raise(entry.first, entry.second);
    }

  private:
    static constexpr uint32_t whole = ~0u;
    static uint64_t key(uint32_t block, uint32_t thread) { return (uint64_t)block << 32 | thread; }
    uint32_t at(uint32_t block, uint32_t thread) const {
        auto found = times_.find(key(block, thread));
        return found == times_.end() ? 0 : found->second;
    }
    void raise(uint64_t key, uint32_t value) {
        uint32_t& known = times_[key];
        if (known < value) known = value;
    }
    std::unordered_map<uint64_t, uint32_t> times_;
};

// The clocks of the running block, and what synchronization objects carry from thread to thread.
class Clocks {
  public:
    void begin_launch();
    void begin_block(uint32_t serial, unsigned threads);
    uint32_t block() const { return block_; }
    uint32_t generation() const { return generation_; }
    uint32_t time(unsigned thread) const { return thread < first_agent ? time_[thread] : 1; }

    bool knows(unsigned thread, const Access& access) const {
        if (access.block == block_) {
            if (access.generation < generation_ || access.thread == thread) return true;
            bool one_warp = access.thread / 32 == thread / 32 && access.thread < first_agent;
            if (one_warp && seen_[thread * 32 + access.thread % 32] >= access.time) return true;
        }
        if (thread >= first_agent) return agents_[thread - first_agent].covers(access);
        return any_ && (common_.covers(access) || far_[thread].covers(access));
    }

    void barrier();                                  // of the whole block: orders everything, and is a fence
    void join_lanes(unsigned warp, uint32_t lanes);  // __syncwarp
    void fence(unsigned thread);  // what atomics of this thread release and have acquired so far
    unsigned fork(unsigned thread);                  // an agent that begins with what the thread knows; its number
    void join(unsigned thread, unsigned agent);      // the thread has waited for the agent
    // An atomic on a location, by its direction; `strong` ones need no fence beside them.
    void release(unsigned thread, uint64_t object, bool strong);
    void acquire(unsigned thread, uint64_t object, bool strong);

  private:
    Knowledge snapshot(unsigned thread);

    uint32_t block_ = 0, generation_ = 1;
    unsigned threads_ = 0;
    bool any_ = false;  // whether anything was ever released in this launch
    std::vector<uint32_t> time_, seen_;
    std::vector<Knowledge> far_, to_release_, to_acquire_;
    std::vector<Knowledge> agents_;
    Knowledge common_;
    std::unordered_map<uint64_t, Knowledge> objects_;
};

}  // namespace gradlib_sim
