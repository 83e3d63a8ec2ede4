// The state of one worker: the fibers of the block it runs, the block's barrier, its warps and its shared memory.
#pragma once

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "context.h"
#undef asm
#undef assert
#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim
#undef printf
#include "fiber.h"
#include "fault.h"

namespace gradlib_sim {

constexpr unsigned max_threads = 1024, warp_size = 32;
constexpr size_t guard_bytes = 256;          // on either side of every shared variable
constexpr unsigned char guard_byte = 0xa5;   // found there when nothing wrote past the end
constexpr unsigned char poison_byte = 0xff;  // in shared memory before a block: NaN in every floating type
constexpr size_t shared_limit = 232448;      // bytes of one block on sm_90, the largest of the architectures served
constexpr size_t arena_bytes = 4 << 20;
constexpr unsigned max_variables = 1 << 20;  // of all modules loaded; the table is reserved, not committed

// A launch, shared by the workers that take its blocks.
struct Job {
    Entry entry;
    const void* arguments;
    uint3 grid, block;
    unsigned dynamic_size;
    unsigned long long blocks, chunk;
    uint3 cluster{1, 1, 1};
    std::atomic<unsigned long long> next{0};
    std::atomic<bool> stop{false};
    std::mutex mutex;
    std::string error;  // of the first fault
    Fault fault{};      // the same in parts; its kind may be empty
    const CheckedOptions* checked = nullptr;

    void fail(const std::string& text, const Fault& parts = Fault{}) {
        std::lock_guard<std::mutex> lock(mutex);
        if (error.empty()) {
            error = text;
            fault = parts;
        }
        stop = true;
    }
};

struct Fiber {
    Machine machine;
    Stack stack;
    Fiber* next = nullptr;
    bool idle = true;  // has no CUDA thread: its stack may begin another one
    uint3 thread{};    // the CUDA thread it carries, while suspended
    unsigned linear = 0;
    const Site* site = nullptr;  // where that waits; lies on its stack
    void* frame = nullptr;       // of the function in which it waits
    explicit Fiber(unsigned number) : stack(number) {}
};

// Suspended fibers, first in, first out; idle ones last in, first out, for the warmest stack.
struct Queue {
    Fiber *head = nullptr, *tail = nullptr;
    void push(Fiber* fiber) {
        fiber->next = nullptr;
        (head ? tail->next : head) = fiber;
        tail = fiber;
    }
    void push_front(Fiber* fiber) {
        fiber->next = head;
        if (!head) tail = fiber;
        head = fiber;
    }
    Fiber* pop() {
        Fiber* fiber = head;
        if (fiber) head = fiber->next;
        return fiber;
    }
    void take(Queue& other) {  // all of it, behind its own
        if (!other.head) return;
        (head ? tail->next : head) = other.head;
        tail = other.tail;
        other.head = nullptr;
    }
};

// Lanes that wait for each other in one collective.  Those of a warp that are pending at once have disjoint lanes.
struct Rendezvous {
    CollectiveKind kind;
    unsigned mask, arrived;
    Queue waiting;
};

struct Warp {
    unsigned present;  // lanes that the block has
    unsigned pending;  // of `rendezvous`
    unsigned long long in[warp_size], out[warp_size];
    int source[warp_size];
    Rendezvous rendezvous[warp_size];
};

// A kernel that the processor stopped, or whose stack is full.
struct Crash {
    enum What { full_stack, known_address, unknown_address } what;
    Fault parts;  // but for its words
};

class Checker;
class Engine;
class Cluster;

struct Stopped;  // signals.cpp

class Worker {
    friend class Engine;   // asynchronous copies and products, mbarriers
    friend class Cluster;  // several blocks alive at once

  public:
    Worker();
    ~Worker();
    void run(Job& job);  // blocks of the job until none is left
    void* enter_shared(SharedVariable& variable);
    int barrier(BarrierKind kind, int predicate, const Site& site);
    unsigned long long collective(CollectiveKind kind, unsigned mask, unsigned long long value, int source,
                                  const Site& site);
    unsigned active(const Site& site);
    void thread_exited();
    bool start_thread();  // the checked build's: in the order of the launch
    void finish_thread();
    void yield();  // to the other threads of the block, from one that waits for a value in memory
    Checker* checker() const { return checker_; }
    bool on_stack(uintptr_t address) const { return current_ && current_->stack.holds(address); }
    bool on_any_stack(uintptr_t address) const;  // of this block's threads
    uint64_t last_writer(uint64_t address);
    uintptr_t arena() const { return reinterpret_cast<uintptr_t>(arena_); }
    void report(const Fault& fault);              // and go on
    [[noreturn]] void fault(const Fault& parts);  // one whose place is known already
    // A fault of this kind at the running thread, or at `waiting`, a suspended one.
    [[noreturn]] void fault_at(const char* kind, const Fiber* waiting, const char* format, ...)
        __attribute__((format(printf, 4, 5)));
    [[noreturn]] void fault(const char* format, ...) __attribute__((format(printf, 2, 3)));
    Engine& engine();
    [[noreturn]] void carry();  // the life of a fiber

    // ---- what a signal says of the kernel (signals.cpp)
    // goes_on: the instruction can be done now; ends: crashed() must run instead, on a stack that begins at `top`.
    enum Answer { not_ours, goes_on, ends };
    Answer answer(const Stopped& at, char*& top);
    bool stack_is_full() const { return full_; }  // on its reserve, which is enough to say so
    void note_crash(Crash::What what, uintptr_t pc, void* frame);
    [[noreturn]] void crashed();

  private:
    struct Variable {  // of the running block
        const char* name;
        unsigned char* address;
        size_t size;
        SharedVariable* declared;  // null for dynamic shared memory
    };

    struct Outside {};

    void prepare(Job& job);
    bool run_block(unsigned long long number);
    void begin_block(uint3 block);
    bool end_block();
    bool advance_outside(bool polls);
    bool finish_outside();
    void* variable(SharedVariable* declared);
    void* allocate_shared(SharedVariable& variable, unsigned long long epoch);
    void* allocate(const char* name, size_t size, size_t alignment, SharedVariable* declared = nullptr);
    bool check_guards();
    void suspend(Queue& queue, const Site& site);
    Fiber* next_fiber();
    Fiber* new_fiber();
    bool resolve_active();
    void complete(Warp& warp, Rendezvous& rendezvous);
    [[noreturn]] void leave(bool failed);
    void stop(const char* kind, const Fiber* waiting, const char* text);
    void fail(Fault& parts, const char* text);
    void report_crash();
    void run_blocks(Job& job);
    [[noreturn]] void deadlock();
    const Fiber* stuck(int& kind) const;
    static const char* const stuck_kinds[3];
    std::string waiting_places();
    Machine& next_machine() { return current_ ? current_->machine : main_; }  // main_: parked, for a cluster's sake

    Job* job_ = nullptr;
    Machine main_{};
    Fiber* current_ = nullptr;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    Queue idle_, ready_, at_barrier_, at_active_;
    unsigned arrived_ = 0, votes_ = 0;  // at the barrier
    int outcome_ = 0;                   // of the last barrier
    Warp* warps_;
    unsigned exited_[max_threads / warp_size];
    SharedEntry* table_;
    unsigned char* arena_;
    size_t used_ = 0, payload_ = 0;
    std::vector<Variable> variables_;
    bool failed_ = false;
    bool full_ = false;  // a stack of this block, whose thread goes on until it calls the runtime
    std::unique_ptr<Crash> crash_;
    const Site* barrier_site_ = nullptr;         // of the first thread at the barrier
    std::unique_ptr<Checker> owned_;             // made for this worker's first checked launch
    Checker* checker_ = nullptr;                 // while one runs
    bool outside_ = false;  // of any fiber: a fault is thrown instead
    bool spun_ = false;     // it was a thread that waits for a value in memory that ran last
    std::unique_ptr<Engine> engine_;  // made on the first use
    Cluster* cluster_ = nullptr;      // of the running block, if it has more than one
};

Worker& this_worker();

// While one lives, signals that kernels cause on this thread become faults.
class SignalWatch {
  public:
    SignalWatch();
    ~SignalWatch();
    SignalWatch(const SignalWatch&) = delete;

  private:
    stack_t before_{};  // the thread's own stack for signals
};

}  // namespace gradlib_sim
