// Clusters: several blocks alive at once, on one thread of the host, taking turns when one cannot go on.
#include "engine.h"

namespace gradlib_sim {

unsigned Cluster::rank(const Worker& worker) const {
    unsigned rank = 0;
    while (members_[rank].get() != &worker) ++rank;
    return rank;
}

void Cluster::enter(unsigned rank) { gradlib_sim_context = contexts_[rank]; }

void Cluster::run(Job& job) {
    static thread_local Cluster cluster;
    Context mine = gradlib_sim_context;
    cluster.size_ = job.cluster.x * job.cluster.y * job.cluster.z;
    while (cluster.members_.size() < cluster.size_) {
        gradlib_sim_context = Context{};
        cluster.members_.push_back(std::make_unique<Worker>());
        cluster.contexts_.push_back(gradlib_sim_context);
    }
    for (unsigned rank = 0; rank < cluster.size_; ++rank) {
        cluster.enter(rank);
        cluster.members_[rank]->prepare(job);
        cluster.members_[rank]->cluster_ = &cluster;
        cluster.leave(rank);
    }
    uint3 many{job.grid.x / job.cluster.x, job.grid.y / job.cluster.y, job.grid.z / job.cluster.z};
    bool good = true;
    while (good && !job.stop.load(std::memory_order_relaxed)) {
        unsigned long long number = job.next.fetch_add(1);
        if (number >= job.blocks) break;
        good = cluster.run_blocks(job, uint3{(unsigned)(number % many.x) * job.cluster.x,
                                             (unsigned)(number / many.x % many.y) * job.cluster.y,
                                             (unsigned)(number / many.x / many.y) * job.cluster.z});
    }
    gradlib_sim_context = mine;
}

bool Cluster::run_blocks(Job& job, uint3 first) {
    arrived = 0;
    phase = 0;
    for (unsigned r = 0; r < size_; ++r) {
        enter(r);
        members_[r]->begin_block(uint3{first.x + r % job.cluster.x, first.y + r / job.cluster.x % job.cluster.y,
                                       first.z + r / job.cluster.x / job.cluster.y});
        leave(r);
    }
    bool failed = false;
    std::string stuck;
    while (!failed && threads_left()) {
        bool moved = false;
        for (unsigned r = 0; r < size_ && !failed; ++r) {
            Worker& w = *members_[r];
            enter(r);
            const Context& c = gradlib_sim_context;
            if (c.finished < c.count && (w.ready_.head || c.next < c.count || w.at_active_.head)) {
                w.current_ = w.next_fiber();
                switch_machine(w.main_, w.current_->machine);
                moved = true;
                failed = w.failed_;
            }
            leave(r);
        }
        for (unsigned r = 0; r < size_ && !moved && !failed; ++r) {
            enter(r);
            moved = members_[r]->advance_outside();
            failed = members_[r]->failed_;
            leave(r);
        }
        if (!moved && !failed) {
            failed = true;
            for (unsigned r = 0; r < size_; ++r) {
                enter(r);
                if (gradlib_sim_context.finished == gradlib_sim_context.count) continue;
                stuck += (stuck.empty() ? "" : "; ") + ("in the block of rank " + std::to_string(r) + " " +
                                                        members_[r]->waiting_places());
            }
            job.fail("no thread can go on: " + stuck.substr(0, 900) + ", in the cluster of block (" +
                     std::to_string(first.x) + ", " + std::to_string(first.y) + ", " + std::to_string(first.z) + ")");
        }
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

unsigned Cluster::threads_left() {
    unsigned left = 0;
    for (unsigned r = 0; r < size_; ++r) left += contexts_[r].count - contexts_[r].finished;
    return left;
}

// As Engine::advance, but on no fiber: a fault comes back here.
bool Worker::advance_outside() {
    if (!engine_) return false;
    outside_ = true;
    bool moved = false;
    try {
        moved = engine_->advance();
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
        worker_.fault("%s at %s:%d: rank %u of a cluster of %u,", site.what, site.file, site.line, rank,
                      c ? c->size() : 1);
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
    worker_.fault("%s at %s:%d: no shared variable at this address,", site.what, site.file, site.line);
}

// Where this block has a variable (null: its dynamic shared memory), seen from another block of its cluster.
void* Worker::variable(SharedVariable* declared) {
    for (const Variable& v : variables_) {
        if (v.declared == declared) return v.address;
    }
    return allocate_shared(*declared, cluster_->context(cluster_->rank(*this)).epoch);
}

static unsigned everybody(Cluster* c) {
    return c ? c->threads_left() : gradlib_sim_context.count - gradlib_sim_context.finished;
}

void Engine::cluster_arrive(const Site& site) {
    ThreadAsync& t = thread();
    if (t.arrived) worker_.fault("%s at %s:%d: arrives twice without a wait,", site.what, site.file, site.line);
    t.arrived = true;
    Cluster* c = cluster();
    t.cluster_phase = c ? c->phase : phase_;
    ++(c ? c->arrived : arrived_);
    cluster_complete();
}

bool Engine::cluster_complete() {
    Cluster* c = cluster();
    unsigned& arrived = c ? c->arrived : arrived_;
    if (c) c->update(worker_);
    if (arrived == 0 || arrived < everybody(c)) return false;
    arrived = 0;
    ++(c ? c->phase : phase_);
    for (unsigned r = 0; r < (c ? c->size() : 1); ++r) {
        Worker& w = c ? c->member(r) : worker_;
        w.ready_.take(w.engine().at_cluster);
    }
    return true;
}

void Engine::cluster_wait(const Site& site) {
    ThreadAsync& t = thread();
    if (!t.arrived) worker_.fault("%s at %s:%d: waits without an arrive,", site.what, site.file, site.line);
    t.arrived = false;
    unsigned long long mine = t.cluster_phase;
    while ((cluster() ? cluster()->phase : phase_) == mine) wait(at_cluster, site);
}

}  // namespace gradlib_sim

// ---- what compiled kernels call

using namespace gradlib_sim;
static Engine& engine() { return running().engine(); }

// For the checker: an mbarrier orders what came before an arrival and what comes after a wait; so does a named barrier,
// whose number stands for its address.
static void use_barrier(unsigned long long* barrier, AccessKind kind) {
    Checker* c = running().checker();
    if (c) c->access(reinterpret_cast<Address>(barrier), 8, kind, 8, c->caller());
}
static void released(const void* object) {
    if (Checker* c = running().checker()) c->atomic_done(reinterpret_cast<Address>(object), false, true, true);
}
static void acquired(const void* object) {
    if (Checker* c = running().checker()) c->atomic_done(reinterpret_cast<Address>(object), true, false, true);
}
static BulkCopy tensor_copy(const void* map, const void* shared, int rank, const int* at, const Site& site) {
    BulkCopy copy{};
    copy.tensor = true;
    memcpy(&copy.map, map, sizeof copy.map);
    copy.shared = static_cast<unsigned char*>(const_cast<void*>(shared));
    for (int d = 0; d < rank; ++d) copy.at[d] = at[d];
    if (rank != copy.map.rank) {
        running().fault("%s at %s:%d: %d coordinates, but the map has %d dimensions (is it one of sim?),", site.what,
                        site.file, site.line, rank, copy.map.rank);
    }
    return copy;
}

extern "C" {
void gradlib_sim_named_barrier(int id, int count, bool wait, const Site& site) {
    const void* object = reinterpret_cast<const void*>((Address)(unsigned)id + 1);
    released(object);
    engine().named_barrier(id, count, wait, site);
    if (wait) acquired(object);
}
void gradlib_sim_copy_async(void* to, const void* from, unsigned bytes, unsigned valid, const Site& site) {
    engine().copy({static_cast<unsigned char*>(to), static_cast<const unsigned char*>(from), bytes, valid}, site);
}
void gradlib_sim_copy_commit() { engine().copy_commit(); }
void gradlib_sim_copy_wait(unsigned keep, bool all) { engine().copy_wait(keep, all); }
void gradlib_sim_copy_arrive(unsigned long long* barrier, bool counts, const Site& site) {
    engine().copy_arrive(barrier, counts, site);
}
unsigned gradlib_sim_shared_offset(const void* address, size_t bytes, const Site& site) {
    return (unsigned)engine().shared_offset(address, bytes, site);
}
void gradlib_sim_mbarrier_init(unsigned long long* barrier, unsigned count, const Site& site) {
    use_barrier(barrier, plain_write);
    engine().mbarrier_init(barrier, count, site);
}
void gradlib_sim_mbarrier_inval(unsigned long long* barrier, const Site& site) {
    use_barrier(barrier, plain_write);
    engine().mbarrier_inval(barrier, site);
}
unsigned long long gradlib_sim_mbarrier_arrive(unsigned long long* barrier, unsigned count, unsigned bytes,
                                               const Site& site) {
    use_barrier(barrier, atomic_write);
    released(barrier);
    return engine().mbarrier_arrive(barrier, count, bytes, site);
}
bool gradlib_sim_mbarrier_test(unsigned long long* barrier, unsigned parity, bool wait, const Site& site) {
    use_barrier(barrier, atomic_write);
    bool done = engine().mbarrier_test(barrier, parity, wait, site);
    if (done) acquired(barrier);
    return done;
}
void gradlib_sim_tensor_load(void* to, const void* map, unsigned long long* barrier, unsigned receivers, int rank,
                             const int* at, const Site& site) {
    BulkCopy copy = tensor_copy(map, to, rank, at, site);
    copy.load = true;
    copy.barrier = barrier;
    copy.receivers = receivers;
    engine().bulk(copy, site);
}
void gradlib_sim_tensor_store(const void* map, const void* from, int rank, const int* at, const Site& site) {
    engine().bulk(tensor_copy(map, from, rank, at, site), site);
}
void gradlib_sim_bulk_load(void* to, const void* from, unsigned bytes, unsigned long long* barrier, const Site& site) {
    BulkCopy copy{};
    copy.load = true;
    copy.shared = static_cast<unsigned char*>(to);
    copy.global = static_cast<unsigned char*>(const_cast<void*>(from));
    copy.bytes = bytes;
    copy.barrier = barrier;
    engine().bulk(copy, site);
}
void gradlib_sim_bulk_store(void* to, const void* from, unsigned bytes, const Site& site) {
    BulkCopy copy{};
    copy.shared = static_cast<unsigned char*>(const_cast<void*>(from));
    copy.global = static_cast<unsigned char*>(to);
    copy.bytes = bytes;
    engine().bulk(copy, site);
}
void gradlib_sim_bulk_commit() { engine().bulk_commit(); }
void gradlib_sim_bulk_wait(unsigned keep) { engine().bulk_wait(keep); }
void gradlib_sim_product(const ProductKind& kind, float* d, const unsigned* a, const Site& site) {
    engine().product(kind, d, a, site);
}
void gradlib_sim_product_fence() { engine().product_fence(); }
void gradlib_sim_product_commit() { engine().product_commit(); }
void gradlib_sim_product_wait(unsigned keep, const Site& site) { engine().product_wait(keep, site); }
unsigned gradlib_sim_cluster_rank() { return engine().rank(); }
unsigned gradlib_sim_cluster_size() { return engine().cluster() ? engine().cluster()->size() : 1; }
void gradlib_sim_cluster_arrive(const Site& site) { engine().cluster_arrive(site); }
void gradlib_sim_cluster_wait(const Site& site) { engine().cluster_wait(site); }
void* gradlib_sim_cluster_map(const void* address, unsigned rank, const Site& site) {
    return engine().cluster_map(address, rank, site);
}
}
