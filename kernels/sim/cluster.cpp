// Clusters: several blocks alive at once, on one thread of the host, taking turns when one cannot go on.
#include "engine.h"

namespace gradlib_sim {

unsigned Cluster::rank(const Worker& worker) const {
    unsigned rank = 0;
    while (members_[rank].get() != &worker) ++rank;
    return rank;
}

void Cluster::enter(unsigned rank) {
    gradlib_sim_context = contexts_[rank];
    if (checker_) checker_->enter(rank);
}

void Cluster::run(Job& job, Checker* checker) {
    static thread_local Cluster cluster;
    Context mine = gradlib_sim_context;
    cluster.size_ = job.cluster.x * job.cluster.y * job.cluster.z;
    cluster.checker_ = nullptr;
    while (cluster.members_.size() < cluster.size_) {
        gradlib_sim_context = Context{};
        cluster.members_.push_back(std::make_unique<Worker>());
        cluster.contexts_.push_back(gradlib_sim_context);
    }
    std::vector<Worker*> workers;
    cluster.order_.clear();
    for (unsigned rank = 0; rank < cluster.size_; ++rank) workers.push_back(cluster.members_[rank].get());
    if (checker) checker->begin_launch(job, workers);
    for (unsigned rank = 0; rank < cluster.size_; ++rank) {
        cluster.enter(rank);
        workers[rank]->prepare(job);
        workers[rank]->cluster_ = &cluster;
        workers[rank]->checker_ = checker;
        cluster.leave(rank);
        cluster.order_.push_back(checker ? checker->rank_number(rank) : rank);
    }
    cluster.checker_ = checker;
    bool good = true;
    while (good && !job.stop.load(std::memory_order_relaxed)) {
        unsigned long long position = job.next.fetch_add(1);
        if (position >= job.blocks) break;
        good = cluster.run_blocks(job, position);
    }
    for (Worker* worker : workers) worker->checker_ = nullptr;
    cluster.checker_ = nullptr;
    gradlib_sim_context = mine;
}

bool Cluster::run_blocks(Job& job, unsigned long long position) {
    const unsigned long long number = checker_ ? checker_->block_number(position) : position;
    const uint3 many{job.grid.x / job.cluster.x, job.grid.y / job.cluster.y, job.grid.z / job.cluster.z};
    const uint3 first{(unsigned)(number % many.x) * job.cluster.x, (unsigned)(number / many.x % many.y) * job.cluster.y,
                      (unsigned)(number / many.x / many.y) * job.cluster.z};
    arrived = 0;
    phase = 0;
    for (unsigned r = 0; r < size_; ++r) {
        if (checker_) checker_->begin_block(r, position, job.block.x * job.block.y * job.block.z);
        enter(r);
        members_[r]->begin_block(uint3{first.x + r % job.cluster.x, first.y + r / job.cluster.x % job.cluster.y,
                                       first.z + r / job.cluster.x / job.cluster.y});
        leave(r);
    }
    bool failed = false;
    while (!failed && threads_left()) {
        if (take_turns(failed) || failed || advance(failed) || failed) continue;
        failed = true;
        give_up();
    }
    bool good = !failed;
    for (unsigned r = 0; r < size_; ++r) {
        enter(r);
        if (failed) members_[r]->failed_ = true;
        good = members_[r]->end_block() && good;
        leave(r);
    }
    return good;
}

// Let each block run until it cannot.  False if none could, or if all that ran were waiting for values in memory.
bool Cluster::take_turns(bool& failed) {
    bool moved = false;
    for (unsigned r : order_) {
        Worker& w = *members_[r];
        enter(r);
        const Context& c = gradlib_sim_context;
        if (c.finished < c.count && (w.ready_.head || c.next < c.count || w.at_active_.head)) {
            w.spun_ = false;
            w.current_ = w.next_fiber();
            switch_machine(w.main_, w.current_->machine);
            moved = moved || !w.spun_;
            failed = w.failed_;
        }
        leave(r);
        if (failed) return true;
    }
    return moved;
}

// One step of asynchronous work of one block; where there is none, let those who asked for something ask again.
bool Cluster::advance(bool& failed) {
    for (bool polls : {false, true}) {
        for (unsigned r : order_) {
            enter(r);
            bool moved = members_[r]->advance_outside(polls);
            failed = members_[r]->failed_;
            leave(r);
            if (moved || failed) return true;
        }
    }
    for (unsigned r : order_) {
        if (members_[r]->ready_.head) return true;  // threads that spin: the checker bounds how often
    }
    return false;
}

void Cluster::give_up() {
    std::string text;
    int worst = 3;
    unsigned where = 0;
    for (unsigned r = 0; r < size_; ++r) {
        enter(r);
        if (gradlib_sim_context.finished == gradlib_sim_context.count) continue;
        text += (text.empty() ? "" : "; ") + ("in the block of rank " + std::to_string(r) + " " +
                                              members_[r]->waiting_places());
        int kind;
        if (members_[r]->stuck(kind) && kind < worst) {
            worst = kind;
            where = r;
        }
    }
    enter(where);
    int kind;
    const Fiber* first = members_[where]->stuck(kind);
    members_[where]->stop(Worker::stuck_kinds[kind], first,
                          ("no thread can go on: " + text.substr(0, 900) + ",").c_str());
    leave(where);
}

unsigned Cluster::threads_left() {
    unsigned left = 0;
    for (unsigned r = 0; r < size_; ++r) left += contexts_[r].count - contexts_[r].finished;
    return left;
}

// As Engine::advance, but on no fiber: a fault comes back here.
bool Worker::advance_outside(bool polls) {
    if (!engine_) return false;
    outside_ = true;
    bool moved = false;
    try {
        moved = polls ? engine_->advance_polls() : engine_->advance_work();
    } catch (const Outside&) {
        failed_ = true;
    }
    outside_ = false;
    return moved;
}

bool Worker::finish_outside() {
    if (!engine_) return true;
    outside_ = true;
    bool good = true;
    try {
        engine_->finish();
    } catch (const Outside&) {
        good = false;
    }
    outside_ = false;
    return good;
}

// ---- the cluster as its threads see it

Cluster* Engine::cluster() { return worker_.cluster_; }
unsigned Engine::rank() { return cluster() ? cluster()->rank(worker_) : 0; }

void* Engine::cluster_map(const void* address, unsigned rank, const Site& site) {
    Cluster* c = cluster();
    if (rank >= (c ? c->size() : 1)) {
        worker_.fault_at("out-of-bounds", nullptr, "%s at %s:%d: rank %u of a cluster of %u,", site.what, site.file,
                         site.line, rank, c ? c->size() : 1);
    }
    shared_offset(address, 1, site);
    if (!c || &c->member(rank) == &worker_) return const_cast<void*>(address);
    // The same variable in the other block, which may not have met it yet.
    const unsigned char* place = static_cast<const unsigned char*>(address);
    for (const Worker::Variable& v : worker_.variables_) {
        if (place < v.address || place > v.address + v.size) continue;
        Worker& other = c->member(rank);
        unsigned char* theirs = static_cast<unsigned char*>(other.variable(v.declared));
        return theirs + (place - v.address);
    }
    worker_.fault_at("out-of-bounds", nullptr, "%s at %s:%d: no shared variable at this address,", site.what, site.file,
                     site.line);
}

// Where this block has a variable (null: its dynamic shared memory), seen from another block of its cluster.
void* Worker::variable(SharedVariable* declared) {
    for (const Variable& v : variables_) {
        if (v.declared == declared) return v.address;
    }
    return allocate_shared(*declared, cluster_->context(cluster_->rank(*this)).epoch);
}

// ---- its barrier

static constexpr Address cluster_object = 1 << 10;  // no address of memory, and no named barrier's number

static unsigned everybody(Cluster* c) {
    return c ? c->threads_left() : gradlib_sim_context.count - gradlib_sim_context.finished;
}

void Engine::cluster_arrive(bool release, const Site& site) {
    aligned(site);
    ThreadAsync& t = thread();
    if (t.arrived) {
        worker_.fault_at("barrier", nullptr, "%s at %s:%d: arrives twice without a wait,", site.what, site.file,
                         site.line);
    }
    t.arrived = true;
    Cluster* c = cluster();
    t.cluster_phase = c ? c->phase : phase_;
    ++(c ? c->arrived : arrived_);
    if (checker()) checker()->arrived(cluster_object, release);
    cluster_complete();
}

bool Engine::cluster_complete() {
    Cluster* c = cluster();
    unsigned& arrived = c ? c->arrived : arrived_;
    if (c) c->update(worker_);
    if (arrived == 0 || arrived < everybody(c)) return false;
    arrived = 0;
    ++(c ? c->phase : phase_);
    if (checker()) checker()->completed(cluster_object);
    for (unsigned r = 0; r < (c ? c->size() : 1); ++r) {
        Worker& w = c ? c->member(r) : worker_;
        w.ready_.take(w.engine().at_cluster);
    }
    return true;
}

void Engine::cluster_wait(const Site& site) {
    aligned(site);
    ThreadAsync& t = thread();
    if (!t.arrived) {
        worker_.fault_at("barrier", nullptr, "%s at %s:%d: waits without an arrive,", site.what, site.file, site.line);
    }
    t.arrived = false;
    unsigned long long mine = t.cluster_phase;
    while ((cluster() ? cluster()->phase : phase_) == mine) wait(at_cluster, site);
    if (checker()) checker()->waited(cluster_object);
}

}  // namespace gradlib_sim
