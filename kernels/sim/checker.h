// What the checked build remembers of every location, and the rules that it holds each access to.
#pragma once

#include <string>
#include <vector>

#include "fault.h"
#include "knowledge.h"

namespace gradlib_sim {

typedef uintptr_t Address;

// One granule of memory: its last plain write, and who has touched it since in other ways.
struct Cell {
    Access write, recent, older;  // `older` is of another block than `recent`, or asynchronous
    uint32_t others, count;       // more accesses of recent's block and generation: a list in Checker::list_
    uint32_t stamp;               // shared memory: the block that the rest belongs to
};

struct Listed {
    Access access;
    uint32_t next;
};

// Cells for a stretch of memory.  They begin at 4 bytes each and are split when a narrower access comes.
class Shadow {
  public:
    Shadow(Address base, size_t bytes) : base_(base), bytes_(bytes) { allocate(); }
    ~Shadow() { release(); }
    Shadow(const Shadow&) = delete;
    Cell* at(Address a) { return cells_ + ((a - base_) >> shift_); }
    unsigned granule() const { return 1u << shift_; }
    bool fits(Address a, unsigned size) const { return (((a - base_) | size) & (granule() - 1)) == 0; }
    void split(size_t used);

  private:
    void allocate();
    void release();
    size_t mapped() const { return ((bytes_ >> shift_) + 1) * sizeof(Cell); }
    Address base_;
    size_t bytes_;
    unsigned shift_ = 2;
    Cell* cells_ = nullptr;
};

// An array argument or a shared variable.
struct Region {
    std::string name;
    Address begin, end;
    Shadow* shadow;
    bool shared, written;  // written: before the launch
};

const char* verb(AccessKind kind);  // reads, writes

class Worker;

class Checker {
  public:
    Checker(Worker& worker, Address arena, size_t arena_bytes);
    ~Checker();
    void begin_launch(const CheckedOptions& options, const void* packed, const void* code, unsigned long long blocks,
                      unsigned threads);
    void end_launch();  // reports what had to wait until now
    unsigned long long block_number(unsigned long long position) const { return blocks_[position]; }
    unsigned thread_number(unsigned position) const { return threads_[position]; }
    void begin_block(unsigned long long position, unsigned threads);
    void add_shared(const char* name, Address begin, size_t bytes);

    void access(Address address, unsigned size, AccessKind kind, unsigned alignment, Address pc);
    void update(Address address, unsigned size, Address pc);  // an atomic read-modify-write
    void atomic_done(Address address, bool acquires, bool releases, bool strong);
    void fence();
    // Asynchronous copies and products.  `fork` numbers one, issued here; its accesses are checked as it is issued, and
    // count as done at any time until somebody waits: `join` for the issuing thread, `atomic_done` with `as` for a
    // barrier object that it completes.  Named barriers and mbarriers release and acquire by `atomic_done`, strong.
    unsigned fork();
    void join(unsigned agent);
    void access_as(unsigned agent, Address address, unsigned size, AccessKind kind, unsigned alignment, Address pc);
    // Locals of the running thread that an asynchronous product is filling.
    void hold(const void* begin, size_t bytes);
    void let_go(const void* begin);
    // Of the innermost call in the kernel that leads here.
    Address caller() const;
    void release_as(unsigned agent, Address object) { clocks_.release(agent, object, true); }
    void barrier_complete();
    void lanes_joined(unsigned warp, uint32_t lanes);
    void spins(Address address, unsigned long long value, Address pc);  // after an atomic or volatile read
    void progress() { yields_ = 0; }

    void describe(Fault& fault, Address pc, void* frame) const;
    uint64_t last_writer(Address address);

  private:
    Region* find(Address address, unsigned size);
    bool elsewhere(Address address) const;
    void check_held(Address address, AccessKind kind, Address pc);
    void touch(Region& region, Cell& cell, Address address, unsigned size, AccessKind kind, Address pc);
    void add(Cell& cell, const Access& access);
    Access mine(AccessKind kind, Address pc) const;
    unsigned actor() const { return agent_ ? agent_ : gradlib_sim_context.linear; }
    unsigned issuer(unsigned thread) const { return thread < first_agent ? thread : issuers_[thread - first_agent]; }
    [[noreturn]] void out_of_bounds(Address address, unsigned size, AccessKind kind, Address pc);
    [[noreturn]] void race(Region& region, Address address, unsigned size, AccessKind kind, Address pc,
                           const Access& other);
    void uninitialised(Region& region, Address address, unsigned size, Address pc);
    [[noreturn]] void raise(const char* kind, const std::string& text, const std::string& argument, Address address,
                            Address pc, const Access* other = nullptr);
    Fault make(const char* kind, const std::string& text, const std::string& argument, Address address,
               Address pc) const;

    Worker& worker_;
    Clocks clocks_;
    Shadow arena_;
    Address arena_begin_, arena_end_;
    std::vector<Region> arrays_, shared_;
    Region* last_ = nullptr;  // the one accessed last
    std::vector<Listed> list_;
    std::vector<unsigned long long> blocks_;
    std::vector<unsigned> threads_;
    uint32_t first_serial_ = 1, serial_ = 0;
    Address code_begin_ = 0, code_end_ = 0, packed_begin_ = 0, packed_end_ = 0;
    unsigned agent_ = 0;              // on whose behalf an access is made; 0: the running thread
    std::vector<unsigned> issuers_;  // of the agents
    struct Held {
        unsigned thread;
        Address begin, end;
    };
    std::vector<Held> held_;
    bool pending_ = false;  // a read of what nothing has written
    Fault unwritten_{};
    struct Spin {
        Address address;
        unsigned long long value;
        unsigned repeats;
    };
    std::vector<Spin> spins_;
    unsigned long long yields_ = 0;
};

}  // namespace gradlib_sim
