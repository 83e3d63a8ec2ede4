// Signals that a kernel causes: its stack is full, or it uses memory that is not there.  Each becomes a fault, and the
// process lives on; any other signal goes to whoever was there before the launch.
//
// Only code that holds no lock can be left where it stands: the kernel's own, and the math library's.  So whatever meets
// the end of a stack is given the reserve and goes on, and the fault is reported when the kernel next calls the runtime;
// one that calls nothing and fills the reserve too is left there.
#include <link.h>
#include <ucontext.h>

#include <cerrno>
#include <cmath>

#include "block.h"
#include "checker.h"

namespace gradlib_sim {

struct Stopped {
    uintptr_t pc, stack_pointer, frame;
    uintptr_t link;     // the register of the return address; 0 where that is on the stack
    uintptr_t address;  // that is not there
    bool known;         // whether the processor tells it
};

// ---- in whose code

static bool in_module(const dl_phdr_info& info, uintptr_t address) {
    for (int i = 0; i < info.dlpi_phnum; ++i) {
        const auto& header = info.dlpi_phdr[i];
        if (header.p_type == PT_LOAD && address - info.dlpi_addr - header.p_vaddr < header.p_memsz) return true;
    }
    return false;
}

static bool in_one_module(uintptr_t first, uintptr_t second) {
    uintptr_t both[] = {first, second};
    auto find = [](dl_phdr_info* info, size_t, void* data) {
        const uintptr_t* addresses = static_cast<uintptr_t*>(data);
        return (int)(in_module(*info, addresses[0]) && in_module(*info, addresses[1]));
    };
    return dl_iterate_phdr(find, both) != 0;
}

// ---- what has happened, said in the handler of a signal, which may not allocate

Worker::Answer Worker::answer(const Stopped& at, char*& top) {
    Fiber* fiber = nullptr;
    for (auto& one : fibers_) {
        if (one->stack.holds_or_guards(at.stack_pointer)) fiber = one.get();
    }
    if (!fiber) return not_ours;  // on no stack of a kernel
    top = fiber->stack.top();
    void* frame = reinterpret_cast<void*>(at.frame);
    uintptr_t pc = at.pc;
    if (at.known && pc == at.address && fiber->stack.holds(at.stack_pointer)) {  // no code: what called it?
        pc = (at.link ? at.link : *reinterpret_cast<const uintptr_t*>(at.stack_pointer)) - 1;
    }
    const bool kernels = in_one_module(pc, reinterpret_cast<uintptr_t>(job_->entry));
    if (at.known && fiber->stack.is_full(at.stack_pointer, at.address)) {
        static float (*const math)(float) = sinf;
        const bool goes = fiber->stack.open_reserve();
        if (!goes && !kernels && !in_one_module(pc, reinterpret_cast<uintptr_t>(math))) return not_ours;
        if (!full_) note_crash(Crash::full_stack, kernels ? pc + 1 : 0, frame);
        full_ = true;
        return goes ? goes_on : ends;
    }
    if (!kernels) return not_ours;
    note_crash(at.known ? Crash::known_address : Crash::unknown_address, pc + 1, frame);
    crash_->parts.address = at.known ? at.address : 0;
    return ends;
}

// `pc` is a return address, 0 if there is none in the kernel.
void Worker::note_crash(Crash::What what, uintptr_t pc, void* frame) {
    crash_->what = what;
    crash_->parts = Fault{};
    if (checker_) {
        checker_->describe(crash_->parts, pc, frame);
    } else {
        place(crash_->parts, gradlib_sim_context.block, gradlib_sim_context.linear);
    }
}

void Worker::report_crash() {
    Fault& parts = crash_->parts;
    const uint32_t* t = parts.thread;
    const char *kind = "out-of-bounds", *argument = "";
    char text[256];
    int length = snprintf(text, sizeof text, "thread (%u, %u, %u) ", t[0], t[1], t[2]);
    char* rest = text + length;
    const size_t room = sizeof text - (size_t)length;
    switch (crash_->what) {
        case Crash::full_stack:
            argument = "the thread's stack";
            snprintf(rest, room, "fills its stack: its calls and local arrays take more than %zu KiB,",
                     Stack::size / 1024);
            break;
        case Crash::known_address:
            snprintf(rest, room, "uses the address 0x%zx, where no memory is for it,", (size_t)parts.address);
            break;
        case Crash::unknown_address:
            kind = "";
            snprintf(rest, room, "uses a misaligned vector, or an address that no memory can have,");
    }
    snprintf(parts.kind, sizeof parts.kind, "%s", kind);
    snprintf(parts.argument, sizeof parts.argument, "%s", argument);
    fail(parts, text);
}

void Worker::crashed() {
    report_crash();
    leave(true);
}

// ---- the handler

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))

static struct sigaction previous;  // what is to happen with all that is not a kernel's
static unsigned watches = 0;       // that live now
static std::mutex* watching = new std::mutex;
static const int watching_at_fork = pthread_atfork(nullptr, nullptr, [] {
    watching = new std::mutex;  // a thread that the child does not have may hold the old one
    watches = 0;
});

static void crashed_here() { static_cast<Worker*>(gradlib_sim_context.worker)->crashed(); }

static Stopped stopped(const siginfo_t& info, const ucontext_t& context) {
    const auto& machine = context.uc_mcontext;
    // si_code SI_KERNEL: the processor refused the access before it asked for the memory.
    const bool known = info.si_code == SEGV_MAPERR || info.si_code == SEGV_ACCERR;
    const uintptr_t address = reinterpret_cast<uintptr_t>(info.si_addr);
#if defined(__x86_64__)
    const auto* r = machine.gregs;
    return Stopped{(uintptr_t)r[REG_RIP], (uintptr_t)r[REG_RSP], (uintptr_t)r[REG_RBP], 0, address, known};
#else
    return Stopped{machine.pc, machine.sp, machine.regs[29], machine.regs[30], address, known};
#endif
}

// Let run() begin, as if it had been called, when the handler returns.
static void redirect(ucontext_t& context, void (*run)(), char* top) {
    auto& machine = context.uc_mcontext;
    const uintptr_t begin = reinterpret_cast<uintptr_t>(top) / 16 * 16 - 64;
#if defined(__x86_64__)
    auto* r = machine.gregs;
    r[REG_RIP] = (greg_t)run;
    r[REG_RSP] = (greg_t)(begin - 8);  // where a call would have left it
    *reinterpret_cast<uintptr_t*>(begin - 8) = 0;
    r[REG_RBP] = 0;
#else
    machine.pc = reinterpret_cast<uintptr_t>(run);
    machine.sp = begin;
    machine.regs[29] = machine.regs[30] = 0;
#endif
}

static void handle(int number, siginfo_t* info, void* where) {
    const int saved = errno;
    ucontext_t& context = *static_cast<ucontext_t*>(where);
    Worker* worker = static_cast<Worker*>(gradlib_sim_context.worker);
    char* top = nullptr;
    const bool sent = info->si_code <= 0;  // by a process
    Worker::Answer answer = Worker::not_ours;
    if (worker && !sent) answer = worker->answer(stopped(*info, context), top);
    if (answer == Worker::ends) redirect(context, crashed_here, top);
    if (answer == Worker::not_ours) {
        sigaction(number, &previous, nullptr);  // the same instruction meets it next
        if (sent) raise(number);                // once this returns
    }
    errno = saved;
}

static thread_local std::unique_ptr<char[]> signal_stack;
constexpr size_t signal_stack_bytes = 64 * 1024;  // the registers of one thread alone may take 11

SignalWatch::SignalWatch() {
    (void)watching_at_fork;
    if (!signal_stack) signal_stack.reset(new char[signal_stack_bytes]);
    stack_t ours{};
    ours.ss_sp = signal_stack.get();
    ours.ss_size = signal_stack_bytes;
    sigaltstack(&ours, &before_);
    std::lock_guard<std::mutex> lock(*watching);
    if (watches++) return;
    struct sigaction action {}, before;
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before);
    if (before.sa_sigaction != handle) previous = before;
}

SignalWatch::~SignalWatch() {
    {
        std::lock_guard<std::mutex> lock(*watching);
        if (watches && --watches == 0) {
            struct sigaction now;
            sigaction(SIGSEGV, &previous, &now);
            if (now.sa_sigaction != handle) sigaction(SIGSEGV, &now, nullptr);  // somebody came in the meantime
        }
    }
    sigaltstack(&before_, nullptr);
}

#else  // there, such a kernel ends the process

SignalWatch::SignalWatch() {}
SignalWatch::~SignalWatch() {}

#endif

}  // namespace gradlib_sim
