// The host runtime of the sim device: a block's threads as fibers on one OS thread.  launch.cpp spreads the blocks.
#include "block.h"
#include "checker.h"
#include "engine.h"

__thread gradlib_sim::Context gradlib_sim_context;

namespace gradlib_sim {

static void* reserve(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    return memory;
}

// What this_worker() would return, without its check for the first call.  Kernels come here: with a full stack, no further.
static inline Worker& running() {
    Worker& worker = *static_cast<Worker*>(gradlib_sim_context.worker);
    if (__builtin_expect(worker.stack_is_full(), 0)) worker.crashed();
    return worker;
}
static void begin() { running().carry(); }

Worker::Worker() {
    arena_ = static_cast<unsigned char*>(reserve(arena_bytes));
    table_ = static_cast<SharedEntry*>(reserve(max_variables * sizeof(SharedEntry)));
    warps_ = new Warp[max_threads / warp_size]();
    crash_ = std::make_unique<Crash>();
    memset(exited_, 0, sizeof exited_);
    fibers_.push_back(std::make_unique<Fiber>(0u));  // a block finds one fiber idle at least: its start cannot fail
    fibers_[0]->stack.prepare(fibers_[0]->machine, begin);
    idle_.push_front(fibers_[0].get());
    gradlib_sim_context.worker = this;
    gradlib_sim_context.table = table_;
    gradlib_sim_context.exited = exited_;
}

Worker::~Worker() {
    munmap(arena_, arena_bytes);
    munmap(table_, max_variables * sizeof(SharedEntry));
    delete[] warps_;
}

Worker& this_worker() {
    static thread_local Worker worker;
    return worker;
}

// ---- one block

void Worker::run(Job& job) {
    const SignalWatch watch;
    if (job.checked && !owned_) owned_ = std::make_unique<Checker>();
    Checker* checker = job.checked ? owned_.get() : nullptr;
    if (job.cluster.x * job.cluster.y * job.cluster.z > 1) {
        Cluster::run(job, checker);
    } else {
        prepare(job);
        checker_ = checker;
        if (checker) checker->begin_launch(job, {this});
        run_blocks(job);
    }
    if (checker && !job.stop) checker->end_launch();
    checker_ = nullptr;
}

void Worker::run_blocks(Job& job) {
    while (!job.stop.load(std::memory_order_relaxed)) {
        unsigned long long first = job.next.fetch_add(job.chunk), last = first + job.chunk;
        if (first >= job.blocks) break;
        if (last > job.blocks) last = job.blocks;
        for (; first < last && !job.stop.load(std::memory_order_relaxed); ++first) {
            if (!run_block(first)) return;
        }
    }
}

void Worker::prepare(Job& job) {
    job_ = &job;
    cluster_ = nullptr;
    checker_ = nullptr;
    Context& c = gradlib_sim_context;
    c.block_dim = job.block;
    c.grid_dim = job.grid;
    c.count = job.block.x * job.block.y * job.block.z;
    c.dynamic_size = job.dynamic_size;
    unsigned warps = (c.count + warp_size - 1) / warp_size;
    for (unsigned w = 0; w < warps; ++w) {
        unsigned lanes = c.count - w * warp_size;
        warps_[w].present = lanes >= warp_size ? ~0u : (1u << lanes) - 1;
    }
}

bool Worker::run_block(unsigned long long position) {
    unsigned long long number = checker_ ? checker_->block_number(position) : position;
    if (checker_) checker_->begin_block(0, position, gradlib_sim_context.count);
    const uint3 grid = gradlib_sim_context.grid_dim;
    begin_block(uint3{(unsigned)(number % grid.x), (unsigned)(number / grid.x % grid.y),
                      (unsigned)(number / grid.x / grid.y)});
    current_ = next_fiber();
    switch_machine(main_, current_->machine);
    return end_block();
}

void Worker::begin_block(uint3 block) {
    Context& c = gradlib_sim_context;
    c.block = block;
    c.next = c.finished = c.waiting = 0;
    c.next_thread = uint3{0, 0, 0};
    ++c.epoch;
    memset(exited_, 0, (c.count + warp_size - 1) / warp_size * sizeof(unsigned));
    arrived_ = votes_ = 0;
    used_ = payload_ = 0;
    variables_.clear();
    failed_ = false;
    barrier_site_ = nullptr;
    if (engine_) engine_->reset();
    c.dynamic = allocate("dynamic shared memory", c.dynamic_size, 1024);
}

bool Worker::end_block() {
    if (full_ && !failed_) {  // and no thread has called the runtime since
        report_crash();
        failed_ = true;
    }
    full_ = false;
    if (failed_) {  // the stacks of the fibers that still wait are abandoned where they stand
        ready_ = at_barrier_ = at_active_ = idle_ = Queue();
        for (unsigned w = 0; w < max_threads / warp_size; ++w) warps_[w].pending = 0;
        for (auto& fiber : fibers_) {
            fiber->stack.close_reserve();
            fiber->stack.prepare(fiber->machine, begin);
            fiber->idle = true;
            idle_.push_front(fiber.get());
        }
        return false;
    }
    if (!finish_outside() || !check_guards()) return false;
    return !checker_ || checker_->end_block(cluster_ ? cluster_->rank(*this) : 0);
}

void Worker::carry() {
    for (;;) {
        current_->idle = false;
        job_->entry(job_->arguments);  // returns when every thread of the block has been started
        Fiber* me = current_;
        me->idle = true;
        idle_.push_front(me);
        Context& c = gradlib_sim_context;
        if (c.finished == c.count) {
            switch_machine(me->machine, main_);
            continue;
        }
        current_ = next_fiber();
        if (current_ != me) switch_machine(me->machine, next_machine());
    }
}

Fiber* Worker::new_fiber() {
    bool made = true;
    try {  // an exception must not leave a fiber, whose callers have no unwind tables
        fibers_.push_back(std::make_unique<Fiber>((unsigned)fibers_.size()));
    } catch (const std::bad_alloc&) {
        made = false;
    }
    if (!made) fault("no memory for the stack of thread %u,", gradlib_sim_context.next);
    Fiber* fiber = fibers_.back().get();
    fiber->stack.prepare(fiber->machine, begin);
    return fiber;
}

// A fiber that can run: one whose wait is over, else an idle one for a thread not yet started.  Off its queue.
// Null if another block of the cluster must run first.
Fiber* Worker::next_fiber() {
    if (Fiber* fiber = ready_.pop()) return fiber;
    Context& c = gradlib_sim_context;
    if (c.next < c.count) {
        if (Fiber* fiber = idle_.pop()) return fiber;
        return new_fiber();
    }
    if (resolve_active()) return ready_.pop();
    if (cluster_) return nullptr;
    if (engine_ && engine_->advance()) return ready_.pop();
    deadlock();
}

void Worker::suspend(Queue& queue, const Site& site) {
    Context& c = gradlib_sim_context;
    Fiber* me = current_;
    me->thread = c.thread;
    me->linear = c.linear;
    me->site = &site;
    me->frame = __builtin_frame_address(0);
    queue.push(me);
    Fiber* to = ready_.pop();
    if (to) {
        if (to->next) prefetch(to->next->machine);
        current_ = to;
    } else {
        current_ = next_fiber();
    }
    if (current_ != me) switch_machine(me->machine, next_machine());
    c.thread = me->thread;
    c.linear = me->linear;
}

// Let every other thread that can move do so first.
void Worker::yield() {
    static const Site site = {"a loop that waits for a value in memory", "", 0};
    Context& c = gradlib_sim_context;
    Fiber* me = current_;
    me->thread = c.thread;
    me->linear = c.linear;
    me->site = &site;
    me->frame = __builtin_frame_address(0);
    Fiber* next = nullptr;
    if (c.next < c.count) {
        next = idle_.pop();
        if (!next) next = new_fiber();
    } else if (!ready_.head && !resolve_active() && !cluster_ && engine_) {
        engine_->advance();  // what is asynchronous may be what it waits for
    }
    ready_.push(me);
    spun_ = !next;
    if (!next && !cluster_) next = ready_.pop();  // a cluster lets its other blocks run
    current_ = next;
    if (current_ != me) switch_machine(me->machine, next_machine());
    c.thread = me->thread;
    c.linear = me->linear;
}

bool Worker::start_thread() {
    Context& c = gradlib_sim_context;
    if (c.next == c.count) return false;
    unsigned linear = checker_ ? checker_->thread_number(c.next) : c.next;
    ++c.next;
    c.linear = linear;
    c.thread = uint3{linear % c.block_dim.x, linear / c.block_dim.x % c.block_dim.y,
                     linear / c.block_dim.x / c.block_dim.y};
    return true;
}

void Worker::finish_thread() {
    gradlib_sim::finish_thread();
    if (!checker_) return;
    checker_->progress();
    const Context& c = gradlib_sim_context;
    if (c.finished == c.count) checker_->ended();
}

bool Worker::on_any_stack(uintptr_t address) const {
    for (const auto& fiber : fibers_) {
        if (fiber->stack.holds(address)) return true;
    }
    return false;
}

// ---- shared memory

void* Worker::allocate(const char* name, size_t size, size_t alignment, SharedVariable* declared) {
    if (alignment < 128) alignment = 128;
    size_t start = (used_ + guard_bytes + alignment - 1) / alignment * alignment;
    payload_ += size;
    if (payload_ > shared_limit || start + size + guard_bytes > arena_bytes) {
        fault("%s brings the shared memory of the block to %zu bytes, above the limit of %zu,", name, payload_,
              shared_limit);
    }
    unsigned char* address = arena_ + start;
    memset(address - guard_bytes, guard_byte, guard_bytes);
    memset(address, poison_byte, size);
    memset(address + size, guard_byte, guard_bytes);
    used_ = start + size + guard_bytes;
    variables_.push_back({name, address, size, declared});
    if (checker_) checker_->add_shared(*this, name, reinterpret_cast<uintptr_t>(address), size);
    return address;
}

void* Worker::enter_shared(SharedVariable& variable) {
    return allocate_shared(variable, gradlib_sim_context.epoch);
}

void* Worker::allocate_shared(SharedVariable& variable, unsigned long long epoch) {
    static std::mutex mutex;
    static unsigned variables = 0;
    unsigned index = __atomic_load_n(&variable.index, __ATOMIC_RELAXED);
    if (index == 0) {
        std::lock_guard<std::mutex> lock(mutex);
        index = __atomic_load_n(&variable.index, __ATOMIC_RELAXED);
        if (index == 0 && variables + 1 < max_variables) {
            index = ++variables;
            __atomic_store_n(&variable.index, index, __ATOMIC_RELAXED);
        }
    }
    if (index == 0) fault("more than %u shared variables are loaded in this process,", max_variables - 1);
    SharedEntry& entry = table_[index];
    if (entry.epoch != epoch) {
        entry.address = allocate(variable.name, variable.size, variable.alignment, &variable);
        entry.epoch = epoch;
    }
    return entry.address;
}

// ---- barrier of the block

int Worker::barrier(BarrierKind kind, int predicate, const Site& site) {
    votes_ += predicate != 0;
    if (checker_) {
        if (arrived_ == 0) {
            barrier_site_ = &site;
        } else if (barrier_site_->line != site.line || strcmp(barrier_site_->file, site.file)) {
            fault_at("barrier", nullptr, "%s is reached at %s:%d by one thread and at %s:%d by another,", site.what,
                     site.file, site.line, barrier_site_->file, barrier_site_->line);
        }
    }
    if (++arrived_ < gradlib_sim_context.count) {
        suspend(at_barrier_, site);
    } else {
        outcome_ = kind == barrier_and ? votes_ == arrived_ : kind == barrier_or ? votes_ != 0 : (int)votes_;
        arrived_ = votes_ = 0;
        ready_.take(at_barrier_);
        if (checker_) checker_->barrier_complete();
    }
    return outcome_;  // the next barrier cannot complete before this thread reaches it
}

}  // namespace gradlib_sim

// ---- what compiled kernels call

using namespace gradlib_sim;
extern "C" {
void* gradlib_sim_shared(SharedVariable* variable) { return running().enter_shared(*variable); }
void gradlib_sim_thread_exit() { running().thread_exited(); }
bool gradlib_sim_start_thread() { return running().start_thread(); }
void gradlib_sim_finish_thread() { running().finish_thread(); }
int gradlib_sim_barrier(BarrierKind kind, int predicate, const Site& site) {
    return running().barrier(kind, predicate, site);
}
unsigned long long gradlib_sim_collective(CollectiveKind kind, unsigned mask, unsigned long long value, int source,
                                          const Site& site) {
    return running().collective(kind, mask, value, source, site);
}
unsigned gradlib_sim_active(const Site& site) { return running().active(site); }
void gradlib_sim_fault(const char* text, const char* detail, const char* file, int line) {
    const uint3 t = gradlib_sim_context.thread;
    if (line) running().fault("%s%s at %s:%d, thread (%u, %u, %u)", text, detail, file, line, t.x, t.y, t.z);
    running().fault("%s%s, thread (%u, %u, %u)", text, detail, t.x, t.y, t.z);
}
}
