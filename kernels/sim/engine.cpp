// Named barriers, cp.async, and what makes asynchronous work go on when no thread can.
#include "engine.h"

namespace gradlib_sim {

Engine& Worker::engine() {
    if (!engine_) {
        engine_ = std::make_unique<Engine>(*this);
        engine_->reset();
    }
    return *engine_;
}

void Engine::reset() {
    if (!touched_) return;
    touched_ = false;
    for (NamedBarrier& barrier : named_) barrier = NamedBarrier();
    threads_.clear();
    groups_.clear();
    waiters_.clear();
    loads_.clear();
    copy_arrivals_.clear();
    polling_ = at_cluster = Queue();
    polls_ = arrived_ = 0;
    phase_ = 0;
}

ThreadAsync& Engine::thread() {
    touched_ = true;
    const Context& c = gradlib_sim_context;
    if (threads_.empty()) threads_.resize(c.count);
    return threads_[c.linear];
}

void Engine::wait(Queue& queue, const Site& site) {
    touched_ = true;
    polls_ = 0;
    worker_.suspend(queue, site);
}

void Engine::finish() {
    if (!touched_) return;
    for (ThreadAsync& thread : threads_) {  // stores happen, even if nobody waits for them
        for (auto& group : thread.store_groups)
            for (BulkCopy& copy : group) perform(copy);
        for (BulkCopy& copy : thread.stores) perform(copy);
    }
    while (!loads_.empty()) {
        perform(loads_.front());
        loads_.pop_front();
    }
}

bool Engine::advance() { return advance_work() || advance_polls(); }

// One thing after another, until a thread can go on.
bool Engine::advance_work() {
    if (cluster_complete()) return true;
    while (!worker_.ready_.head) {
        if (!copy_arrivals_.empty()) {
            CopyArrival arrival = std::move(copy_arrivals_.front());
            copy_arrivals_.pop_front();
            perform(arrival);
        } else if (!loads_.empty()) {
            BulkCopy copy = std::move(loads_.front());
            loads_.pop_front();
            perform(copy);
        } else {
            return false;
        }
        polls_ = 0;
    }
    return true;
}

// Let those who asked ask again, a number of times.
bool Engine::advance_polls() {
    constexpr unsigned most_polls = 1 << 14;
    if (!worker_.ready_.head && ++polls_ < most_polls) worker_.ready_.take(polling_);
    return worker_.ready_.head != nullptr;
}

// Where an address lies in the block's shared memory, whose window is 2^18 bytes as on the device.
size_t Engine::shared_offset(const void* address, size_t bytes, const Site& site) {
    size_t offset = (size_t)(static_cast<const unsigned char*>(address) - worker_.arena_);
    if (offset >= worker_.used_ || offset + bytes > worker_.used_) {
        worker_.fault_at("out-of-bounds", nullptr,
                         "%s at %s:%d: the address is not in the block's shared memory, thread %u", site.what,
                         site.file, site.line, gradlib_sim_context.linear);
    }
    if (offset + bytes > 1 << 18) worker_.fault("more shared memory than an address of 18 bits reaches,");
    return offset;
}

// An instruction whose `.aligned` says that all lanes of the warp execute it.  The fast build takes that for granted.
void Engine::aligned(const Site& site) {
    if (checker()) worker_.collective(collective_aligned, ~0u, 0, 0, site);
}

// ---- named barriers

void Engine::named_barrier(int id, int count, bool wait_too, const Site& site) {
    if (id < 0 || id > 15 || count <= 0 || count % 32 || count > (int)gradlib_sim_context.count + 31) {
        worker_.fault_at("barrier", nullptr,
                         "%s at %s:%d: barrier %d for %d threads (need 0 to 15, and a multiple of 32 "
                         "threads of the block)",
                         site.what, site.file, site.line, id, count);
    }
    if (id == 0 && wait_too && count == (int)gradlib_sim_context.count) {  // __syncthreads
        worker_.barrier(barrier_plain, 0, site);
        return;
    }
    aligned(site);
    touched_ = true;
    NamedBarrier& barrier = named_[id];
    if (barrier.arrived && barrier.count != count) {
        worker_.fault_at("barrier", nullptr, "%s at %s:%d: barrier %d for %d threads, others came for %d,", site.what,
                         site.file, site.line, id, count, barrier.count);
    }
    Checker* c = checker();
    const Address object = (Address)rank() << 4 | (Address)id;  // no address of memory
    barrier.count = count;
    if (c) c->arrived(object);
    if (++barrier.arrived == count) {
        barrier.arrived = 0;
        if (c) c->completed(object);
        worker_.ready_.take(barrier.waiting);
        polls_ = 0;
    } else if (wait_too) {
        wait(barrier.waiting, site);
    }
    if (c && wait_too) c->waited(object);
}

// ---- cp.async

static void perform_copy(const AsyncCopy& copy, unsigned& done) {
    if (copy.number < done) return;
    memcpy(copy.to, copy.from, copy.valid);
    memset(copy.to + copy.valid, 0, copy.bytes - copy.valid);
    done = copy.number + 1;
}

void Engine::copy(const AsyncCopy& copy, const Site& site) {
    unsigned long long addresses = (unsigned long long)copy.to | (unsigned long long)copy.from;
    if (addresses % copy.bytes || copy.valid > copy.bytes) {
        worker_.fault_at("misaligned", nullptr,
                         "%s at %s:%d: %u bytes are not aligned to their size, or %u of them are asked "
                         "for, thread %u",
                         site.what, site.file, site.line, copy.bytes, copy.valid, gradlib_sim_context.linear);
    }
    shared_offset(copy.to, copy.bytes, site);
    ThreadAsync& t = thread();
    t.copies.copies.push_back(copy);
    t.copies.copies.back().number = t.copies_issued++;
    if (Checker* c = checker()) {  // both ends are in use from here until the wait
        if (!t.named) t.copies.agents.push_back(c->fork(true));
        t.named = true;
        unsigned agent = t.copies.agents.back();
        Address pc = c->caller();
        if (copy.valid) c->access_as(agent, (Address)copy.from, copy.valid, plain_read, pc);
        c->access_as(agent, (Address)copy.to, copy.bytes, plain_write, pc);
    }
}

void Engine::copy_commit() {
    ThreadAsync& t = thread();
    t.copy_groups.push_back(std::move(t.copies));
    t.copies = CopyGroup();
    t.named = false;
}

void Engine::copy_wait(unsigned keep, bool all) {
    ThreadAsync& t = thread();
    if (all) copy_commit();
    for (; t.copy_groups.size() > keep; t.copy_groups.pop_front()) {
        CopyGroup& group = t.copy_groups.front();
        for (AsyncCopy& copy : group.copies) perform_copy(copy, t.copies_done);
        for (unsigned agent : group.agents) checker()->join(agent);
    }
}

// The barrier hears of this thread once all its copies so far have ended.
void Engine::copy_arrive(unsigned long long* barrier, const Site& site) {
    checked(barrier, site);
    ThreadAsync& t = thread();
    CopyArrival arrival{barrier, gradlib_sim_context.linear, t.copies_issued, {}, site};
    for (CopyGroup& group : t.copy_groups) {
        arrival.agents.insert(arrival.agents.end(), group.agents.begin(), group.agents.end());
    }
    arrival.agents.insert(arrival.agents.end(), t.copies.agents.begin(), t.copies.agents.end());
    t.named = false;
    copy_arrivals_.push_back(std::move(arrival));
}

void Engine::perform(const CopyArrival& arrival) {
    ThreadAsync& t = threads_[arrival.thread];
    auto perform_all = [&](const CopyGroup& group) {
        for (const AsyncCopy& copy : group.copies) {
            if (copy.number < arrival.copies) perform_copy(copy, t.copies_done);
        }
    };
    for (CopyGroup& group : t.copy_groups) perform_all(group);
    perform_all(t.copies);
    for (unsigned agent : arrival.agents) checker()->arrived_as(agent, (Address)arrival.barrier);
    mbarrier_arrive(arrival.barrier, 1, 0, arrival.site);
}

}  // namespace gradlib_sim
