// The rules that the checked build holds each access to.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fault.h"
#include "shadow.h"

namespace gradlib_sim {

class Worker;
struct Job;

const char* verb(AccessKind kind);  // reads, writes
std::string triple(const uint3& v);
void place(Fault& fault, const uint3& block, unsigned linear);  // of the thread concerned

class Checker {
  public:
    ~Checker();

    // ---- launches and blocks (lifetime.cpp)
    void begin_launch(const Job& job, const std::vector<Worker*>& workers);
    void end_launch();  // reports what had to wait until now
    // Positions count in the order of the launch: of blocks (or clusters), of threads, of the blocks in a cluster.
    unsigned long long block_number(unsigned long long position) const { return blocks_[position]; }
    unsigned thread_number(unsigned position) const { return threads_[position]; }
    unsigned rank_number(unsigned position) const { return ranks_[position]; }
    void begin_block(unsigned rank, unsigned long long position, unsigned threads);
    bool end_block(unsigned rank);  // whether nothing outlives it that must not
    void enter(unsigned rank);      // of the block that runs from here on
    void ended() { me_->ended = true; }  // all its threads
    void add_shared(const Worker& worker, const char* name, Address begin, size_t bytes);

    // ---- accesses (checker.cpp)
    void access(Address address, unsigned size, AccessKind kind, unsigned alignment, Address pc);
    void atomic_done(Address address, bool acquires, bool releases, bool strong);
    void spins(Address address, unsigned long long value, Address pc);  // after an atomic or volatile read
    void progress() { yields_ = 0; }
    bool quiet() const { return quiet_; }

    // ---- synchronization
    void fence();
    void fence_proxy(Reach reach);
    void fence_init();
    void barrier_complete();
    void lanes_joined(unsigned warp, uint32_t lanes);
    // Barrier objects (mbarriers, named barriers, that of the cluster): who waits for a phase is ordered after all who
    // came to it.
    void arrived(Address object, bool strong = true);
    void completed(Address object) { clocks_.complete(object); }
    void waited(Address object);

    // ---- asynchronous copies and products
    // `fork` numbers one, issued here; its accesses are checked as it is issued, and count as done at any time until
    // somebody waits: `join` for the issuing thread, `arrived_as` for a barrier object that it completes.
    unsigned fork(bool generic = false);
    void join(unsigned agent);
    void arrived_as(unsigned agent, Address object) { clocks_.arrive(agent, object, true); }
    void access_as(unsigned agent, Address address, unsigned size, AccessKind kind, Address pc);
    // Locals of the running thread that an asynchronous product is filling.  After that, no product may follow an
    // access to them without a fence (PTX, "wgmma.fence").
    void hold(const void* begin, size_t bytes);
    void let_go(const void* begin);
    bool accessed(const void* begin) const;
    void products_fenced();
    // The swizzle (0 to 3) by which a tensor copy put 16 bytes there, and by which they are read.
    void tag(Address chunk, unsigned swizzle, Address pc);
    void check_tag(Address chunk, unsigned swizzle, const char* reader, Address pc);

    // ---- reports (reports.cpp)
    Address caller() const;  // the innermost call in the kernel that leads here
    void describe(Fault& fault, Address pc, void* frame) const;
    uint64_t last_writer(Address address);

  private:
    struct Held {
        unsigned thread;
        Address begin, end;
        bool in_flight, accessed;  // accessed: since the last fence
    };
    struct Spin {
        Address address;
        unsigned long long value;
        unsigned repeats;
    };
    struct Tag {
        uint32_t stamp, pc;
        unsigned swizzle;
    };
    struct Use {  // of a block's shared memory, by another block or by asynchronous work
        Access access;
        std::string name;
    };
    struct Living {  // a block
        Worker* worker = nullptr;
        uint32_t serial = 0;
        bool ended = false;
        Address arena_begin = 0, arena_end = 0;
        Shadow* arena = nullptr;
        std::vector<Region> shared;
        std::vector<unsigned> issuers;  // of the agents
        std::vector<Held> held;
        std::vector<Spin> spins;
        std::vector<Tag> tags;
        bool tagged = false;
        std::map<uint64_t, Use> uses;  // by block and thread, each one's last
    };
    struct Act {  // an access under examination
        Region& region;
        Address address;
        unsigned size;
        Address pc;
        Access now;
    };

    Region* find(Address address, unsigned size);
    bool elsewhere(Address address);
    void check_held(Address address, AccessKind kind, Address pc);
    void check_life(const Act& act);
    void touch(Cell& cell, const Act& act);
    void examine(const Access& before, const Act& act);
    void examine_order(const Access& before, const Act& act);
    void add(Cell& cell, const Act& act, Lists& lists);
    static uint32_t one_of_each(Lists& lists, uint32_t list, AccessKind kind);
    static uint32_t compact(Lists& lists, uint32_t list, const Access& recent);
    void sweep();
    void clear_tags(Living& owner, Address address, unsigned size);
    Access mine(AccessKind kind, Address pc) const;
    bool alone() const { return living_.size() == 1; }
    unsigned actor() const;
    size_t used(const Region& region) const;
    uint3 index(uint32_t serial) const;

    [[noreturn]] void out_of_bounds(Address address, unsigned size, AccessKind kind, Address pc);
    [[noreturn]] void race(const Act& act, const Access& other);
    [[noreturn]] void unfenced(const Act& act, const Access& other);
    void uninitialised(const Act& act);
    std::string described(const Act& act) const;
    std::string whose(const Access& other) const;
    [[noreturn]] void raise(const char* kind, const std::string& text, const std::string& argument, Address address,
                            Address pc, const Access* other = nullptr);
    Fault make(const char* kind, const std::string& text, const std::string& argument, Address address,
               Address pc) const;

    Clocks clocks_;
    std::vector<Living> living_;
    Living* me_ = nullptr;
    unsigned rank_ = 0;
    std::map<Address, Shadow*> arenas_;  // of the workers, by the addresses of their memory
    std::vector<Region> arrays_;
    Region* last_ = nullptr;  // the one accessed last
    Lists shared_lists_, array_lists_;
    std::vector<unsigned long long> blocks_;
    std::vector<unsigned> threads_, ranks_;
    uint3 grid_{}, cluster_{1, 1, 1};
    uint32_t first_serial_ = 1, serial_ = 0;  // of the launch's first block, and its last one's
    Address code_begin_ = 0, code_end_ = 0, variables_begin_ = 0, data_begin_ = 0, packed_begin_ = 0, packed_end_ = 0;
    unsigned agent_ = 0;  // on whose behalf an access is made; 0: the running thread
    bool pending_ = false;  // a read of what nothing has written
    bool quiet_ = false;
    Fault unwritten_{};
    unsigned long long yields_ = 0;
};

}  // namespace gradlib_sim
