// The memory of the checker: cells, and lists of accesses.
#include "shadow.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace gradlib_sim {

void Shadow::allocate() {
    void* memory = mmap(nullptr, mapped(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    cells_ = static_cast<Cell*>(memory);
}

void Shadow::release() { munmap(cells_, mapped()); }

void Shadow::split(size_t used) {
    Cell* old = cells_;
    size_t count = (used + granule() - 1) >> shift_, size = mapped();
    --shift_;
    allocate();
    for (size_t i = 0; i < count; ++i) cells_[2 * i] = cells_[2 * i + 1] = old[i];
    munmap(old, size);
}

static bool same(const Access& a, const Access& b) {
    return a.block == b.block && a.generation == b.generation && a.time == b.time && a.pc == b.pc &&
           a.thread == b.thread && a.kind == b.kind;
}

uint32_t Lists::push(const Access& access, uint32_t next) {
    size_t slot = (access.thread * 0x9e3779b1u ^ access.pc * 0x85ebca6bu ^ next * 0xc2b2ae35u ^ access.time) % recent;
    uint32_t place = last_[slot];
    if (place && place < nodes_.size() && nodes_[place].next == next && same(nodes_[place].access, access)) return place;
    const Node& behind = nodes_[next];  // the first node is empty
    bool writer = writes(access.kind), agent = access.thread >= first_agent;
    nodes_.push_back({access, next, behind.reads || access.kind == plain_read, behind.atomics || writer,
                      behind.agents || agent});
    agents_ = agents_ || agent;
    return last_[slot] = (uint32_t)(nodes_.size() - 1);
}

}  // namespace gradlib_sim
