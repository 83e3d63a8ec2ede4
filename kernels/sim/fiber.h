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

// A stack with an inaccessible page below it, so that an overflow faults instead of overwriting another fiber.
class Stack {
  public:
    explicit Stack(unsigned number) {
        page_ = (size_t)sysconf(_SC_PAGESIZE);
        void* memory = mmap(nullptr, page_ + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        memory_ = static_cast<char*>(memory);
        mprotect(memory_, page_, PROT_NONE);
        // Stacks that all begin at the same offset in a page would share a few sets of the cache.
        top_ = memory_ + page_ + size - number % 32 * 320;
    }
    ~Stack() { munmap(memory_, page_ + size); }
    Stack(const Stack&) = delete;
    bool holds(uintptr_t address) const {
        return address - reinterpret_cast<uintptr_t>(memory_) < page_ + size;
    }

    // Make `machine` a flow of control that begins with run(), which must never return.
    void prepare(Machine& machine, void (*run)()) {
#if defined(GRADLIB_SIM_UCONTEXT)
        getcontext(&machine.context);
        machine.context.uc_stack.ss_sp = memory_ + page_;
        machine.context.uc_stack.ss_size = (size_t)(top_ - memory_) - page_;
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
    static constexpr size_t size = 256 * 1024;
    size_t page_;
    char *memory_, *top_;
};

}  // namespace gradlib_sim
