// What compiled kernels call for their PTX.
#include "engine.h"

using namespace gradlib_sim;
static Engine& engine() { return running().engine(); }
static Checker* checker() { return running().checker(); }

// An mbarrier is a location as any other: its initialisation must come before its use.
static void use_barrier(unsigned long long* barrier, AccessKind kind) {
    if (Checker* c = checker()) c->access(reinterpret_cast<Address>(barrier), 8, kind, 8, c->caller());
}

static TensorMapBits read_map(const void* map, const Site& site) {
    static const char magic[8] = {'g', 'r', 'a', 'd', 's', 'i', 'm', 2};
    TensorMapBits bits;
    memcpy(&bits, map, sizeof bits);
    if (memcmp(bits.magic, magic, sizeof magic)) {
        running().fault("%s at %s:%d: this is no tensor map of the sim device,", site.what, site.file, site.line);
    }
    return bits;
}

static BulkCopy tensor_copy(const void* map, const void* shared, int rank, const int* at, const Site& site) {
    BulkCopy copy{};
    copy.tensor = true;
    copy.site = site;
    copy.map = read_map(map, site);
    copy.shared = static_cast<unsigned char*>(const_cast<void*>(shared));
    for (int d = 0; d < rank; ++d) copy.at[d] = at[d];
    if (rank != copy.map.rank) {
        running().fault("%s at %s:%d: %d coordinates, but the map has %d dimensions,", site.what, site.file, site.line,
                        rank, copy.map.rank);
    }
    return copy;
}

#pragma GCC visibility push(default)
extern "C" {
void gradlib_sim_named_barrier(int id, int count, bool wait, const Site& site) {
    engine().named_barrier(id, count, wait, site);
}
void gradlib_sim_copy_async(void* to, const void* from, unsigned bytes, unsigned valid, const Site& site) {
    engine().copy({static_cast<unsigned char*>(to), static_cast<const unsigned char*>(from), bytes, valid, 0}, site);
}
void gradlib_sim_copy_commit() { engine().copy_commit(); }
void gradlib_sim_copy_wait(unsigned keep, bool all) { engine().copy_wait(keep, all); }
void gradlib_sim_copy_arrive(unsigned long long* barrier, const Site& site) {
    use_barrier(barrier, atomic_update);
    engine().copy_arrive(barrier, site);
}
unsigned gradlib_sim_shared_offset(const void* address, size_t bytes, const Site& site) {
    return (unsigned)engine().shared_offset(address, bytes, site);
}
void gradlib_sim_mbarrier_init(unsigned long long* barrier, unsigned count, const Site& site) {
    use_barrier(barrier, init_write);
    engine().mbarrier_init(barrier, count, site);
}
void gradlib_sim_mbarrier_inval(unsigned long long* barrier, const Site& site) {
    use_barrier(barrier, plain_write);
    engine().mbarrier_inval(barrier, site);
}
unsigned long long gradlib_sim_mbarrier_arrive(unsigned long long* barrier, unsigned count, unsigned bytes,
                                               const Site& site) {
    use_barrier(barrier, atomic_update);
    if (Checker* c = checker(); c && count) c->arrived(reinterpret_cast<Address>(barrier));
    return engine().mbarrier_arrive(barrier, count, bytes, site);
}
bool gradlib_sim_mbarrier_test(unsigned long long* barrier, unsigned parity, bool wait, const Site& site) {
    use_barrier(barrier, atomic_update);
    bool done = engine().mbarrier_test(barrier, parity, wait, site);
    if (Checker* c = checker(); c && done) c->waited(reinterpret_cast<Address>(barrier));
    return done;
}
void gradlib_sim_fence(FenceKind kind) {
    Checker* c = checker();
    if (!c) return;
    if (kind == fence_init) c->fence_init();
    if (kind == fence_async_shared || kind == fence_async_all) c->fence_proxy(proxied_shared);
    if (kind == fence_async_global || kind == fence_async_all) c->fence_proxy(proxied_global);
}
void gradlib_sim_tensor_prefetch(const void* map, const Site& site) { read_map(map, site); }
void gradlib_sim_tensor_load(void* to, const void* map, unsigned long long* barrier, unsigned receivers, int rank,
                             const int* at, const int* offsets, const Site& site) {
    BulkCopy copy = tensor_copy(map, to, rank, at, site);
    copy.load = true;
    copy.barrier = barrier;
    copy.receivers = receivers;
    if ((offsets != nullptr) != (copy.map.im2col != 0)) {
        running().fault("%s at %s:%d: the map is one %s,", site.what, site.file, site.line,
                        offsets ? "of tiles" : "for im2col loads");
    }
    for (int d = 0; offsets && d < rank - 2; ++d) copy.offsets[d] = offsets[d];
    engine().bulk(copy);
}
void gradlib_sim_tensor_store(const void* map, const void* from, int rank, const int* at, const Site& site) {
    BulkCopy copy = tensor_copy(map, from, rank, at, site);
    if (copy.map.im2col) {
        running().fault("%s at %s:%d: the map is one for im2col loads,", site.what, site.file, site.line);
    }
    engine().bulk(copy);
}
void gradlib_sim_bulk_load(void* to, const void* from, unsigned bytes, unsigned long long* barrier, const Site& site) {
    BulkCopy copy{};
    copy.load = true;
    copy.site = site;
    copy.shared = static_cast<unsigned char*>(to);
    copy.global = static_cast<unsigned char*>(const_cast<void*>(from));
    copy.bytes = bytes;
    copy.barrier = barrier;
    engine().bulk(copy);
}
void gradlib_sim_bulk_store(void* to, const void* from, unsigned bytes, ReduceKind reduce, const Site& site) {
    BulkCopy copy{};
    copy.site = site;
    copy.reduce = reduce;
    copy.shared = static_cast<unsigned char*>(const_cast<void*>(from));
    copy.global = static_cast<unsigned char*>(to);
    copy.bytes = bytes;
    engine().bulk(copy);
}
void gradlib_sim_bulk_commit() { engine().bulk_commit(); }
void gradlib_sim_bulk_wait(unsigned keep, bool read) { engine().bulk_wait(keep, read); }
void gradlib_sim_product(const ProductKind& kind, float* d, const unsigned* a, const Site& site) {
    engine().product(kind, d, a, site);
}
void gradlib_sim_product_fence() { engine().product_fence(); }
void gradlib_sim_product_commit() { engine().product_commit(); }
void gradlib_sim_product_wait(unsigned keep, const Site& site) { engine().product_wait(keep, site); }
unsigned gradlib_sim_cluster_rank() { return engine().rank(); }
unsigned gradlib_sim_cluster_size() { return engine().cluster() ? engine().cluster()->size() : 1; }
void gradlib_sim_cluster_arrive(bool release, const Site& site) { engine().cluster_arrive(release, site); }
void gradlib_sim_cluster_wait(const Site& site) { engine().cluster_wait(site); }
void* gradlib_sim_cluster_map(const void* address, unsigned rank, const Site& site) {
    return engine().cluster_map(address, rank, site);
}
}
#pragma GCC visibility pop
