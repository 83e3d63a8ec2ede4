// Bulk copies: cp.async.bulk and cp.async.bulk.tensor, tiled mode.
#include "engine.h"

namespace gradlib_sim {

static const char magic[8] = {'g', 'r', 'a', 'd', 's', 'i', 'm', 1};

void Engine::bulk(const BulkCopy& copy, const Site& site) {
    BulkCopy c = copy;
    size_t alignment = 16;
    if (c.tensor) {
        if (memcmp(c.map.magic, magic, sizeof magic)) {
            worker_.fault("%s at %s:%d: this is no tensor map of the sim device,", site.what, site.file, site.line);
        }
        c.bytes = c.map.element_bytes;
        for (int d = 0; d < c.map.rank; ++d) c.bytes *= c.map.box[d];
        alignment = 128;
    } else if (c.bytes % 16 || (size_t)c.global % 16) {
        worker_.fault("%s at %s:%d: %u bytes at %p in global memory (need multiples of 16),", site.what, site.file,
                      site.line, c.bytes, (void*)c.global);
    }
    if (shared_offset(c.shared, c.bytes, site) % alignment) {
        worker_.fault("%s at %s:%d: the address in shared memory is no multiple of %zu,", site.what, site.file,
                      site.line, alignment);
    }
    watch(c);
    if (c.load) {
        checked(c.barrier, site);
        shared_offset(c.barrier, 8, site);
        unsigned size = cluster() ? cluster()->size() : 1;
        if (c.receivers >> size) worker_.fault("%s: blocks 0x%x of a cluster of %u,", site.what, c.receivers, size);
        site_ = site;
        touched_ = true;
        loads_.push_back(c);
    } else {
        thread().stores.push_back(c);
    }
}

// The 16 bytes at linear offset `offset` of a tile whose first byte lies at `tile`.
static unsigned char* chunk_at(unsigned char* tile, size_t offset, unsigned swizzle) {
    size_t address = (size_t)tile + offset;
    return reinterpret_cast<unsigned char*>(address ^ (address >> 7 & ((1u << swizzle) - 1)) << 4);
}

// Walk the rows of the box (its lines along dimension 0): act(row in memory or null, first element inside the tensor,
// one past the last, offset of the row in the tile).
template <class Act>
static void for_rows(const TensorMapBits& map, const int* at, Act act) {
    unsigned index[5] = {0, 0, 0, 0, 0}, rows = 1;
    for (int d = 1; d < map.rank; ++d) rows *= map.box[d];
    long long width = map.box[0], size = map.sizes[0], start = at[0];
    long long first = start < 0 ? -start : 0, last = size - start < width ? size - start : width;
    for (unsigned row = 0; row < rows; ++row) {
        bool inside = first < last;
        unsigned long long address = map.address;
        for (int d = 1; d < map.rank; ++d) {
            long long i = (long long)at[d] + index[d];
            inside = inside && i >= 0 && i < (long long)map.sizes[d];
            address += (unsigned long long)i * map.strides[d - 1];
        }
        address += (unsigned long long)(start * map.element_bytes);
        act(inside ? reinterpret_cast<unsigned char*>(address) : nullptr, inside ? first : 0, inside ? last : 0,
            (size_t)row * map.box[0] * map.element_bytes);
        for (int d = 1; d < map.rank && ++index[d] == map.box[d]; ++d) index[d] = 0;
    }
}

// For each 16 bytes of a row: act(place in shared memory, place in memory, first byte inside, one past the last).
template <class Act>
static void for_chunks(const BulkCopy& copy, unsigned char* shared, Act act) {
    const TensorMapBits& map = copy.map;
    size_t row_bytes = (size_t)map.box[0] * map.element_bytes;
    for_rows(map, copy.at, [&](unsigned char* memory, long long first, long long last, size_t offset) {
        size_t low = (size_t)first * map.element_bytes, high = (size_t)last * map.element_bytes;
        for (size_t b = 0; b < row_bytes; b += 16) {
            size_t from = low > b ? low - b : 0, to = high > b ? high - b : 0;
            act(chunk_at(shared, offset + b, map.swizzle), memory + b, from < 16 ? from : 16, to < 16 ? to : 16);
        }
    });
}

void Engine::perform_load(const BulkCopy& copy, unsigned char* shared) {
    if (!copy.tensor) {
        memcpy(shared, copy.global, copy.bytes);
        return;
    }
    for_chunks(copy, shared, [](unsigned char* s, unsigned char* memory, size_t from, size_t to) {
        memset(s, 0, 16);  // what lies outside the tensor
        if (from < to) memcpy(s + from, memory + from, to - from);
    });
}

void Engine::perform(const BulkCopy& copy) {
    if (!copy.load) {
        if (!copy.tensor) {
            memcpy(copy.global, copy.shared, copy.bytes);
        } else {
            for_chunks(copy, copy.shared, [](unsigned char* s, unsigned char* memory, size_t from, size_t to) {
                if (from < to) memcpy(memory + from, s + from, to - from);
            });
        }
        return;
    }
    if (copy.receivers == 0) {
        perform_load(copy, copy.shared);
        if (checker() && copy.agent) checker()->release_as(copy.agent, (Address)copy.barrier);
        mbarrier_complete(copy.barrier, copy.bytes, site_);
        return;
    }
    for (unsigned rank = 0; copy.receivers >> rank; ++rank) {
        if (!(copy.receivers >> rank & 1)) continue;
        perform_load(copy, static_cast<unsigned char*>(cluster_map(copy.shared, rank, site_)));
        void* barrier = cluster_map(copy.barrier, rank, site_);
        mbarrier_complete(static_cast<unsigned long long*>(barrier), copy.bytes, site_);
    }
}

// Both ends are in use from the issue until somebody waits.
void Engine::watch(BulkCopy& copy) {
    Checker* c = checker();
    if (!c) return;
    copy.agent = c->fork();
    const Address pc = c->caller();
    const AccessKind here = copy.load ? plain_write : plain_read, there = copy.load ? plain_read : plain_write;
    c->access_as(copy.agent, (Address)copy.shared, copy.bytes, here, 1, pc);
    if (!copy.tensor) {
        c->access_as(copy.agent, (Address)copy.global, copy.bytes, there, 1, pc);
        return;
    }
    for_rows(copy.map, copy.at, [&](unsigned char* memory, long long first, long long last, size_t) {
        if (first >= last) return;
        const long long size = copy.map.element_bytes;
        c->access_as(copy.agent, (Address)(memory + first * size), (unsigned)((last - first) * size), there, 1, pc);
    });
}

void Engine::bulk_commit() {
    ThreadAsync& t = thread();
    t.store_groups.push_back(std::move(t.stores));
    t.stores.clear();
}

void Engine::bulk_wait(unsigned keep) {
    ThreadAsync& t = thread();
    while (t.store_groups.size() > keep) {
        for (BulkCopy& copy : t.store_groups.front()) {
            perform(copy);
            if (checker() && copy.agent) checker()->join(copy.agent);
        }
        t.store_groups.pop_front();
    }
}

}  // namespace gradlib_sim
