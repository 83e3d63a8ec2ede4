// Launches and blocks under the checker's eyes: in which order they run, and what must not outlive a block.
#include <link.h>

#include <random>

#include "block.h"
#include "checker.h"

namespace gradlib_sim {

Checker::~Checker() {
    for (Region& region : arrays_) delete region.shadow;
    for (auto& arena : arenas_) delete arena.second;
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

void Checker::begin_launch(const Job& job, const std::vector<Worker*>& workers) {
    const CheckedOptions& options = *job.checked;
    for (Region& region : arrays_) delete region.shadow;
    arrays_.clear();
    last_ = nullptr;
    for (uint32_t i = 0; i < options.count; ++i) {
        const Argument& a = options.arguments[i];
        arrays_.push_back({a.name, a.begin, a.begin + a.bytes, nullptr, false, a.written != 0});
        arrays_.back().shadow = new Shadow(a.begin, a.bytes);
    }
    packed_begin_ = reinterpret_cast<Address>(job.arguments);
    packed_end_ = packed_begin_ + options.packed_bytes;
    Address range[3] = {reinterpret_cast<Address>(job.entry), 0, 0};
    dl_iterate_phdr(module_range, range);
    code_begin_ = range[1];
    code_end_ = range[2];
    variables_begin_ = options.variables ? options.variables : code_end_;
    data_begin_ = options.data ? options.data : code_end_;
    arrange(blocks_, job.blocks, options);
    arrange(threads_, job.block.x * job.block.y * job.block.z, options);
    arrange(ranks_, workers.size(), options);
    if (serial_ > 1u << 31) {  // serials must not repeat while cells remember them
        for (auto& arena : arenas_) delete arena.second;
        arenas_.clear();
        serial_ = 0;
    }
    first_serial_ = serial_ + 1;
    serial_ += (uint32_t)(job.blocks * workers.size());
    grid_ = job.grid;
    cluster_ = job.cluster;
    living_.clear();
    living_.resize(workers.size());
    for (unsigned rank = 0; rank < workers.size(); ++rank) {
        Living& block = living_[rank];
        block.worker = workers[rank];
        block.arena_begin = workers[rank]->arena();
        block.arena_end = block.arena_begin + arena_bytes;
        Shadow*& arena = arenas_[block.arena_begin];
        if (arena && arena->granule() < 4) {
            delete arena;
            arena = nullptr;
        }
        if (!arena) arena = new Shadow(block.arena_begin, arena_bytes);
        block.arena = arena;
    }
    pending_ = false;
    quiet_ = options.quiet != 0;
    shared_lists_.reset();
    array_lists_.reset();
    clocks_.begin_launch((unsigned)workers.size());
    enter(0);
}

void Checker::end_launch() {
    if (pending_) me_->worker->report(unwritten_);
}

void Checker::enter(unsigned rank) {
    rank_ = rank;
    me_ = &living_[rank];
    clocks_.enter(rank);
}

void Checker::begin_block(unsigned rank, unsigned long long position, unsigned threads) {
    enter(rank);
    Living& block = *me_;
    block.serial = first_serial_ + (uint32_t)(position * living_.size()) + rank;
    clocks_.begin_block(rank, block.serial, threads);
    block.ended = block.tagged = false;
    block.shared.clear();
    block.issuers.clear();
    block.held.clear();
    block.uses.clear();
    block.spins.assign(threads, Spin{});
    last_ = nullptr;
    if (rank == 0) shared_lists_.reset();
    agent_ = 0;
    yields_ = 0;
}

void Checker::add_shared(const Worker& worker, const char* name, Address begin, size_t bytes) {
    for (unsigned rank = 0; rank < living_.size(); ++rank) {
        Living& block = living_[rank];
        if (block.worker != &worker) continue;
        block.shared.push_back({name, begin, begin + bytes, block.arena, true, false, rank, block.serial});
    }
    last_ = nullptr;  // the vector may have moved
}

uint3 Checker::index(uint32_t serial) const {
    unsigned long long place = serial - first_serial_, number = blocks_[place / living_.size()];
    unsigned rank = (unsigned)(place % living_.size());
    const uint3 many{grid_.x / cluster_.x, grid_.y / cluster_.y, grid_.z / cluster_.z};
    return uint3{(unsigned)(number % many.x) * cluster_.x + rank % cluster_.x,
                 (unsigned)(number / many.x % many.y) * cluster_.y + rank / cluster_.x % cluster_.y,
                 (unsigned)(number / many.x / many.y) * cluster_.z + rank / cluster_.x / cluster_.y};
}

// ---- shared memory exists from its block's begin to its end
// (CUDA C++ Programming Guide, "Distributed Shared Memory": all blocks must have started, and must not exit before.)

void Checker::check_life(const Act& act) {
    Living& owner = living_[act.region.owner];
    if (act.region.owner != rank_) {
        if (owner.ended) {
            raise("race", described(act) + ", a block that has ended", act.region.name, act.address, act.pc);
        }
        if (!clocks_.knows_of(act.now.thread, owner.serial)) {
            raise("race", described(act) + ", a block that may not have begun", act.region.name, act.address, act.pc);
        }
    }
    const Access& now = act.now;
    Use& use = owner.uses[(uint64_t)now.block << 32 | now.thread];
    if (use.access.block && use.access.time == now.time && use.access.generation == now.generation) return;
    use = {now, act.region.name};
}

// A use is over before the block ends if one of the block's threads knows of it.
bool Checker::end_block(unsigned rank) {
    enter(rank);
    for (const auto& entry : me_->uses) {
        const Use& use = entry.second;
        if (clocks_.anybody_knows(use.access)) continue;
        bool agent = use.access.thread >= first_agent;
        std::string text = std::string(agent ? "asynchronously " : "") + verb(use.access.kind) + " " + use.name +
                           " of block " + triple(index(me_->serial)) +
                           ", which may end before that: none of its threads waits for it";
        Fault fault{};
        snprintf(fault.kind, sizeof fault.kind, "%s", agent ? "async" : "race");
        snprintf(fault.text, sizeof fault.text, "%s", text.c_str());
        snprintf(fault.argument, sizeof fault.argument, "%.60s", use.name.c_str());
        place(fault, index(use.access.block), use.access.issuer);
        fault.frames[0] = use.access.pc;
        fault.frame_count = 1;
        me_->worker->report(fault);
        return false;
    }
    return true;
}

}  // namespace gradlib_sim
