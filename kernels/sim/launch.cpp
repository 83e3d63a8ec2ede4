// A launch: the calling thread and a pool of helpers take the blocks of the grid.
#include <pthread.h>

#include <condition_variable>
#include <thread>

#include "block.h"
#include "checker.h"
#include "engine.h"

namespace gradlib_sim {

class Pool {
  public:
    // Run the job on the calling thread and at most `helpers` others; back when every block is done.
    void run(Job& job, unsigned helpers) {
        std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
        if (helpers == 0 || !turn.owns_lock()) {  // the pool serves another launch: do without it
            this_worker().run(job);
            return;
        }
        {
            std::lock_guard<std::mutex> lock(mutex_);
            while (threads_ < helpers) {
                std::thread([this] { serve(); }).detach();
                ++threads_;
            }
            job_ = &job;
            places_ = helpers;
        }
        wake_.notify_all();
        this_worker().run(job);
        std::unique_lock<std::mutex> lock(mutex_);
        job_ = nullptr;  // a helper that wakes only now finds nothing
        done_.wait(lock, [this] { return busy_ == 0; });
    }

  private:
    void serve() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return job_ && places_ > 0; });
            Job& job = *job_;
            --places_;
            ++busy_;
            lock.unlock();
            try {
                this_worker().run(job);
            } catch (const std::exception& error) {
                job.fail(std::string("the sim runtime failed: ") + error.what());
            }
            lock.lock();
            if (--busy_ == 0) done_.notify_one();
        }
    }

    std::mutex turn_, mutex_;
    std::condition_variable wake_, done_;
    Job* job_ = nullptr;
    unsigned threads_ = 0, places_ = 0, busy_ = 0;
};

// Never destroyed, since its detached threads outlive static destruction.  A forked child has none of them, so it gets a
// new pool.
static std::atomic<Pool*> pool{new Pool};
static std::atomic<unsigned> workers{1};
static const int at_fork = pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });

}  // namespace gradlib_sim

using namespace gradlib_sim;
#pragma GCC visibility push(default)
extern "C" {

void gradlib_sim_set_workers(unsigned count) { workers = count ? count : 1; }

// What went wrong in this thread's last launch that failed.
static thread_local std::string last_error;
static thread_local std::unique_ptr<Fault> last_fault;  // on the heap: room for thread_local is scarce
const char* gradlib_sim_error() { return last_error.c_str(); }
const Fault* gradlib_sim_last_fault() { return last_fault.get(); }
// The place that last wrote to an address of the last checked launch of this thread, relative to the module; 0 if none.
uint64_t gradlib_sim_last_writer(uint64_t address) { return this_worker().last_writer(address); }

// The size of the clusters of this thread's next launch.
static thread_local uint3 next_cluster{1, 1, 1};
void gradlib_sim_set_cluster(unsigned x, unsigned y, unsigned z) { next_cluster = uint3{x, y, z}; }

// Run a kernel and return 0; or 1, with what went wrong in gradlib_sim_error().
int gradlib_sim_launch(Entry entry, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                       unsigned block_y, unsigned block_z, unsigned dynamic_size, const void* arguments,
                       const CheckedOptions* checked) {
    (void)at_fork;
    Job job;
    if (!last_fault) last_fault = std::make_unique<Fault>();
    *last_fault = Fault{};
    job.entry = entry;
    job.arguments = arguments;
    job.grid = uint3{grid_x, grid_y, grid_z};
    job.block = uint3{block_x, block_y, block_z};
    job.dynamic_size = dynamic_size;
    job.cluster = next_cluster;
    next_cluster = uint3{1, 1, 1};
    unsigned members = job.cluster.x * job.cluster.y * job.cluster.z;
    // The limits of a GPU, under which none of the products overflows.
    bool small = grid_x < 1u << 31 && grid_y < 1u << 16 && grid_z < 1u << 16 && block_x <= max_threads &&
                 block_y <= max_threads && block_z <= max_threads;
    unsigned long long threads = (unsigned long long)block_x * block_y * block_z;
    if (!small || threads > max_threads || dynamic_size > shared_limit) {
        last_error = "no GPU takes a launch of this size (2^31 - 1, 65535 and 65535 blocks, 1024 threads a block, " +
                     std::to_string(shared_limit) + " bytes of shared memory)";
        return 1;
    }
    job.blocks = (unsigned long long)grid_x * grid_y * grid_z;
    if (threads == 0 || job.blocks == 0) return 0;
    if (members > 1) {
        if (members > Cluster::most || grid_x % job.cluster.x || grid_y % job.cluster.y || grid_z % job.cluster.z) {
            last_error = "a grid must be a multiple of its clusters, which have at most 8 blocks";
            return 1;
        }
        job.blocks /= members;  // each is taken whole
    }
    job.checked = checked;
    unsigned helpers = checked ? 0 : workers - 1;  // a checked launch has one order, and one memory of what happened
    if (job.blocks - 1 < helpers) helpers = (unsigned)(job.blocks - 1);
    job.chunk = job.blocks / (8 * (helpers + 1ull));
    job.chunk = job.chunk < 1 ? 1 : job.chunk > 256 ? 256 : job.chunk;
    try {
        pool.load()->run(job, helpers);
    } catch (const std::exception& failure) {
        job.fail(std::string("the sim runtime failed: ") + failure.what());
    }
    fflush(stdout);  // what the kernel printed
    if (job.error.empty()) return 0;
    last_error = job.error;
    *last_fault = job.fault;
    return 1;
}
}
#pragma GCC visibility pop
