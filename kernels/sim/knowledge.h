// What a thread knows of the others: the clocks behind "ordered before".
//
// Every thread counts its releases (its `time`), every block its full barriers (its `generation`).  Thread t is ordered
// after an access of u if a full barrier of their block lies between; if they share a warp and t joined a __syncwarp
// with u since; or if t acquired, through an atomic or a barrier object, what u released after it.  Shuffles and votes
// order nothing: CUDA says so.
//
// The copy engine and wgmma reach memory through the async proxy.  They see what ordinary stores wrote if a proxy fence
// lies on the path from the one to the other (PTX, "Async Proxy" and "membar/fence": such a fence takes effect within
// the thread that executes it, and composes with other synchronization).  So all knowledge is kept once more, narrowed
// to what was known at such a fence.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace gradlib_sim {

// init_write is mbarrier.init's; atomic_update reads and writes.
enum AccessKind : uint8_t { plain_read, plain_write, init_write, atomic_read, atomic_write, atomic_update };

inline bool writes(AccessKind kind) { return kind != plain_read && kind != atomic_read; }
inline bool plain(AccessKind kind) { return kind <= init_write; }
inline bool conflicting(AccessKind a, AccessKind b) { return (writes(a) || writes(b)) && (plain(a) || plain(b)); }

// Asynchronous work has a thread of its own, numbered from here on.  No barrier orders what it does: others learn of it
// by waiting for it.  That of cp.async is done in the generic proxy.
constexpr uint32_t first_agent = 1024, generic_agent = 1u << 30;
constexpr uint32_t unordered = ~0u;  // its generation

inline bool in_async_proxy(uint32_t thread) { return thread >= first_agent && thread < generic_agent; }

struct Access {
    uint32_t block;  // its serial number; 0: there is none
    uint32_t generation, time;
    uint32_t pc;  // relative to the module
    uint32_t thread;
    uint16_t issuer;  // the thread itself, or that which issued an agent's work
    AccessKind kind;
};

// A sparse vector clock: for blocks and threads far away, about which most kernels never learn anything.  Copies share
// their entries until one of them changes.
class Times {
  public:
    bool empty() const { return !entries_; }
    void clear() { entries_.reset(); }
    bool covers(const Access& access) const {
        if (!entries_) return false;
        return at(access.block, whole) > access.generation || at(access.block, access.thread) >= access.time;
    }
    // Whether anything at all is known of the block: that it has begun.
    bool knows_of(uint32_t block) const;
    // Everything that the block did before its generation `value`, or the thread until its time `value`.
    void learn_block(uint32_t block, uint32_t value) { raise(key(block, whole), value); }
    void learn_thread(uint32_t block, uint32_t thread, uint32_t value) { raise(key(block, thread), value); }
    void join(const Times& other);

  private:
    struct Entry {
        uint64_t key;
        uint32_t value;
        bool operator<(const Entry& other) const { return key < other.key; }
    };
    typedef std::vector<Entry> Entries;  // by ascending keys
    static constexpr uint32_t whole = ~0u;
    static uint64_t key(uint32_t block, uint32_t thread) { return (uint64_t)block << 32 | thread; }
    uint32_t at(uint32_t block, uint32_t thread) const;
    void raise(uint64_t key, uint32_t value);
    static bool within(const Entries& part, const Entries& whole);
    std::shared_ptr<Entries> entries_;
};

// How far an access must have come: done; seen by the async proxy, in shared or global memory; or, for an mbarrier's
// initialisation, released to the cluster by its own fence.
enum Reach { ordered, proxied_shared, proxied_global, initialised, reaches };

struct Knowledge {
    Times reach[reaches];
    bool empty() const {
        for (const Times& times : reach) {
            if (!times.empty()) return false;
        }
        return true;
    }
    void clear() { *this = Knowledge(); }
    void join(const Knowledge& other) {
        for (int r = 0; r < reaches; ++r) reach[r].join(other.reach[r]);
    }
    bool covers(const Access& access) const {
        return reach[ordered].covers(access) || (access.kind == init_write && reach[initialised].covers(access));
    }
};

// The clocks of the living blocks (one, or those of a cluster), and what synchronization objects carry from thread to
// thread.  Threads and agents are those of the block that was entered last.
class Clocks {
  public:
    void begin_launch(unsigned living);
    void begin_block(unsigned rank, uint32_t serial, unsigned threads);
    void enter(unsigned rank) { me_ = &blocks_[rank]; }
    uint32_t block() const { return me_->serial; }
    uint32_t generation() const { return me_->generation; }
    uint32_t time(unsigned thread) const { return thread < first_agent ? me_->time[thread] : 1; }
    bool any() const { return any_; }  // whether anything was ever released in this launch

    bool knows(unsigned thread, const Access& access) const {
        const Block& me = *me_;
        if (access.block == me.serial) {
            if (access.generation < me.generation || access.thread == thread) return true;
            bool one_warp = access.thread / 32 == thread / 32 && access.thread < first_agent;
            if (one_warp && me.seen[thread * 32 + access.thread % 32] >= access.time) return true;
        }
        if (thread >= first_agent) return agent(thread).covers(access);
        return any_ && (me.common.covers(access) || me.far[thread].covers(access));
    }
    // Whether the async proxy sees a write that `thread` knows.
    bool proxied(unsigned thread, const Access& access, Reach reach) const;
    bool knows_of(unsigned thread, uint32_t block) const;  // that it has begun
    bool anybody_knows(const Access& access) const;        // of the threads
    bool everybody_knows(const Access& agents) const { return me_->common.covers(agents); }

    void barrier();                                  // of the whole block: orders everything, and is a fence
    void join_lanes(unsigned warp, uint32_t lanes);  // __syncwarp
    void fence(unsigned thread);                     // what atomics of this thread release and have acquired so far
    void fence_proxy(unsigned thread, Reach reach);
    void fence_init(unsigned thread);                // of mbarriers
    unsigned fork(unsigned thread, bool generic);    // an agent that begins with what the thread knows; its number
    void join(unsigned thread, unsigned agent);      // the thread has waited for the agent

    // An atomic on a location, by its direction; `strong` ones need no fence beside them.
    void release(unsigned thread, uint64_t object, bool strong);
    void acquire(unsigned thread, uint64_t object, bool strong);
    // A barrier object hands on, to those who wait for a phase, what was released by those who came to it.
    void arrive(unsigned thread, uint64_t object, bool strong);
    void complete(uint64_t object);

  private:
    struct Block {
        uint32_t serial = 0, generation = 1;
        unsigned threads = 0;
        std::vector<uint32_t> time, seen;
        std::vector<Knowledge> far, to_release, to_acquire, agents;
        Knowledge common;
    };
    struct Object {
        Knowledge pending, done;  // of the phase under way, and of those before
    };
    Knowledge snapshot(unsigned thread);
    Knowledge released(unsigned thread, bool strong);
    const Knowledge& agent(unsigned thread) const { return me_->agents[(thread & ~generic_agent) - first_agent]; }

    bool any_ = false;
    std::vector<Block> blocks_;
    Block* me_ = nullptr;
    std::unordered_map<uint64_t, Object> objects_;
};

}  // namespace gradlib_sim
