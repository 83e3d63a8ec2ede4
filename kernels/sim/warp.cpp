// Collectives of a warp: the lanes named in the mask wait for each other, the last one to come computes for all.
#include "block.h"
#include "checker.h"

namespace gradlib_sim {

template <class Act>
static void for_each(unsigned lanes, Act act) {
    for (; lanes; lanes &= lanes - 1) act((unsigned)__builtin_ctz(lanes));
}

template <class Join>
static void reduce(Warp& warp, unsigned lanes, Join join) {
    unsigned all = (unsigned)warp.in[__builtin_ctz(lanes)];
    for_each(lanes & (lanes - 1), [&](unsigned l) { all = join(all, (unsigned)warp.in[l]); });
    for_each(lanes, [&](unsigned l) { warp.out[l] = all; });
}

// Every lane that came has put its value in `in` and the lane it wants in `source`; fill `out` for these lanes alone,
// since others may not yet have fetched what an earlier collective left them there.
static void compute(CollectiveKind kind, Warp& warp, unsigned lanes) {
    typedef unsigned U;
    switch (kind) {
        case collective_sync:
        case collective_aligned:  // comes together, and orders no memory
            return;
        case collective_shuffle:
            // The value of a lane that takes no part is undefined in CUDA: poison shows it.
            return for_each(lanes, [&](unsigned l) {
                unsigned from = (unsigned)warp.source[l] % warp_size;
                warp.out[l] = lanes >> from & 1 ? warp.in[from] : ~0ull;
            });
        case collective_ballot: {
            unsigned yes = 0;
            for_each(lanes, [&](unsigned l) { yes |= (unsigned)warp.in[l] << l; });
            return for_each(lanes, [&](unsigned l) { warp.out[l] = (unsigned long long)(lanes & ~yes) << 32 | yes; });
        }
        case collective_match_any:
        case collective_match_all:
            return for_each(lanes, [&](unsigned l) {
                unsigned same = 0;
                for_each(lanes, [&](unsigned k) { same |= (unsigned)(warp.in[k] == warp.in[l]) << k; });
                warp.out[l] = kind == collective_match_any || same == lanes ? same : 0;
            });
        case collective_add: return reduce(warp, lanes, [](U a, U b) { return a + b; });
        case collective_and: return reduce(warp, lanes, [](U a, U b) { return a & b; });
        case collective_or: return reduce(warp, lanes, [](U a, U b) { return a | b; });
        case collective_xor: return reduce(warp, lanes, [](U a, U b) { return a ^ b; });
        case collective_min_unsigned: return reduce(warp, lanes, [](U a, U b) { return a < b ? a : b; });
        case collective_max_unsigned: return reduce(warp, lanes, [](U a, U b) { return a > b ? a : b; });
        case collective_min_signed: return reduce(warp, lanes, [](U a, U b) { return (int)a < (int)b ? a : b; });
        case collective_max_signed: return reduce(warp, lanes, [](U a, U b) { return (int)a > (int)b ? a : b; });
        case collective_call: {
            WarpCall* calls[warp_size];
            for_each(lanes, [&](unsigned l) { calls[l] = reinterpret_cast<WarpCall*>(warp.in[l]); });
            if (lanes != ~0u) {
                running().fault_at("warp-mask", nullptr,
                                   "an instruction of the whole warp is executed by the lanes 0x%08x "
                                   "alone,",
                                   lanes);
            }
            for (WarpCall* call : calls) {
                if (call->compute == calls[0]->compute) continue;
                running().fault_at("warp-mask", nullptr,
                                   "the lanes of one warp are in different instructions of the whole "
                                   "warp,");
            }
            return calls[0]->compute(calls);
        }
    }
}

void Worker::complete(Warp& warp, Rendezvous& rendezvous) {
    compute(rendezvous.kind, warp, rendezvous.arrived);
    if (checker_ && rendezvous.kind == collective_sync) {
        checker_->lanes_joined((unsigned)(&warp - warps_), rendezvous.arrived);
    }
    ready_.take(rendezvous.waiting);
    Rendezvous& last = warp.rendezvous[--warp.pending];
    if (&last != &rendezvous) rendezvous = last;
}

unsigned long long Worker::collective(CollectiveKind kind, unsigned mask, unsigned long long value, int source,
                                      const Site& site) {
    Context& c = gradlib_sim_context;
    unsigned number = c.linear / warp_size, lane = c.linear % warp_size;
    Warp& warp = warps_[number];
    if (!(mask >> lane & 1)) {
        fault_at("warp-mask", nullptr,
                 "%s at %s:%d: thread (%u, %u, %u) is lane %u, which its mask 0x%08x leaves out,", site.what, site.file,
                 site.line, c.thread.x, c.thread.y, c.thread.z, lane, mask);
    }
    Rendezvous* place = nullptr;
    for (unsigned i = 0; i < warp.pending && !place; ++i) {
        if (warp.rendezvous[i].mask == mask) place = &warp.rendezvous[i];
    }
    if (!place) {
        place = &warp.rendezvous[warp.pending++];
        *place = Rendezvous{kind, mask, 0, Queue()};
    } else if (place->kind != kind) {
        fault_at("warp-mask", nullptr,
                 "lanes of one warp with the mask 0x%08x are in different collectives, %s at %s:%d and %s at %s:%d,",
                 mask, site.what, site.file, site.line, place->waiting.head->site->what,
                 place->waiting.head->site->file, place->waiting.head->site->line);
    }
    warp.in[lane] = value;
    warp.source[lane] = source;
    place->arrived |= 1u << lane;
    // As in CUDA, lanes that have returned (or that the block does not have) are not waited for.
    if (mask & warp.present & ~exited_[number] & ~place->arrived) {
        ++c.waiting;
        suspend(place->waiting, site);
        --c.waiting;
    } else {
        complete(warp, *place);
    }
    return warp.out[lane];
}

// A lane has returned: the collectives of its warp may have waited for nothing else.
void Worker::thread_exited() {
    unsigned number = gradlib_sim_context.linear / warp_size;
    Warp& warp = warps_[number];
    for (unsigned i = 0; i < warp.pending;) {
        Rendezvous& rendezvous = warp.rendezvous[i];
        if (rendezvous.mask & warp.present & ~exited_[number] & ~rendezvous.arrived) {
            ++i;
        } else {
            complete(warp, rendezvous);
        }
    }
}

// __activemask: the lanes that stand at the same call once nothing else can move, as converged as a warp can be.
unsigned Worker::active(const Site& site) {
    unsigned lane = gradlib_sim_context.linear % warp_size;
    Warp& warp = warps_[gradlib_sim_context.linear / warp_size];
    suspend(at_active_, site);
    return (unsigned)warp.out[lane];
}

bool Worker::resolve_active() {
    for (Fiber* fiber = at_active_.head; fiber; fiber = fiber->next) {
        unsigned mask = 0;
        for (Fiber* other = at_active_.head; other; other = other->next) {
            bool together = other->linear / warp_size == fiber->linear / warp_size &&
                            other->site->line == fiber->site->line && !strcmp(other->site->file, fiber->site->file);
            if (together) mask |= 1u << other->linear % warp_size;
        }
        warps_[fiber->linear / warp_size].out[fiber->linear % warp_size] = mask;
    }
    ready_.take(at_active_);
    return ready_.head != nullptr;
}

}  // namespace gradlib_sim
