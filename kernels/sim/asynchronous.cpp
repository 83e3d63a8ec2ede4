// Asynchronous work under the checker's eyes: who it belongs to, which registers it fills, which swizzle it wrote.
#include "block.h"
#include "checker.h"

namespace gradlib_sim {

unsigned Checker::fork(bool generic) {
    me_->issuers.push_back(gradlib_sim_context.linear);
    return clocks_.fork(gradlib_sim_context.linear, generic);
}

void Checker::join(unsigned agent) { clocks_.join(gradlib_sim_context.linear, agent); }

void Checker::access_as(unsigned agent, Address address, unsigned size, AccessKind kind, Address pc) {
    agent_ = agent;
    access(address, size, kind, 1, pc);
    agent_ = 0;
}

// ---- registers

void Checker::hold(const void* begin, size_t bytes) {
    Address first = reinterpret_cast<Address>(begin);
    for (Held& h : me_->held) {
        if (h.begin != first || h.thread != gradlib_sim_context.linear) continue;
        h.end = first + bytes;
        h.in_flight = true;
        return;
    }
    me_->held.push_back({gradlib_sim_context.linear, first, first + bytes, true, false});
}

void Checker::let_go(const void* begin) {
    Address first = reinterpret_cast<Address>(begin);
    for (Held& h : me_->held) {
        if (h.begin == first && h.thread == gradlib_sim_context.linear) h.in_flight = false;
    }
}

void Checker::check_held(Address address, AccessKind kind, Address pc) {
    for (Held& h : me_->held) {
        if (address < h.begin || address >= h.end || h.thread != gradlib_sim_context.linear) continue;
        if (h.in_flight) {
            raise("async", std::string(verb(kind)) + " accumulators of a wgmma before its wait", "", address, pc);
        }
        h.accessed = true;
    }
}

bool Checker::accessed(const void* begin) const {
    Address first = reinterpret_cast<Address>(begin);
    for (const Held& h : me_->held) {
        if (h.begin == first && h.thread == gradlib_sim_context.linear) return h.accessed;
    }
    return false;
}

void Checker::products_fenced() {
    for (Held& h : me_->held) {
        if (h.thread == gradlib_sim_context.linear) h.accessed = false;
    }
}

// ---- swizzles

void Checker::clear_tags(Living& owner, Address address, unsigned size) {
    for (Address a = address & ~(Address)15; a < address + size; a += 16) {
        owner.tags[(a - owner.arena_begin) / 16].stamp = 0;
    }
}

void Checker::tag(Address chunk, unsigned swizzle, Address pc) {
    for (Living& owner : living_) {
        if (chunk < owner.arena_begin || chunk >= owner.arena_end) continue;
        if (owner.tags.empty()) owner.tags.resize((owner.arena_end - owner.arena_begin) / 16);
        owner.tagged = true;
        owner.tags[(chunk - owner.arena_begin) / 16] = {owner.serial, (uint32_t)(pc - code_begin_), swizzle};
    }
}

// Where the chunk would lie without the swizzle.  Two that agree on that are as good as one.
static Address unswizzled(Address chunk, unsigned swizzle) {
    return chunk ^ (chunk >> 7 & ((1u << swizzle) - 1)) << 4;
}

void Checker::check_tag(Address chunk, unsigned swizzle, const char* reader, Address pc) {
    if (!me_->tagged) return;
    const Tag& tag = me_->tags[(chunk - me_->arena_begin) / 16];
    if (tag.stamp != me_->serial || unswizzled(chunk, tag.swizzle) == unswizzled(chunk, swizzle)) return;
    static const char* const names[] = {"no swizzle", "a swizzle of 32 bytes", "a swizzle of 64 bytes",
                                        "a swizzle of 128 bytes"};
    Region* region = find(chunk, 16);
    Access other{};
    other.pc = tag.pc;
    raise("async",
          std::string(reader) + " takes byte " + std::to_string(region ? chunk - region->begin : 0) + " of " +
              (region ? region->name : "shared memory") + " with " + names[swizzle] +
              ", where the tensor copy{other} put it with " + names[tag.swizzle],
          region ? region->name : "", chunk, pc, &other);
}

}  // namespace gradlib_sim
