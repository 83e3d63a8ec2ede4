// What the checked build remembers of every location.
#pragma once

#include <string>
#include <vector>

#include "knowledge.h"

namespace gradlib_sim {

typedef uintptr_t Address;

// One granule of memory: its last plain write, and who has touched it since in other ways.
struct Cell {
    Access write, recent;
    uint32_t others;  // more than `recent`: a list in the Lists of the region, as long as `epoch` is theirs
    uint32_t epoch;
    uint32_t count;   // of what was ever put there
    uint32_t stamp;   // shared memory: the block that the rest belongs to
};

// Lists that share their tails: threads that pass over the same cells in the same order leave the same list.
class Lists {
  public:
    struct Node {
        Access access;
        uint32_t next;
        bool reads, atomics, agents;  // what it and those behind it hold: plain reads, atomic writes, asynchronous ones
    };
    Lists() { reset(); }
    void reset() {
        nodes_.assign(1, Node{});
        agents_ = false;
        ++epoch_;
    }
    uint32_t epoch() const { return epoch_; }
    size_t size() const { return nodes_.size(); }
    bool hold_agents() const { return agents_; }
    bool full() const { return nodes_.size() > most; }
    const Node& operator[](uint32_t i) const { return nodes_[i]; }
    uint32_t push(const Access& access, uint32_t next) {
        size_t slot = (access.thread * 0x9e3779b1u ^ access.pc ^ next * 0x85ebca6bu ^ access.time << 5) % recent;
        uint32_t place = last_[slot];
        if (place && place < nodes_.size() && nodes_[place].next == next && same(nodes_[place].access, access)) {
            return place;
        }
        return last_[slot] = append(access, next);
    }

    static constexpr size_t most = 1 << 25;  // 1.2 GB

  private:
    static bool same(const Access& a, const Access& b) {
        return a.thread == b.thread && a.pc == b.pc && a.time == b.time && a.generation == b.generation &&
               a.block == b.block && a.kind == b.kind;
    }
    uint32_t append(const Access& access, uint32_t next);

    static constexpr size_t recent = 1 << 12;
    std::vector<Node> nodes_;
    uint32_t epoch_ = 0, last_[recent] = {};
    bool agents_ = false;
};

// Cells for a stretch of memory.  They begin at 4 bytes each and are split when a narrower access comes.
class Shadow {
  public:
    Shadow(Address base, size_t bytes) : base_(base), bytes_(bytes) { allocate(); }
    ~Shadow() { release(); }
    Shadow(const Shadow&) = delete;
    Cell* at(Address a) { return cells_ + ((a - base_) >> shift_); }
    unsigned granule() const { return 1u << shift_; }
    bool fits(Address a, unsigned size) const { return (((a - base_) | size) & (granule() - 1)) == 0; }
    void split(size_t used);

  private:
    void allocate();
    void release();
    size_t mapped() const { return ((bytes_ >> shift_) + 1) * sizeof(Cell); }
    Address base_;
    size_t bytes_;
    unsigned shift_ = 2;
    Cell* cells_ = nullptr;
};

// An array argument or a shared variable.
struct Region {
    std::string name;
    Address begin, end;
    Shadow* shadow;
    bool shared, written;  // written: before the launch
    unsigned owner = 0;    // of a shared variable: the rank of its block among those that live, and its serial number
    uint32_t serial = 0;
    bool holds(Address address, unsigned size) const { return address >= begin && address + size <= end; }
};

}  // namespace gradlib_sim
