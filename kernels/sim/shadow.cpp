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

uint32_t Lists::append(const Access& access, uint32_t next) {
    const Node& behind = nodes_[next];  // the first node is empty
    bool writer = writes(access.kind), agent = access.thread >= first_agent;
    nodes_.push_back({access, next, behind.reads || access.kind == plain_read, behind.atomics || writer,
                      behind.agents || agent});
    agents_ = agents_ || agent;
    return (uint32_t)(nodes_.size() - 1);
}

}  // namespace gradlib_sim
