// Fibers: stacks of their own, and the switch from one to another.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <new>

#if !defined(GRADLIB_SIM_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define GRADLIB_SIM_UCONTEXT
#endif
#if defined(GRADLIB_SIM_UCONTEXT)
#include <ucontext.h>
#endif

namespace gradlib_sim {

#if defined(GRADLIB_SIM_UCONTEXT)
struct Machine {  // a suspended flow of control
    ucontext_t context;
};
inline void switch_machine(Machine& from, Machine& to) { swapcontext(&from.context, &to.context); }
inline void prefetch(const Machine&) {}
#else
struct Machine {
    void* stack_pointer;
};
extern "C" __attribute__((visibility("hidden"))) void gradlib_sim_switch(void** from,
                                                                         void* to) __asm__("gradlib_sim_switch");
inline void switch_machine(Machine& from, Machine& to) { gradlib_sim_switch(&from.stack_pointer, to.stack_pointer); }
inline void prefetch(const Machine& machine) { __builtin_prefetch(machine.stack_pointer); }
#endif

// A stack.  Below what a kernel may fill lies a reserve, opened when that is full, in which the runtime ends what it was
// called for; and below the reserve a guard, which stays closed: an overflow faults instead of overwriting another fiber.
// Both are wider than the steps in which -fstack-clash-protection touches a large frame, 64 KiB at most.
class Stack {
  public:
    static constexpr size_t size = 512 * 1024;  // the local memory that a GPU can give a thread

    explicit Stack(unsigned number) {
        guard_ = least + (size_t)sysconf(_SC_PAGESIZE);  // an odd number of pages, which spreads stacks over the cache
        size_t bytes = guard_ + reserve + size;
        void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        memory_ = static_cast<char*>(memory);
        mprotect(memory_, guard_ + reserve, PROT_NONE);
        end_ = memory_ + guard_ + reserve;
        begin_ = memory_ + bytes;
        // Stacks that all begin at the same offset in a page would share a few sets of the cache.
        top_ = begin_ - number % 32 * 320;
    }
    ~Stack() { munmap(memory_, (size_t)(begin_ - memory_)); }
    Stack(const Stack&) = delete;
    char* top() const { return top_; }
    bool holds(uintptr_t address) const { return between(end_, address, begin_); }
    bool holds_or_guards(uintptr_t address) const { return between(memory_, address, begin_); }

    // Whether a flow of control whose stack pointer is `pointer` and that faults at `address` has come to the end.
    bool is_full(uintptr_t pointer, uintptr_t address) const {
        return between(memory_, address, end_) && pointer < reinterpret_cast<uintptr_t>(end_) + least;
    }
    // False if it has been open: then nothing is left.
    bool open_reserve() {
        char* reserved = memory_ + guard_;
        if (end_ == reserved || mprotect(reserved, reserve, PROT_READ | PROT_WRITE) != 0) return false;
        end_ = reserved;
        return true;
    }
    void close_reserve() {
        char* reserved = memory_ + guard_;
        if (end_ != reserved) return;
        mprotect(reserved, reserve, PROT_NONE);
        end_ = reserved + reserve;
    }

    // Make `machine` a flow of control that begins with run(), which must never return.
    void prepare(Machine& machine, void (*run)()) {
#if defined(GRADLIB_SIM_UCONTEXT)
        getcontext(&machine.context);
        machine.context.uc_stack.ss_sp = memory_ + guard_;
        machine.context.uc_stack.ss_size = (size_t)(top_ - memory_) - guard_;
        machine.context.uc_link = nullptr;
        makecontext(&machine.context, run, 0);
#elif defined(__x86_64__)
        void** frame = reinterpret_cast<void**>(top_) - 8;  // six registers, run's address, one word
        for (int i = 0; i < 8; ++i) frame[i] = nullptr;
        frame[6] = reinterpret_cast<void*>(run);
        machine.stack_pointer = frame;
#else
        void** frame = reinterpret_cast<void**>(top_) - 20;
        for (int i = 0; i < 20; ++i) frame[i] = nullptr;
        frame[11] = reinterpret_cast<void*>(run);  // x30
        machine.stack_pointer = frame;
#endif
    }

  private:
#if defined(MAP_NORESERVE)
    static constexpr int flags = MAP_NORESERVE;
#else
    static constexpr int flags = 0;
#endif
    static constexpr size_t least = 64 * 1024, reserve = 64 * 1024;
    static bool between(const char* low, uintptr_t address, const char* high) {
        return address - reinterpret_cast<uintptr_t>(low) < (size_t)(high - low);
    }
    size_t guard_;
    char *memory_, *end_, *top_, *begin_;  // the guard's first byte; the lowest that may be used; where it begins
};

}  // namespace gradlib_sim
