// Bulk copies: cp.async.bulk, cp.reduce.async.bulk and cp.async.bulk.tensor, tiled and im2col.
#include "engine.h"
#include "formats.h"

namespace gradlib_sim {

void Engine::bulk(const BulkCopy& copy) {
    BulkCopy c = copy;
    const Site& site = c.site;
    size_t alignment = 16;
    if (c.tensor) {
        c.bytes = c.map.element_bytes;
        for (int d = 0; d < (c.map.im2col ? 2 : c.map.rank); ++d) c.bytes *= c.map.box[d];
        alignment = 128;
        check_coordinates(c);
    } else if (c.bytes % 16 || (size_t)c.global % 16) {
        worker_.fault_at("misaligned", nullptr, "%s at %s:%d: %u bytes at %p in global memory (need multiples of 16),",
                         site.what, site.file, site.line, c.bytes, (void*)c.global);
    }
    if (shared_offset(c.shared, c.bytes, site) % alignment) {
        worker_.fault_at("misaligned", nullptr, "%s at %s:%d: the address in shared memory is no multiple of %zu,",
                         site.what, site.file, site.line, alignment);
    }
    if (c.load) {
        checked(c.barrier, site);
        shared_offset(c.barrier, 8, site);
        unsigned size = cluster() ? cluster()->size() : 1;
        if (c.receivers >> size) {
            worker_.fault_at("out-of-bounds", nullptr, "%s at %s:%d: blocks 0x%x of a cluster of %u,", site.what,
                             site.file, site.line, c.receivers, size);
        }
        if (!c.receivers) c.receivers = 1u << rank();
    }
    if (checker()) watch(c);
    if (c.load) {
        touched_ = true;
        loads_.push_back(std::move(c));
    } else {
        thread().stores.push_back(std::move(c));
    }
}

// PTX, "Restriction on Tensor Copy instructions" and "im2col mode: Bounding Box".  That rows begin at a multiple of 16
// bytes PTX does not say: an H200 answers anything else with an illegal instruction, in every swizzle mode.
void Engine::check_coordinates(const BulkCopy& copy) {
    const Site& site = copy.site;
    const TensorMapBits& map = copy.map;
    if ((long long)copy.at[0] * map.element_bytes % 16) {
        worker_.fault_at("misaligned", nullptr,
                         "%s at %s:%d: coordinate 0 is %d, of elements of %d bytes (need a multiple of %d),", site.what,
                         site.file, site.line, copy.at[0], map.element_bytes, 16 / map.element_bytes);
    }
    for (int d = 0; d < map.rank && !copy.load; ++d) {
        if (copy.at[d] >= 0) continue;
        worker_.fault_at("out-of-bounds", nullptr, "%s at %s:%d: coordinate %d of a store is %d (need 0 or more),",
                         site.what, site.file, site.line, d, copy.at[d]);
    }
    for (int d = 1; d < map.rank - 1 && map.im2col; ++d) {
        const int first = map.lower[d - 1], last = (int)map.sizes[d] - 1 + map.upper[d - 1];
        if (copy.at[d] < first || copy.at[d] > last) {
            worker_.fault_at("out-of-bounds", nullptr,
                             "%s at %s:%d: coordinate %d is %d, outside the bounding box, %d to %d,", site.what,
                             site.file, site.line, d, copy.at[d], first, last);
        }
        const int most = map.rank == 3 ? 65535 : map.rank == 4 ? 255 : 31;
        if (copy.offsets[d - 1] < 0 || copy.offsets[d - 1] > most) {
            worker_.fault_at("out-of-bounds", nullptr, "%s at %s:%d: im2col offset %d (need 0 to %d),", site.what,
                             site.file, site.line, copy.offsets[d - 1], most);
        }
    }
}

// ---- the elements of a tensor copy, in the order in which they lie in shared memory

// The 16 bytes at linear offset `offset` of a tile whose first byte lies at `tile`.
static unsigned char* chunk_at(unsigned char* tile, size_t offset, unsigned swizzle) {
    size_t address = (size_t)tile + offset;
    return reinterpret_cast<unsigned char*>(address ^ (address >> 7 & ((1u << swizzle) - 1)) << 4);
}

// A row is a line along dimension 0: where its first element would be in memory, and which elements are in the tensor.
struct Row {
    unsigned char* memory;
    long long first, last;
};

static Row row_at(const TensorMapBits& map, const long long* index) {
    long long width = map.box[0], size = map.sizes[0], start = index[0];
    Row row{nullptr, start < 0 ? -start : 0, size - start < width ? size - start : width};
    unsigned long long address = map.address + (unsigned long long)(start * map.element_bytes);
    bool inside = row.first < row.last;
    for (int d = 1; d < map.rank; ++d) {
        inside = inside && index[d] >= 0 && index[d] < (long long)map.sizes[d];
        address += (unsigned long long)index[d] * map.strides[d - 1];
    }
    if (!inside) return Row{nullptr, 0, 0};
    row.memory = reinterpret_cast<unsigned char*>(address);
    return row;
}

// act(row, its number) for each row of the box, dimension 1 first.
template <class Act>
static void for_tiled_rows(const BulkCopy& copy, Act act) {
    const TensorMapBits& map = copy.map;
    unsigned count[5] = {0, 0, 0, 0, 0}, rows = 1;
    for (int d = 1; d < map.rank; ++d) rows *= map.box[d];
    for (unsigned row = 0; row < rows; ++row) {
        long long index[5] = {copy.at[0]};
        for (int d = 1; d < map.rank; ++d) index[d] = copy.at[d] + (long long)count[d] * map.steps[d];
        act(row_at(map, index), row);
        for (int d = 1; d < map.rank && ++count[d] == map.box[d]; ++d) count[d] = 0;
    }
}

// For each pixel: its base wanders through the bounding box, W first, image after image; the offsets are added to it.
template <class Act>
static void for_pixels(const BulkCopy& copy, Act act) {
    const TensorMapBits& map = copy.map;
    const int images = map.rank - 1;
    long long base[5];
    for (int d = 0; d < map.rank; ++d) base[d] = copy.at[d];
    for (unsigned pixel = 0; pixel < map.box[1]; ++pixel) {
        long long index[5];
        for (int d = 0; d < map.rank; ++d) index[d] = base[d] + (d >= 1 && d < images ? copy.offsets[d - 1] : 0);
        act(row_at(map, index), pixel);
        int d = 1;
        for (; d < images; ++d) {
            base[d] += map.steps[d];
            if (base[d] <= (long long)map.sizes[d] - 1 + map.upper[d - 1]) break;
            base[d] = map.lower[d - 1];
        }
        if (d == images) ++base[d];
    }
}

template <class Act>
static void for_rows(const BulkCopy& copy, Act act) {
    copy.map.im2col ? for_pixels(copy, act) : for_tiled_rows(copy, act);
}

// For each 16 bytes of a row: act(their offset in the tile, place in memory, first byte inside, one past the last).
template <class Act>
static void for_chunks(const BulkCopy& copy, Act act) {
    const TensorMapBits& map = copy.map;
    size_t row_bytes = (size_t)map.box[0] * map.element_bytes;
    for_rows(copy, [&](const Row& row, unsigned number) {
        size_t low = (size_t)row.first * map.element_bytes, high = (size_t)row.last * map.element_bytes;
        for (size_t b = 0; b < row_bytes; b += 16) {
            size_t from = low > b ? low - b : 0, to = high > b ? high - b : 0;
            act(number * row_bytes + b, row.memory + b, from < 16 ? from : 16, to < 16 ? to : 16);
        }
    });
}

// ---- doing it

void Engine::perform_load(const BulkCopy& copy, unsigned char* shared) {
    if (!copy.tensor) {
        memcpy(shared, copy.global, copy.bytes);
        return;
    }
    for_chunks(copy, [&](size_t offset, unsigned char* memory, size_t from, size_t to) {
        unsigned char* s = chunk_at(shared, offset, copy.map.swizzle);
        memset(s, 0, 16);  // what lies outside the tensor
        if (from < to) memcpy(s + from, memory + from, to - from);
    });
}

template <class V, class Add>
static void reduce(unsigned char* to, const unsigned char* from, size_t bytes, Add add) {
    for (size_t i = 0; i < bytes; i += sizeof(V)) {
        V value, old, sum;
        memcpy(&value, from + i, sizeof(V));
        V* place = reinterpret_cast<V*>(to + i);
        __atomic_load(place, &old, __ATOMIC_RELAXED);
        do {
            sum = add(old, value);
        } while (!__atomic_compare_exchange(place, &old, &sum, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    }
}

static void add_all(ReduceKind kind, unsigned char* to, const unsigned char* from, size_t bytes) {
    switch (kind) {
        case reduce_float: return reduce<float>(to, from, bytes, [](float a, float b) { return a + b; });
        case reduce_double: return reduce<double>(to, from, bytes, [](double a, double b) { return a + b; });
        case reduce_int: return reduce<uint32_t>(to, from, bytes, [](uint32_t a, uint32_t b) { return a + b; });
        case reduce_long: return reduce<uint64_t>(to, from, bytes, [](uint64_t a, uint64_t b) { return a + b; });
        case reduce_half:
            return reduce<uint16_t>(to, from, bytes, [](uint16_t a, uint16_t b) {
                return half_bits(half_value(a) + half_value(b));
            });
        case reduce_bfloat16:
            return reduce<uint16_t>(to, from, bytes, [](uint16_t a, uint16_t b) {
                return bfloat16_bits(bfloat16_value(a) + bfloat16_value(b));
            });
        case reduce_none: memcpy(to, from, bytes);
    }
}

// What a store takes from shared memory, in the order of its box.
static void read_source(BulkCopy& copy) {
    if (!copy.read.empty()) return;
    copy.read.resize(copy.bytes);
    const unsigned swizzle = copy.tensor ? copy.map.swizzle : 0;
    for (size_t offset = 0; offset < copy.bytes; offset += 16) {
        memcpy(&copy.read[offset], chunk_at(copy.shared, offset, swizzle), 16);
    }
}

static void write_target(const BulkCopy& copy) {
    if (!copy.tensor) {
        add_all(copy.reduce, copy.global, copy.read.data(), copy.bytes);
        return;
    }
    for_chunks(copy, [&](size_t offset, unsigned char* memory, size_t from, size_t to) {
        if (from < to) memcpy(memory + from, &copy.read[offset + from], to - from);
    });
}

void Engine::perform(BulkCopy& copy) {
    if (!copy.load) {
        read_source(copy);
        write_target(copy);
        return;
    }
    for (unsigned r = 0; copy.receivers >> r; ++r) {
        if (!(copy.receivers >> r & 1)) continue;
        perform_load(copy, static_cast<unsigned char*>(cluster_map(copy.shared, r, copy.site)));
        auto* barrier = static_cast<unsigned long long*>(cluster_map(copy.barrier, r, copy.site));
        if (checker()) checker()->arrived_as(copy.agents[r], (Address)barrier);
        mbarrier_complete(barrier, copy.bytes, copy.site);
    }
}

void Engine::bulk_commit() {
    ThreadAsync& t = thread();
    t.store_groups.push_back(std::move(t.stores));
    t.stores.clear();
}

// With `read`, only until shared memory has been read: the writing may take longer.
void Engine::bulk_wait(unsigned keep, bool read) {
    ThreadAsync& t = thread();
    const size_t over = t.store_groups.size() > keep ? t.store_groups.size() - keep : 0;
    for (size_t i = 0; i < over; ++i) {
        for (BulkCopy& copy : t.store_groups[i]) {
            if (checker()) checker()->join(copy.agents[0]);
            if (read) {
                read_source(copy);
                continue;
            }
            perform(copy);
            if (checker()) checker()->join(copy.agents[1]);
        }
    }
    if (!read) t.store_groups.erase(t.store_groups.begin(), t.store_groups.begin() + (ptrdiff_t)over);
}

// ---- under the checker's eyes: both ends are in use from the issue until somebody waits

void Engine::watch(BulkCopy& copy) {
    Checker* c = checker();
    const Address pc = c->caller();
    if (copy.load) {
        for (unsigned r = 0; copy.receivers >> r; ++r) {
            if (copy.receivers >> r & 1) watch_load(copy, r, pc);
        }
        return;
    }
    copy.agents[0] = c->fork();
    copy.agents[1] = c->fork();
    c->access_as(copy.agents[0], (Address)copy.shared, copy.bytes, plain_read, pc);
    if (copy.tensor) {
        for (size_t offset = 0; offset < copy.bytes; offset += 16) {
            const unsigned swizzle = copy.map.swizzle;
            c->check_tag((Address)chunk_at(copy.shared, offset, swizzle), swizzle, "a tensor store", pc);
        }
    }
    watch_global(copy, copy.agents[1], copy.reduce ? atomic_update : plain_write, pc);
}

// A load for one of its receivers.
void Engine::watch_load(BulkCopy& copy, unsigned receiver, Address pc) {
    Checker* c = checker();
    const unsigned agent = copy.agents[receiver] = c->fork();
    watch_global(copy, agent, plain_read, pc);
    auto* shared = static_cast<unsigned char*>(cluster_map(copy.shared, receiver, copy.site));
    c->access_as(agent, (Address)shared, copy.bytes, plain_write, pc);
    c->access_as(agent, (Address)cluster_map(copy.barrier, receiver, copy.site), 8, atomic_update, pc);
    for (size_t offset = 0; copy.tensor && offset < copy.bytes; offset += 16) {
        c->tag((Address)chunk_at(shared, offset, copy.map.swizzle), copy.map.swizzle, pc);
    }
}

void Engine::watch_global(const BulkCopy& copy, unsigned agent, AccessKind kind, Address pc) {
    Checker* c = checker();
    if (!copy.tensor) {
        c->access_as(agent, (Address)copy.global, copy.bytes, kind, pc);
        return;
    }
    for_rows(copy, [&](const Row& row, unsigned) {
        if (!row.memory) return;
        const long long size = copy.map.element_bytes;
        c->access_as(agent, (Address)(row.memory + row.first * size), (unsigned)((row.last - row.first) * size), kind,
                     pc);
    });
}

}  // namespace gradlib_sim
