// Named barriers, cp.async, and what makes asynchronous work go on when no thread can.
#include "engine.h"

namespace gradlib_sim {

static void perform_copy(const AsyncCopy& copy) {
    memcpy(copy.to, copy.from, copy.valid);
    memset(copy.to + copy.valid, 0, copy.bytes - copy.valid);
}

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

bool Engine::advance() {
    if (cluster_complete()) return true;
    while (!worker_.ready_.head) {
        if (!copy_arrivals_.empty()) {
            auto [number, barrier] = copy_arrivals_.front();
            copy_arrivals_.pop_front();
            ThreadAsync& thread = threads_[number];
            for (auto& group : thread.copy_groups)
                for (AsyncCopy& copy : group) perform_copy(copy);
            for (AsyncCopy& copy : thread.copies) perform_copy(copy);
            thread.copy_groups.clear();
            thread.copy_agents.clear();
            thread.copy_agent = 0;
            thread.copies.clear();
            mbarrier_arrive(barrier, 1, 0, site_);
        } else if (!loads_.empty()) {
            BulkCopy copy = loads_.front();
            loads_.pop_front();
            perform(copy);
        } else {
            break;
        }
        polls_ = 0;
    }
    constexpr unsigned most_polls = 1 << 14;
    if (!worker_.ready_.head && ++polls_ < most_polls) worker_.ready_.take(polling_);
    return worker_.ready_.head != nullptr;
}

// Where an address lies in the block's shared memory, whose window is 2^18 bytes as on the device.
size_t Engine::shared_offset(const void* address, size_t bytes, const Site& site) {
    size_t offset = (size_t)(static_cast<const unsigned char*>(address) - worker_.arena_);
    if (offset >= worker_.used_ || offset + bytes > worker_.used_) {
        worker_.fault("%s at %s:%d: the address is not in the block's shared memory, thread %u", site.what, site.file,
                      site.line, gradlib_sim_context.linear);
    }
    if (offset + bytes > 1 << 18) worker_.fault("more shared memory than an address of 18 bits reaches,");
    return offset;
}

// ---- named barriers

void Engine::named_barrier(int id, int count, bool wait_too, const Site& site) {
    if (id < 0 || id > 15 || count <= 0 || count % 32 || count > (int)gradlib_sim_context.count + 31) {
        worker_.fault("%s at %s:%d: barrier %d for %d threads (need 0 to 15, and a multiple of 32 threads of the block)",
                      site.what, site.file, site.line, id, count);
    }
    if (id == 0 && wait_too && count == (int)gradlib_sim_context.count) {  // __syncthreads
        worker_.barrier(barrier_plain, 0, site);
        return;
    }
    touched_ = true;
    NamedBarrier& barrier = named_[id];
    if (barrier.arrived && barrier.count != count) {
        worker_.fault("%s at %s:%d: barrier %d for %d threads, others came for %d,", site.what, site.file, site.line,
                      id, count, barrier.count);
    }
    barrier.count = count;
    if (++barrier.arrived == count) {
        barrier.arrived = 0;
        worker_.ready_.take(barrier.waiting);
        polls_ = 0;
    } else if (wait_too) {
        wait(barrier.waiting, site);
    }
}

// ---- cp.async

void Engine::copy(const AsyncCopy& copy, const Site& site) {
    unsigned long long addresses = (unsigned long long)copy.to | (unsigned long long)copy.from;
    if (addresses % copy.bytes || copy.valid > copy.bytes) {
        worker_.fault("%s at %s:%d: %u bytes are not aligned to their size, or %u of them are asked for, thread %u",
                      site.what, site.file, site.line, copy.bytes, copy.valid, gradlib_sim_context.linear);
    }
    shared_offset(copy.to, copy.bytes, site);
    ThreadAsync& t = thread();
    t.copies.push_back(copy);
    if (Checker* c = checker()) {  // both ends are in use from here until the wait
        if (!t.copy_agent) t.copy_agent = c->fork();
        Address pc = c->caller();
        if (copy.valid) c->access_as(t.copy_agent, (Address)copy.from, copy.valid, plain_read, 1, pc);
        c->access_as(t.copy_agent, (Address)copy.to, copy.bytes, plain_write, 1, pc);
    }
}

void Engine::copy_commit() {
    ThreadAsync& t = thread();
    t.copy_groups.push_back(std::move(t.copies));
    t.copies.clear();
    t.copy_agents.push_back(t.copy_agent);
    t.copy_agent = 0;
}

void Engine::copy_wait(unsigned keep, bool all) {
    ThreadAsync& t = thread();
    if (all) copy_commit();
    while (t.copy_groups.size() > keep) {
        for (AsyncCopy& copy : t.copy_groups.front()) perform_copy(copy);
        t.copy_groups.pop_front();
        if (Checker* c = checker(); c && t.copy_agents.front()) c->join(t.copy_agents.front());
        t.copy_agents.pop_front();
    }
}

// The barrier hears of this thread once all its copies so far have ended; without `counts` the arrival is one that the
// barrier's count does not expect.
void Engine::copy_arrive(unsigned long long* barrier, bool counts, const Site& site) {
    checked(barrier, site);
    thread();
    site_ = site;
    if (!counts) mbarrier_expect_arrival(barrier, site);
    copy_arrivals_.push_back({gradlib_sim_context.linear, barrier});
    if (Checker* c = checker()) {
        ThreadAsync& t = thread();
        for (unsigned agent : t.copy_agents) {
            if (agent) c->release_as(agent, (Address)barrier);
        }
        if (t.copy_agent) c->release_as(t.copy_agent, (Address)barrier);
    }
}

}  // namespace gradlib_sim
