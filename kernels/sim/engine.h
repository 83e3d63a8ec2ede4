// What a block does asynchronously, and the barriers that go with it: named barriers, cp.async, mbarriers, bulk copies,
// wgmma, clusters.  Nothing asynchronous happens before somebody waits for it: a missing wait shows as old data.
#pragma once

#include <deque>

#include "block.h"
#include "checker.h"
#include "ptx_interface.h"

namespace gradlib_sim {

struct AsyncCopy {  // one cp.async
    unsigned char* to;
    const unsigned char* from;
    unsigned bytes, valid;  // of which `valid` come from memory, the others are zero
    unsigned number;        // the thread's n-th copy
};

// Those of one thread that are waited for together, and the checker's names for them: one for each stretch between
// arrivals at mbarriers.
struct CopyGroup {
    std::vector<AsyncCopy> copies;
    std::vector<unsigned> agents;
};

struct BulkCopy {  // one cp.async.bulk or cp.async.bulk.tensor
    bool tensor, load;
    ReduceKind reduce;
    TensorMapBits map;
    int at[5];
    int offsets[3];  // im2col
    unsigned char* shared;
    unsigned char* global;
    unsigned bytes;
    unsigned long long* barrier;
    unsigned receivers;  // of a load: ranks in the cluster, as bits
    unsigned agents[8];   // the checker's names: of a load by receiver; of a store for its reading, its writing
    std::vector<unsigned char> read;  // what a store has read, if somebody waited for that alone
    Site site;
};

// Accumulators of a chain of products, out of the threads' sight until they wait: [thread][register].
struct Accumulators {
    unsigned registers;
    std::vector<float> values;
};

struct Product {  // one wgmma.mma_async
    ProductKind kind;
    unsigned issued = 0;     // threads
    unsigned delivered = 0;  // threads
    bool computed = false;
    float* d[128];
    std::vector<unsigned> a_registers;  // [thread][4]
    std::shared_ptr<Accumulators> accumulators;
    unsigned agent = 0;  // the checker's name for it
};

struct WarpGroup {
    std::deque<Product> products;
    unsigned long long first = 0;  // number of products[0]
    Queue waiting;                 // for the other threads to issue theirs
};

struct ThreadAsync {
    CopyGroup copies;  // not yet committed
    bool named = false;       // whether the next copy shares the last one's name
    std::deque<CopyGroup> copy_groups;
    unsigned copies_issued = 0, copies_done = 0;
    std::vector<BulkCopy> stores;
    std::deque<std::vector<BulkCopy>> store_groups;
    unsigned long long issued = 0, delivered = 0;  // products
    std::deque<unsigned long long> product_groups;  // number of products issued when each was committed
    bool fenced = false;
    bool arrived = false;  // at the cluster's barrier, in the phase `cluster_phase`
    unsigned long long cluster_phase = 0;
};

class Engine {
  public:
    explicit Engine(Worker& worker) : worker_(worker) {}
    void reset();    // a block begins
    void finish();   // a block has ended
    bool advance();  // nothing can run: let asynchronous work be done until something can
    bool advance_work();
    bool advance_polls();
    std::string describe();

    void named_barrier(int id, int count, bool wait, const Site& site);
    void copy(const AsyncCopy& copy, const Site& site);
    void copy_commit();
    void copy_wait(unsigned keep, bool all);
    void copy_arrive(unsigned long long* barrier, const Site& site);

    void mbarrier_init(unsigned long long* barrier, unsigned count, const Site& site);
    void mbarrier_inval(unsigned long long* barrier, const Site& site);
    unsigned long long mbarrier_arrive(unsigned long long* barrier, unsigned count, unsigned bytes, const Site& site);
    void mbarrier_complete(unsigned long long* barrier, unsigned bytes, const Site& site);
    bool mbarrier_test(unsigned long long* barrier, unsigned parity, bool wait, const Site& site);

    void bulk(const BulkCopy& copy);
    void bulk_commit();
    void bulk_wait(unsigned keep, bool read);

    void product(const ProductKind& kind, float* d, const unsigned* a, const Site& site);
    void product_fence();
    void product_commit();
    void product_wait(unsigned keep, const Site& site);

    void cluster_arrive(bool release, const Site& site);
    void cluster_wait(const Site& site);
    void* cluster_map(const void* address, unsigned rank, const Site& site);
    bool cluster_complete();  // the barrier, if all threads that have not returned are there

    size_t shared_offset(const void* address, size_t bytes, const Site& site);
    unsigned rank();
    Cluster* cluster();
    Queue at_cluster;

  private:
    struct NamedBarrier {
        int count = 0, arrived = 0;
        Queue waiting;
    };
    struct Waiters {
        unsigned long long* barrier;
        Queue queue;
    };
    struct CopyArrival {  // of cp.async.mbarrier.arrive, which is due when the copies are done
        unsigned long long* barrier;
        unsigned thread, copies;  // the first so many of that thread
        std::vector<unsigned> agents;
        Site site;
    };

    ThreadAsync& thread();
    void wait(Queue& queue, const Site& site);
    void wake(unsigned long long* barrier);
    Checker* checker() { return worker_.checker(); }
    void aligned(const Site& site);
    void watch(BulkCopy& copy);
    void watch_load(BulkCopy& copy, unsigned receiver, Address pc);
    void watch_global(const BulkCopy& copy, unsigned agent, AccessKind kind, Address pc);
    void check_coordinates(const BulkCopy& copy);
    void watch(Product& product);
    unsigned long long checked(unsigned long long* barrier, const Site& site);
    void settle(unsigned long long* barrier, unsigned long long state);
    void perform(const CopyArrival& arrival);
    void perform(BulkCopy& copy);
    void perform_load(const BulkCopy& copy, unsigned char* shared);
    void compute(Product& product);
    void deliver(WarpGroup& group, unsigned thread, unsigned long long end);
    const unsigned char* at(size_t offset);

    Worker& worker_;
    NamedBarrier named_[16];
    std::vector<ThreadAsync> threads_;
    std::vector<WarpGroup> groups_;
    std::vector<Waiters> waiters_;
    std::deque<BulkCopy> loads_;
    std::deque<CopyArrival> copy_arrivals_;
    Queue polling_;       // threads that asked and were told to ask again
    unsigned polls_ = 0;  // rounds of it since something happened
    bool touched_ = false;
    unsigned arrived_ = 0;  // at the barrier of a cluster of this block alone
    unsigned long long phase_ = 0;
};

// The blocks of one cluster, each with a worker of its own, in turns on one thread of the host.
class Cluster {
  public:
    static constexpr unsigned most = 8;  // that every GPU with clusters takes
    static void run(Job& job, Checker* checker);
    Worker& member(unsigned rank) { return *members_[rank]; }
    unsigned size() const { return size_; }
    unsigned rank(const Worker& worker) const;
    unsigned arrived = 0;  // at its barrier
    unsigned long long phase = 0;
    unsigned threads_left();
    const Context& context(unsigned rank) const { return contexts_[rank]; }
    void update(const Worker& worker) { contexts_[rank(worker)] = gradlib_sim_context; }  // of the running block

  private:
    bool run_blocks(Job& job, unsigned long long position);
    bool take_turns(bool& failed);
    bool advance(bool& failed);
    void give_up();
    void enter(unsigned rank);
    void leave(unsigned rank) { contexts_[rank] = gradlib_sim_context; }
    std::vector<std::unique_ptr<Worker>> members_;
    std::vector<Context> contexts_;
    std::vector<unsigned> order_;  // in which the blocks have their turns
    unsigned size_ = 0;
    Checker* checker_ = nullptr;
};

}  // namespace gradlib_sim
