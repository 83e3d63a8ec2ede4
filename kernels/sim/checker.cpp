// The rules: bounds, alignment, initialisation, and order between accesses of which one writes.
#include <link.h>

#include <random>

#include "block.h"

namespace gradlib_sim {

// ---- cells

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

// ---- one access

void Checker::access(Address address, unsigned size, AccessKind kind, unsigned alignment, Address pc) {
    Region* region = last_;
    if (!region || address < region->begin || address + size > region->end) {
        if (elsewhere(address)) {
            if (!held_.empty()) check_held(address, kind, pc);
            return;
        }
        region = find(address, size);
        // A lane that computes for its whole warp (ldmatrix, mma) reads what the others hand it.
        if (!region && worker_.on_any_stack(address)) return;
        if (!region) out_of_bounds(address, size, kind, pc);
    }
    if (address & (alignment - 1)) {
        raise("misaligned",
              std::string(verb(kind)) + " " + std::to_string(size) + " bytes at byte " +
                  std::to_string(address - region->begin) + " of " + region->name +
                  ", an address that is no multiple of " + std::to_string(alignment),
              region->name, address, pc);
    }
    Shadow& shadow = *region->shadow;
    while (!shadow.fits(address, size)) shadow.split(region->shared ? (size_t)(shared_.back().end - arena_begin_)
                                                                    : (size_t)(region->end - region->begin));
    unsigned granule = shadow.granule();
    Cell* cell = shadow.at(address);
    for (unsigned done = 0; done < size; done += granule) touch(*region, *cell++, address, size, kind, pc);
}

Access Checker::mine(AccessKind kind, Address pc) const {
    unsigned thread = actor();
    uint32_t generation = thread < first_agent ? clocks_.generation() : unordered;
    return Access{serial_, generation, clocks_.time(thread), (uint32_t)(pc - code_begin_), thread,
                  kind};
}

void Checker::touch(Region& region, Cell& cell, Address address, unsigned size, AccessKind kind, Address pc) {
    unsigned thread = actor();
    if (region.shared && cell.stamp != serial_) {
        cell = Cell{};
        cell.stamp = serial_;
    }
    Access& write = cell.write;
    if (write.block) {
        if (conflicting(write.kind, kind) && !clocks_.knows(thread, write)) {
            race(region, address, size, kind, pc, write);
        }
    } else if (kind == plain_read || kind == atomic_read) {
        if (!region.written) uninitialised(region, address, size, pc);
    }
    Access& recent = cell.recent;
    if (recent.block) {
        bool current = recent.block == serial_ && recent.generation == clocks_.generation();
        if (current && recent.thread == thread && recent.kind == kind && recent.time == clocks_.time(thread) &&
            !cell.older.block && kind != plain_write) {
            return;  // nothing new
        }
        if (conflicting(recent.kind, kind) && !clocks_.knows(thread, recent)) {
            race(region, address, size, kind, pc, recent);
        }
        if (current && kind != plain_read) {
            for (uint32_t i = cell.others; i; i = list_[i].next) {
                const Access& other = list_[i].access;
                if (conflicting(other.kind, kind) && !clocks_.knows(thread, other)) {
                    race(region, address, size, kind, pc, other);
                }
            }
        } else if (current) {  // a plain read: only atomics can matter, and they are rare
            for (uint32_t i = cell.others; i && list_[i].access.kind != plain_read; i = list_[i].next) {
                if (!clocks_.knows(thread, list_[i].access)) race(region, address, size, kind, pc, list_[i].access);
            }
        }
        const Access& older = cell.older;
        if (older.block && conflicting(older.kind, kind) && !clocks_.knows(thread, older)) {
            race(region, address, size, kind, pc, older);
        }
    }
    Access now = mine(kind, pc);
    if (kind == plain_write) {  // ordered after all that was there: it stands for them
        write = now;
        recent.block = cell.older.block = 0;
        cell.others = 0;
        return;
    }
    if (kind == atomic_write && !write.block) write = now;
    add(cell, now);
}

void Checker::add(Cell& cell, const Access& access) {
    constexpr uint32_t most = 64;  // accesses of one location between two barriers
    Access& recent = cell.recent;
    if (recent.block == access.block && recent.generation == access.generation) {
        if (cell.others == 0) cell.count = 0;
        if (cell.count < most) {
            ++cell.count;
            list_.push_back({recent, cell.others});
            cell.others = (uint32_t)(list_.size() - 1);
        }
    } else {
        bool lasting = recent.block != access.block || recent.thread >= first_agent;
        if (recent.block && lasting) cell.older = recent;
        cell.others = 0;
    }
    recent = access;
}

void Checker::update(Address address, unsigned size, Address pc) {
    access(address, size, atomic_read, size, pc);
    access(address, size, atomic_write, size, pc);
}

void Checker::atomic_done(Address address, bool acquires, bool releases, bool strong) {
    unsigned thread = gradlib_sim_context.linear;
    if (releases) clocks_.release(thread, address, strong);
    if (acquires) clocks_.acquire(thread, address, strong);
}

void Checker::fence() { clocks_.fence(gradlib_sim_context.linear); }

unsigned Checker::fork() {
    issuers_.push_back(gradlib_sim_context.linear);
    return clocks_.fork(gradlib_sim_context.linear);
}

void Checker::join(unsigned agent) { clocks_.join(gradlib_sim_context.linear, agent); }

void Checker::access_as(unsigned agent, Address address, unsigned size, AccessKind kind, unsigned alignment,
                        Address pc) {
    agent_ = agent;
    access(address, size, kind, alignment, pc);
    agent_ = 0;
}

void Checker::hold(const void* begin, size_t bytes) {
    Address first = reinterpret_cast<Address>(begin);
    held_.push_back({gradlib_sim_context.linear, first, first + bytes});
}

void Checker::let_go(const void* begin) {
    Address first = reinterpret_cast<Address>(begin);
    held_.erase(std::remove_if(held_.begin(), held_.end(), [&](const Held& h) { return h.begin == first; }),
                held_.end());
}

void Checker::check_held(Address address, AccessKind kind, Address pc) {
    for (const Held& h : held_) {
        if (address < h.begin || address >= h.end || h.thread != gradlib_sim_context.linear) continue;
        raise("async", std::string(verb(kind)) + " accumulators of a wgmma before its wait", "", address, pc);
    }
}

void Checker::barrier_complete() {
    clocks_.barrier();
    list_.resize(1);  // the lists are of an older generation now
    progress();
}

void Checker::lanes_joined(unsigned warp, uint32_t lanes) {
    clocks_.join_lanes(warp, lanes);
    progress();
}

// ---- where an address belongs

// Locals, the runtime's own state, the kernel's arguments and constants: not checked.
bool Checker::elsewhere(Address address) const {
    return worker_.on_stack(address) || address - reinterpret_cast<Address>(&gradlib_sim_context) < sizeof(Context) ||
           (address >= packed_begin_ && address < packed_end_) || (address >= code_begin_ && address < code_end_);
}

Region* Checker::find(Address address, unsigned size) {
    for (auto* regions : {&shared_, &arrays_}) {
        for (Region& region : *regions) {
            if (address >= region.begin && address + size <= region.end) return last_ = &region;
        }
    }
    return nullptr;
}

// ---- threads that wait for a value

void Checker::spins(Address address, unsigned long long value, Address pc) {
    unsigned thread = gradlib_sim_context.linear;
    Spin& spin = spins_[thread];
    if (spin.address != address || spin.value != value) {
        spin = Spin{address, value, 0};
        progress();
        return;
    }
    if (++spin.repeats < 4) return;
    if (++yields_ > 20000 + 200ull * gradlib_sim_context.count) {
        std::string name;
        for (auto* regions : {&shared_, &arrays_}) {
            for (Region& region : *regions) {
                if (address >= region.begin && address < region.end) name = region.name;
            }
        }
        raise("deadlock",
              "waits for ever for a change of " + (name.empty() ? std::string("a variable") : name) + ", which holds " +
                  std::to_string(value) + " (blocks that have not started cannot be waited for)",
              name, address, pc);
    }
    worker_.yield();
}

// ---- launches and blocks

Checker::Checker(Worker& worker, Address arena, size_t arena_bytes)
    : worker_(worker), arena_(arena, arena_bytes), arena_begin_(arena), arena_end_(arena + arena_bytes) {}

Checker::~Checker() {
    for (Region& region : arrays_) delete region.shadow;
}

static int module_range(dl_phdr_info* info, size_t, void* data) {
    Address* range = static_cast<Address*>(data);  // an address inside; then begin and end of its module
    Address begin = ~(Address)0, end = 0;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& header = info->dlpi_phdr[i];
        if (header.p_type != PT_LOAD) continue;
        begin = std::min<Address>(begin, info->dlpi_addr + header.p_vaddr);
        end = std::max<Address>(end, info->dlpi_addr + header.p_vaddr + header.p_memsz);
    }
    if (range[0] < begin || range[0] >= end) return 0;
    range[1] = info->dlpi_addr;
    range[2] = end;
    return 1;
}

template <class V>
static void arrange(std::vector<V>& numbers, unsigned long long count, const CheckedOptions& options) {
    numbers.resize(count);
    for (unsigned long long i = 0; i < count; ++i) numbers[i] = (V)(options.order == 1 ? count - 1 - i : i);
    if (options.order == 2) {
        std::mt19937_64 random(options.seed);
        for (unsigned long long i = count; i > 1; --i) std::swap(numbers[i - 1], numbers[random() % i]);
    }
}

void Checker::begin_launch(const CheckedOptions& options, const void* packed, const void* code,
                           unsigned long long blocks, unsigned threads) {
    for (Region& region : arrays_) delete region.shadow;
    arrays_.clear();
    shared_.clear();
    last_ = nullptr;
    for (uint32_t i = 0; i < options.count; ++i) {
        const Argument& a = options.arguments[i];
        arrays_.push_back({a.name, a.begin, a.begin + a.bytes, nullptr, false, a.written != 0});
        arrays_.back().shadow = new Shadow(a.begin, a.bytes);
    }
    packed_begin_ = reinterpret_cast<Address>(packed);
    packed_end_ = packed_begin_ + options.packed_bytes;
    Address range[3] = {reinterpret_cast<Address>(code), 0, 0};
    dl_iterate_phdr(module_range, range);
    code_begin_ = range[1];
    code_end_ = range[2];
    arrange(blocks_, blocks, options);
    arrange(threads_, threads, options);
    first_serial_ = serial_ + 1;
    if (serial_ > 1u << 31 || arena_.granule() < 4) {  // serials must not repeat while cells remember them
        arena_.~Shadow();
        new (&arena_) Shadow(arena_begin_, arena_end_ - arena_begin_);
        first_serial_ = 1;
        serial_ = 0;
    }
    pending_ = false;
    clocks_.begin_launch();
}

void Checker::end_launch() {
    if (pending_) worker_.report(unwritten_);
}

void Checker::begin_block(unsigned long long position, unsigned threads) {
    serial_ = first_serial_ + (uint32_t)position;
    clocks_.begin_block(serial_, threads);
    shared_.clear();
    last_ = nullptr;
    list_.assign(1, Listed{});
    issuers_.clear();
    held_.clear();
    agent_ = 0;
    spins_.assign(threads, Spin{});
    yields_ = 0;
}

void Checker::add_shared(const char* name, Address begin, size_t bytes) {
    shared_.push_back({name, begin, begin + bytes, &arena_, true, false});
    last_ = nullptr;  // the vector may have moved
}

}  // namespace gradlib_sim
