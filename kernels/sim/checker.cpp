// The rules: bounds, alignment, initialisation, and order between accesses of which one writes.
#include "checker.h"

#include "block.h"

namespace gradlib_sim {

// ---- one access

// How many bytes of its shadow a region's memory may have touched.
size_t Checker::used(const Region& region) const {
    if (!region.shared) return region.end - region.begin;
    const Living& owner = living_[region.owner];
    return owner.shared.back().end - owner.arena_begin;
}

inline unsigned Checker::actor() const { return agent_ ? agent_ : gradlib_sim_context.linear; }

inline Access Checker::mine(AccessKind kind, Address pc) const {
    unsigned thread = actor();
    const bool agent = thread >= first_agent;
    unsigned issuer = agent ? me_->issuers[(thread & ~generic_agent) - first_agent] : thread;
    const uint32_t generation = agent ? unordered : clocks_.generation(), place = (uint32_t)(pc - code_begin_);
    return Access{me_->serial, generation, clocks_.time(thread), place, thread, (uint16_t)issuer, kind};
}

void Checker::access(Address address, unsigned size, AccessKind kind, unsigned alignment, Address pc) {
    Region* region = last_;
    if (!region || !region->holds(address, size)) {
        if (elsewhere(address)) {
            if (!me_->held.empty()) check_held(address, kind, pc);
            return;
        }
        region = find(address, size);
        // A lane that computes for its whole warp (ldmatrix, mma) reads what the others hand it.
        if (!region && me_->worker->on_any_stack(address)) return;
        if (!region) out_of_bounds(address, size, kind, pc);
    }
    if (address & (alignment - 1)) {
        raise("misaligned",
              std::string(verb(kind)) + " " + std::to_string(size) + " bytes at byte " +
                  std::to_string(address - region->begin) + " of " + region->name +
                  ", an address that is no multiple of " + std::to_string(alignment),
              region->name, address, pc);
    }
    const Act act{*region, address, size, pc, mine(kind, pc)};
    Shadow& shadow = *region->shadow;
    while (!shadow.fits(address, size)) shadow.split(used(*region));
    if (region->shared) {
        Living& owner = living_[region->owner];
        if (region->owner != rank_ || in_async_proxy(act.now.thread)) check_life(act);
        if (owner.tagged && writes(kind)) clear_tags(owner, address, size);
    }
    unsigned granule = shadow.granule();
    Cell* cell = shadow.at(address);
    for (unsigned done = 0; done < size; done += granule) touch(*cell++, act);
}

inline __attribute__((always_inline)) void Checker::examine(const Access& before, const Act& act) {
    const Access& now = act.now;
    if (!conflicting(before.kind, now.kind)) return;
    // Most often it is the same thread, or a barrier of the block lies between.
    bool plain_case = before.block == now.block && now.thread < first_agent &&
                      (before.generation < now.generation || before.thread == now.thread);
    if (!plain_case) examine_order(before, act);
}

void Checker::examine_order(const Access& before, const Act& act) {
    const Access& now = act.now;
    if (!clocks_.knows(now.thread, before)) race(act, before);
    if (!in_async_proxy(now.thread) || in_async_proxy(before.thread) || !writes(before.kind)) return;
    if (before.kind == init_write) return;  // copies reach their mbarriers through the generic proxy
    if (!clocks_.proxied(now.thread, before, act.region.shared ? proxied_shared : proxied_global)) {
        unfenced(act, before);
    }
}

void Checker::touch(Cell& cell, const Act& act) {
    const Region& region = act.region;
    if (region.shared && cell.stamp != region.serial) {
        cell = Cell{};
        cell.stamp = region.serial;
    }
    const Access& now = act.now;
    Access &write = cell.write, &recent = cell.recent;
    const Access& latest = recent.block ? recent : write;
    if (latest.thread == now.thread && latest.kind == now.kind && latest.time == now.time &&
        latest.generation == now.generation && latest.block == now.block) {
        return;  // nothing new
    }
    Lists& lists = region.shared ? shared_lists_ : array_lists_;
    if (cell.others && cell.epoch != lists.epoch()) cell.others = 0;
    if (write.block) {
        examine(write, act);
    } else if (!region.written && now.kind != plain_write && now.kind != init_write && now.kind != atomic_write) {
        uninitialised(act);
    }
    if (recent.block) examine(recent, act);
    if (plain(now.kind) && writes(now.kind)) {  // ordered after all that was there: it stands for them
        for (uint32_t i = cell.others; i; i = lists[i].next) examine(lists[i].access, act);
        write = now;
        recent.block = cell.others = 0;
        return;
    }
    if (writes(now.kind)) {
        for (uint32_t i = cell.others; i && lists[i].reads; i = lists[i].next) examine(lists[i].access, act);
        if (!write.block) write = now;
    } else if (now.kind == plain_read) {
        for (uint32_t i = cell.others; i && lists[i].atomics; i = lists[i].next) examine(lists[i].access, act);
    }
    if (recent.block) add(cell, act, lists);
    recent = now;
}

// ---- the other accesses of a location since its last plain write

// Whether what conflicts with `a` also conflicts with `b`.
static bool stands_for(AccessKind b, AccessKind a) {
    if (a == atomic_read) return true;
    return (a == plain_read) == (b == plain_read) && b != atomic_read;
}

// Whether nothing that a thread can do is ordered after `b` and not after `a`.
static bool replaces(const Access& b, const Access& a) {
    if (a.block != b.block || !stands_for(b.kind, a.kind)) return false;
    if (a.thread == b.thread) return true;
    return a.thread < first_agent && b.thread < first_agent && a.generation < b.generation;
}

// Keep what `recent` says that the access to come does not.
void Checker::add(Cell& cell, const Act& act, Lists& lists) {
    const Access& now = act.now;
    const Access& recent = cell.recent;
    if (alone()) {
        bool threads = now.thread < first_agent && recent.thread < first_agent;
        if (act.region.shared && threads && recent.generation != now.generation) {
            // A barrier has ordered all threads since, and nobody else comes here.
            if (!lists[cell.others].agents) cell.others = 0;
            return;
        }
        if (recent.block != now.block && !clocks_.any()) {  // nothing orders blocks: one of each says as much as all
            cell.others = one_of_each(lists, cell.others, recent.kind);
        }
    }
    if (replaces(now, recent)) return;
    if (!cell.others) cell.count = 0;
    cell.epoch = lists.epoch();
    cell.others = lists.push(recent, cell.others);
    ++cell.count;
    if (cell.count >= 64 && !(cell.count & (cell.count - 1))) cell.others = compact(lists, cell.others, now);
    if (lists.full()) {
        me_->worker->fault("the checker has to remember more than %zu accesses that nothing orders (a smaller launch "
                           "has less),", Lists::most);
    }
}

// The latest plain read and the latest atomic write of a list, without the kind that is given.
uint32_t Checker::one_of_each(Lists& lists, uint32_t list, AccessKind kind) {
    uint32_t read = 0, atomic = 0;
    for (uint32_t i = list; (!read && lists[i].reads) || (!atomic && lists[i].atomics); i = lists[i].next) {
        AccessKind found = lists[i].access.kind;
        if (found == plain_read && !read) read = i;
        if (writes(found) && !atomic) atomic = i;
    }
    uint32_t shorter = 0;
    if (read && kind != plain_read) shorter = lists.push(Access(lists[read].access), shorter);
    if (atomic && !writes(kind)) shorter = lists.push(Access(lists[atomic].access), shorter);
    return shorter;
}

// The same list without what later entries, or `recent`, stand for.
uint32_t Checker::compact(Lists& lists, uint32_t list, const Access& recent) {
    std::vector<Access> kept;
    std::map<uint64_t, uint32_t> generations[2];  // by block: the latest of plain reads, of atomic writes
    std::map<std::pair<uint64_t, AccessKind>, bool> seen;
    auto key = [](const Access& a) { return (uint64_t)a.block << 32 | a.thread; };
    auto note = [&](const Access& a) {
        seen[{key(a), a.kind}] = true;
        if (a.thread >= first_agent || a.kind == atomic_read) return;
        uint32_t& latest = generations[a.kind != plain_read][a.block];
        latest = std::max(latest, a.generation);
    };
    note(recent);
    for (uint32_t i = list; i; i = lists[i].next) {  // latest first
        const Access& a = lists[i].access;
        bool later = seen.count({key(a), a.kind}) != 0;
        if (!later && a.thread < first_agent) {
            for (int which = 0; which < 2 && !later; ++which) {
                auto found = generations[which].find(a.block);
                bool stands = a.kind == atomic_read || which == (a.kind != plain_read);
                later = stands && found != generations[which].end() && found->second > a.generation;
            }
        }
        if (!later) kept.push_back(a);
        note(a);
    }
    uint32_t shorter = 0;
    for (auto a = kept.rbegin(); a != kept.rend(); ++a) shorter = lists.push(*a, shorter);
    return shorter;
}

// Forget, at a barrier of the only block, what its threads did in shared memory before.
void Checker::sweep() {
    constexpr size_t many = 1 << 18;
    if (!shared_lists_.hold_agents()) {
        shared_lists_.reset();
    } else if (shared_lists_.size() > many && !me_->shared.empty()) {
        // Only asynchronous accesses still matter, and of them those that not everybody has waited for.
        Lists& lists = shared_lists_;
        const uint32_t epoch = lists.epoch();
        std::vector<std::pair<Cell*, std::vector<Access>>> kept;
        for (Address a = me_->arena_begin; a < me_->shared.back().end; a += me_->arena->granule()) {
            Cell& cell = *me_->arena->at(a);
            if (cell.stamp != me_->serial || cell.epoch != epoch || !cell.others) continue;
            std::vector<Access> mine;
            for (uint32_t i = cell.others; i && lists[i].agents; i = lists[i].next) {
                const Access& access = lists[i].access;
                if (access.thread >= first_agent && !clocks_.everybody_knows(access)) mine.push_back(access);
            }
            if (!mine.empty()) kept.push_back({&cell, std::move(mine)});
        }
        lists.reset();
        for (auto& [cell, accesses] : kept) {
            cell->epoch = lists.epoch();
            cell->others = 0;
            for (auto a = accesses.rbegin(); a != accesses.rend(); ++a) cell->others = lists.push(*a, cell->others);
            cell->count = (uint32_t)accesses.size();
        }
    }
}

// ---- where an address belongs

// Locals, the runtime's own state, the kernel's arguments, constants without a name: not checked.
bool Checker::elsewhere(Address address) {
    if (me_->worker->on_stack(address) || address - reinterpret_cast<Address>(&gradlib_sim_context) < sizeof(Context) ||
        (address >= packed_begin_ && address < packed_end_)) {
        return true;
    }
    if (address < code_begin_ || address >= code_end_) return false;
    return address < variables_begin_ || (address < data_begin_ && !find(address, 1));
}

Region* Checker::find(Address address, unsigned size) {
    for (Region& region : me_->shared) {
        if (region.holds(address, size)) return last_ = &region;
    }
    for (Region& region : arrays_) {
        if (region.holds(address, size)) return last_ = &region;
    }
    for (Living& other : living_) {
        if (address < other.arena_begin || address >= other.arena_end) continue;
        for (Region& region : other.shared) {
            if (region.holds(address, size)) return last_ = &region;
        }
    }
    return nullptr;
}

// ---- threads that wait for a value

void Checker::spins(Address address, unsigned long long value, Address pc) {
    unsigned thread = gradlib_sim_context.linear;
    Spin& spin = me_->spins[thread];
    if (spin.address != address || spin.value != value) {
        spin = Spin{address, value, 0};
        progress();
        return;
    }
    if (++spin.repeats < 4) return;
    if (++yields_ > 20000 + 200ull * gradlib_sim_context.count * living_.size()) {
        Region* region = find(address, 1);
        std::string name = region ? region->name : "";
        raise("deadlock",
              "waits for ever for a change of " + (name.empty() ? std::string("a variable") : name) + ", which holds " +
                  std::to_string(value) + " (blocks that have not started cannot be waited for)",
              name, address, pc);
    }
    me_->worker->yield();
}

// ---- synchronization

void Checker::atomic_done(Address address, bool acquires, bool releases, bool strong) {
    unsigned thread = gradlib_sim_context.linear;
    if (releases) clocks_.release(thread, address, strong);
    if (acquires) clocks_.acquire(thread, address, strong);
}

void Checker::fence() { clocks_.fence(gradlib_sim_context.linear); }
void Checker::fence_proxy(Reach reach) { clocks_.fence_proxy(gradlib_sim_context.linear, reach); }
void Checker::fence_init() { clocks_.fence_init(gradlib_sim_context.linear); }
void Checker::arrived(Address object, bool strong) { clocks_.arrive(gradlib_sim_context.linear, object, strong); }
void Checker::waited(Address object) { clocks_.acquire(gradlib_sim_context.linear, object, true); }

void Checker::barrier_complete() {
    clocks_.barrier();
    if (alone()) sweep();
    progress();
}

void Checker::lanes_joined(unsigned warp, uint32_t lanes) {
    clocks_.join_lanes(warp, lanes);
    progress();
}

}  // namespace gradlib_sim
