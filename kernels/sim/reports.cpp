// What a checked launch says when it finds something.
#include "block.h"
#include "checker.h"

namespace gradlib_sim {

const char* verb(AccessKind kind) {
    return kind == plain_read ? "reads" : kind == plain_write ? "writes" : kind == atomic_read ? "reads (atomically)"
                                                                                               : "writes (atomically)";
}

void Checker::out_of_bounds(Address address, unsigned size, AccessKind kind, Address pc) {
    std::string text = std::string(verb(kind)) + " " + std::to_string(size) + " bytes ";
    if (address < 4096) raise("out-of-bounds", text + "through a null pointer", "", address, pc);
    Region* nearest = nullptr;
    Address least = ~(Address)0;
    for (auto* regions : {&shared_, &arrays_}) {
        for (Region& region : *regions) {
            Address distance = address < region.begin ? region.begin - address
                               : address + size > region.end ? address + size - region.end : 0;
            if (distance < least) {
                least = distance;
                nearest = &region;
            }
        }
    }
    if (!nearest || least > (Address)1 << 32) {
        raise("out-of-bounds", text + "at an address of no argument", "", address, pc);
    }
    raise("out-of-bounds",
          text + "at byte " + std::to_string((long long)(address - nearest->begin)) + " of " + nearest->name +
              ", which has " + std::to_string(nearest->end - nearest->begin),
          nearest->name, address, pc);
}

static std::string triple(const uint32_t (&v)[3]) {
    return "(" + std::to_string(v[0]) + ", " + std::to_string(v[1]) + ", " + std::to_string(v[2]) + ")";
}

static void thread_index(unsigned linear, uint32_t (&out)[3]) {
    const uint3 dim = gradlib_sim_context.block_dim;
    out[0] = linear % dim.x;
    out[1] = linear / dim.x % dim.y;
    out[2] = linear / dim.x / dim.y;
}

void Checker::race(Region& region, Address address, unsigned size, AccessKind kind, Address pc, const Access& other) {
    uint32_t thread[3], block[3];
    thread_index(issuer(other.thread), thread);
    bool asynchronous = other.thread >= first_agent || agent_;
    unsigned long long number = blocks_[other.block - first_serial_];
    const uint3 grid = gradlib_sim_context.grid_dim;
    block[0] = (uint32_t)(number % grid.x);
    block[1] = (uint32_t)(number / grid.x % grid.y);
    block[2] = (uint32_t)(number / grid.x / grid.y);
    std::string text = std::string(verb(kind)) + " " + std::to_string(size) + " bytes at byte " +
                       std::to_string(address - region.begin) + " of " + region.name + ", which " +
                       (other.thread >= first_agent ? "an asynchronous operation of " : "") +
                       "thread " + triple(thread);
    text += other.block == serial_ ? " of the same block " : " of block " + triple(block) + " ";
    if (agent_) text = "asynchronously " + text;
    text += std::string(verb(other.kind)) + ", and nothing orders the two";
    raise(asynchronous ? "async" : "race", text, region.name, address, pc, &other);
}

void Checker::uninitialised(Region& region, Address address, unsigned size, Address pc) {
    if (pending_) return;
    pending_ = true;
    unwritten_ = make("uninitialised",
                      "reads " + std::to_string(size) + " bytes at byte " + std::to_string(address - region.begin) +
                          " of " + region.name + ", which nothing has written",
                      region.name, address, pc);
}

void Checker::describe(Fault& fault, Address pc, void* frame) const {
    const Context& c = gradlib_sim_context;
    const uint3 block = c.block, thread = c.thread;
    const uint32_t b[3] = {block.x, block.y, block.z}, t[3] = {thread.x, thread.y, thread.z};
    memcpy(fault.block, b, sizeof b);
    memcpy(fault.thread, t, sizeof t);
    fault.has_thread = 1;
    fault.frame_count = 0;
    auto add = [&](Address at) {
        if (at < code_begin_ || at >= code_end_ || fault.frame_count == fault_frames) return;
        if (fault.frame_count && fault.frames[fault.frame_count - 1] == at - code_begin_) return;
        fault.frames[fault.frame_count++] = at - code_begin_;
    };
    if (pc) add(pc);
    // Everything is compiled with frame pointers, so the callers can be found from here.
    for (Address at = reinterpret_cast<Address>(frame); worker_.on_stack(at) && worker_.on_stack(at + 15);) {
        const Address* words = reinterpret_cast<const Address*>(at);
        add(words[1]);
        if (words[0] <= at) break;
        at = words[0];
    }
}

Address Checker::caller() const {
    Fault place{};
    describe(place, 0, __builtin_frame_address(0));
    return place.frame_count ? code_begin_ + place.frames[0] : code_begin_;
}

Fault Checker::make(const char* kind, const std::string& text, const std::string& argument, Address address,
                    Address pc) const {
    Fault fault{};
    snprintf(fault.kind, sizeof fault.kind, "%s", kind);
    snprintf(fault.text, sizeof fault.text, "%s", text.c_str());
    snprintf(fault.argument, sizeof fault.argument, "%s", argument.c_str());
    fault.address = address;
    describe(fault, pc, __builtin_frame_address(0));
    return fault;
}

void Checker::raise(const char* kind, const std::string& text, const std::string& argument, Address address, Address pc,
                    const Access* other) {
    Fault fault = make(kind, text, argument, address, pc);
    if (other) fault.other = other->pc;
    worker_.fault(fault);
}

uint64_t Checker::last_writer(Address address) {
    for (Region& region : arrays_) {
        if (address < region.begin || address >= region.end) continue;
        const Cell& cell = *region.shadow->at(address);
        return cell.recent.block && cell.recent.kind == atomic_write ? cell.recent.pc : cell.write.pc;
    }
    return 0;
}

}  // namespace gradlib_sim
