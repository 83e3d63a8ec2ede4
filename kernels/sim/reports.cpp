// What a checked launch says when it finds something.
#include "block.h"
#include "checker.h"

namespace gradlib_sim {

const char* verb(AccessKind kind) {
    static const char* const verbs[] = {"reads", "writes", "initialises", "reads (atomically)", "writes (atomically)",
                                        "updates (atomically)"};
    return verbs[kind];
}

std::string triple(const uint3& v) {
    return "(" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + ")";
}

static uint3 thread_index(unsigned linear) {
    const uint3 dim = gradlib_sim_context.block_dim;
    return uint3{linear % dim.x, linear / dim.x % dim.y, linear / dim.x / dim.y};
}

void place(Fault& fault, const uint3& block, unsigned linear) {
    const uint3 thread = thread_index(linear);
    const uint32_t b[3] = {block.x, block.y, block.z}, t[3] = {thread.x, thread.y, thread.z};
    memcpy(fault.block, b, sizeof b);
    memcpy(fault.thread, t, sizeof t);
    fault.has_thread = 1;
}

void Checker::out_of_bounds(Address address, unsigned size, AccessKind kind, Address pc) {
    std::string text = std::string(verb(kind)) + " " + std::to_string(size) + " bytes ";
    if (address < 4096) raise("out-of-bounds", text + "through a null pointer", "", address, pc);
    Region* nearest = nullptr;
    Address least = ~(Address)0;
    auto measure = [&](std::vector<Region>& regions) {
        for (Region& region : regions) {
            Address distance = address < region.begin ? region.begin - address
                               : address + size > region.end ? address + size - region.end : 0;
            if (distance < least) {
                least = distance;
                nearest = &region;
            }
        }
    };
    measure(me_->shared);
    measure(arrays_);
    for (Living& other : living_) measure(other.shared);
    if (!nearest || least > (Address)1 << 32) {
        raise("out-of-bounds", text + "at an address of no argument", "", address, pc);
    }
    raise("out-of-bounds",
          text + "at byte " + std::to_string((long long)(address - nearest->begin)) + " of " + nearest->name +
              ", which has " + std::to_string(nearest->end - nearest->begin),
          nearest->name, address, pc);
}

// "reads 4 bytes at byte 8 of tile"
std::string Checker::described(const Act& act) const {
    std::string text = act.now.thread >= first_agent ? "asynchronously " : "";
    text += std::string(verb(act.now.kind)) + " " + std::to_string(act.size) + " bytes at byte " +
            std::to_string(act.address - act.region.begin) + " of " + act.region.name;
    if (act.region.shared && act.region.owner != rank_) {
        text += " of block " + triple(index(living_[act.region.owner].serial));
    }
    return text;
}

// "thread (1, 0, 0) of the same block writes at line 5"; Python fills the line in.
std::string Checker::whose(const Access& other) const {
    std::string text = other.thread >= first_agent ? "an asynchronous operation of " : "";
    text += "thread " + triple(thread_index(other.issuer));
    text += other.block == me_->serial ? " of the same block " : " of block " + triple(index(other.block)) + " ";
    return text + verb(other.kind) + "{other}";
}

void Checker::race(const Act& act, const Access& other) {
    bool asynchronous = other.thread >= first_agent || act.now.thread >= first_agent;
    raise(asynchronous ? "async" : "race", described(act) + ", which " + whose(other) + ", and nothing orders the two",
          act.region.name, act.address, act.pc, &other);
}

void Checker::unfenced(const Act& act, const Access& other) {
    raise("async", described(act) + ", which " + whose(other) + ", and no fence.proxy.async lies between the two",
          act.region.name, act.address, act.pc, &other);
}

void Checker::uninitialised(const Act& act) {
    if (pending_) return;
    pending_ = true;
    unwritten_ =
        make("uninitialised", described(act) + ", which nothing has written", act.region.name, act.address, act.pc);
}

void Checker::describe(Fault& fault, Address pc, void* frame) const {
    place(fault, gradlib_sim_context.block, gradlib_sim_context.linear);
    fault.frame_count = 0;
    auto add = [&](Address at) {
        if (at < code_begin_ || at >= code_end_ || fault.frame_count == fault_frames) return;
        if (fault.frame_count && fault.frames[fault.frame_count - 1] == at - code_begin_) return;
        fault.frames[fault.frame_count++] = at - code_begin_;
    };
    if (pc) add(pc);
    // Everything is compiled with frame pointers, so the callers can be found from here.
    const Worker& worker = *me_->worker;
    for (Address at = reinterpret_cast<Address>(frame); worker.on_stack(at) && worker.on_stack(at + 15);) {
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
    agent_ = 0;
    me_->worker->fault(fault);
}

uint64_t Checker::last_writer(Address address) {
    for (Region& region : arrays_) {
        if (address < region.begin || address >= region.end) continue;
        const Cell& cell = *region.shadow->at(address);
        return cell.recent.block && writes(cell.recent.kind) ? cell.recent.pc : cell.write.pc;
    }
    return 0;
}

}  // namespace gradlib_sim
