// What code compiled with -fsanitize=integer-divide-by-zero,... calls where C++ leaves an operation undefined: a host's
// processor answers a division by zero with a signal that would end the process, and the others with numbers that
// differ from a GPU's.
#include "block.h"
#include "checker.h"

namespace gradlib_sim {

// As the compiler lays them out (its libubsan, ubsan_value.h and ubsan_handlers.h).
struct SourceLocation {
    const char* file;
    uint32_t line, column;
};
struct TypeDescriptor {
    uint16_t kind, info;  // info of an integer: log2 of its bits, and in bit 0 whether it has a sign; else its bits
    char name[1];         // "'int'"
    unsigned bits() const { return kind == 0 ? 1u << (info >> 1) : info; }
};
struct Operation {
    SourceLocation place;
    const TypeDescriptor &from, &to;  // of a division the one, of a shift those of its operands, of a conversion both
};

// An operand, as text; it arrives extended to 64 bits, a wider one as its address.
static std::string number(uintptr_t value, const TypeDescriptor& type) {
    if (type.bits() > 64) return "a number";
    if (type.kind == 0) return type.info & 1 ? std::to_string((int64_t)value) : std::to_string((uint64_t)value);
    float single;
    double real;
    memcpy(&single, &value, sizeof single);
    memcpy(&real, &value, sizeof real);
    if (type.bits() == 32) real = single;
    char text[32];
    snprintf(text, sizeof text, "%.9g", real);
    return text;
}

[[noreturn]] static void undefined(const std::string& what, const SourceLocation& place) {
    Worker& worker = running();
    if (worker.checker()) worker.fault_at("arithmetic", nullptr, "%s,", what.c_str());  // which finds the kernel's line
    const uint3 t = gradlib_sim_context.thread;
    worker.fault_at("arithmetic", nullptr, "%s at %s:%u, thread (%u, %u, %u)", what.c_str(), place.file, place.line,
                    t.x, t.y, t.z);
}

}  // namespace gradlib_sim

#pragma GCC visibility push(default)
extern "C" {
void __ubsan_handle_divrem_overflow(const gradlib_sim::Operation* at, uintptr_t dividend, uintptr_t divisor) {
    using namespace gradlib_sim;
    undefined("divides " + number(dividend, at->from) + " by " + number(divisor, at->from), at->place);
}
void __ubsan_handle_shift_out_of_bounds(const gradlib_sim::Operation* at, uintptr_t, uintptr_t by) {
    using namespace gradlib_sim;
    undefined("shifts " + std::to_string(at->from.bits()) + " bits by " + number(by, at->to), at->place);
}
void __ubsan_handle_float_cast_overflow(const gradlib_sim::Operation* at, uintptr_t value) {
    using namespace gradlib_sim;
    const std::string name = at->to.name;
    undefined("converts " + number(value, at->from) + " to " + name.substr(1, name.size() - 2) +
              ", which holds no such number", at->place);
}
}
#pragma GCC visibility pop
