// The clocks of blocks: what barriers, fences and atomics let a thread know.
#include "knowledge.h"

#include <algorithm>

namespace gradlib_sim {

// ---- sparse clocks

uint32_t Times::at(uint32_t block, uint32_t thread) const {
    const Entry wanted{key(block, thread), 0};
    auto found = std::lower_bound(entries_->begin(), entries_->end(), wanted);
    return found == entries_->end() || found->key != wanted.key ? 0 : found->value;
}

bool Times::knows_of(uint32_t block) const {
    if (!entries_) return false;
    auto found = std::lower_bound(entries_->begin(), entries_->end(), Entry{key(block, 0), 0});
    return found != entries_->end() && found->key >> 32 == block;
}

void Times::raise(uint64_t key, uint32_t value) {
    if (!entries_) {
        entries_ = std::make_shared<Entries>();
    } else if (entries_.use_count() > 1) {
        entries_ = std::make_shared<Entries>(*entries_);
    }
    auto found = std::lower_bound(entries_->begin(), entries_->end(), Entry{key, 0});
    if (found == entries_->end() || found->key != key) {
        entries_->insert(found, Entry{key, value});
    } else if (found->value < value) {
        found->value = value;
    }
}

bool Times::within(const Entries& part, const Entries& whole) {
    if (part.size() > whole.size()) return false;
    auto at = whole.begin();
    for (const Entry& entry : part) {
        while (at != whole.end() && at->key < entry.key) ++at;
        if (at == whole.end() || at->key != entry.key || at->value < entry.value) return false;
    }
    return true;
}

void Times::join(const Times& other) {
    if (!other.entries_ || entries_ == other.entries_) return;
    if (!entries_ || within(*entries_, *other.entries_)) {
        entries_ = other.entries_;
        return;
    }
    if (within(*other.entries_, *entries_)) return;
    auto merged = std::make_shared<Entries>();
    merged->reserve(entries_->size() + other.entries_->size());
    auto a = entries_->begin();
    auto b = other.entries_->begin();
    while (a != entries_->end() || b != other.entries_->end()) {
        if (b == other.entries_->end() || (a != entries_->end() && a->key < b->key)) {
            merged->push_back(*a++);
        } else if (a == entries_->end() || b->key < a->key) {
            merged->push_back(*b++);
        } else {
            merged->push_back(Entry{a->key, std::max(a->value, b->value)});
            ++a, ++b;
        }
    }
    entries_ = merged;
}

// ---- launches and blocks

void Clocks::begin_launch(unsigned living) {
    any_ = false;
    objects_.clear();
    blocks_.resize(living);
    me_ = &blocks_[0];
}

void Clocks::begin_block(unsigned rank, uint32_t serial, unsigned threads) {
    Block& block = blocks_[rank];
    block.serial = serial;
    block.generation = 1;
    block.threads = threads;
    unsigned whole_warps = (threads + 31) / 32 * 32;
    block.time.assign(whole_warps, 1);
    block.seen.assign((size_t)whole_warps * 32, 0);
    for (auto* list : {&block.far, &block.to_release, &block.to_acquire}) {
        if (list->size() < whole_warps) list->resize(whole_warps);
        for (Knowledge& one : *list) one.clear();
    }
    block.common.clear();
    block.agents.clear();
}

// ---- what is known

bool Clocks::proxied(unsigned thread, const Access& access, Reach reach) const {
    if (thread >= first_agent) return agent(thread).reach[reach].covers(access);
    return me_->common.reach[reach].covers(access) || me_->far[thread].reach[reach].covers(access);
}

bool Clocks::knows_of(unsigned thread, uint32_t block) const {
    if (thread >= first_agent) return agent(thread).reach[ordered].knows_of(block);
    return me_->common.reach[ordered].knows_of(block) || me_->far[thread].reach[ordered].knows_of(block);
}

bool Clocks::anybody_knows(const Access& access) const {
    for (unsigned t = 0; t < me_->threads; ++t) {
        if (knows(t, access)) return true;
    }
    return false;
}

// ---- barriers and fences

void Clocks::barrier() {
    Block& me = *me_;
    ++me.generation;
    if (!any_) return;
    for (unsigned t = 0; t < me.threads; ++t) {
        me.common.join(me.far[t]);
        me.common.join(me.to_acquire[t]);
        me.far[t].clear();
        me.to_acquire[t].clear();
    }
}

void Clocks::join_lanes(unsigned warp, uint32_t lanes) {
    Block& me = *me_;
    uint32_t all[32] = {};
    unsigned first = warp * 32;
    for (unsigned l = 0; l < 32; ++l) {
        if (!(lanes >> l & 1)) continue;
        for (unsigned k = 0; k < 32; ++k) all[k] = std::max(all[k], me.seen[(first + l) * 32 + k]);
        all[l] = me.time[first + l]++;
    }
    Knowledge far;
    for (unsigned l = 0; l < 32; ++l) {
        if (!(lanes >> l & 1)) continue;
        std::copy(all, all + 32, &me.seen[(first + l) * 32]);
        if (any_) far.join(me.far[first + l]);
    }
    if (far.empty()) return;
    for (unsigned l = 0; l < 32; ++l) {
        if (lanes >> l & 1) me.far[first + l] = far;
    }
}

// All that `thread` knows now; what it does from here on is not part of it.
Knowledge Clocks::snapshot(unsigned thread) {
    Block& me = *me_;
    any_ = true;
    Knowledge all = me.common;
    all.join(me.far[thread]);
    Times& times = all.reach[ordered];
    times.learn_block(me.serial, me.generation);
    unsigned first = thread / 32 * 32;
    for (unsigned k = 0; k < 32; ++k) {
        if (uint32_t seen = me.seen[thread * 32 + k]) times.learn_thread(me.serial, first + k, seen);
    }
    times.learn_thread(me.serial, thread, me.time[thread]++);
    return all;
}

void Clocks::fence(unsigned thread) {
    Block& me = *me_;
    me.to_release[thread] = snapshot(thread);
    me.far[thread].join(me.to_acquire[thread]);
    me.to_acquire[thread].clear();
}

void Clocks::fence_proxy(unsigned thread, Reach reach) {
    me_->far[thread].reach[reach].join(snapshot(thread).reach[ordered]);
}

void Clocks::fence_init(unsigned thread) {
    Times mine;
    mine.learn_thread(me_->serial, thread, me_->time[thread]++);
    me_->far[thread].reach[initialised].join(mine);
    me_->to_release[thread].reach[initialised].join(mine);
    any_ = true;
}

// ---- agents

unsigned Clocks::fork(unsigned thread, bool generic) {
    me_->agents.push_back(snapshot(thread));
    return first_agent + (unsigned)me_->agents.size() - 1 + (generic ? generic_agent : 0);
}

void Clocks::join(unsigned thread, unsigned number) {
    me_->far[thread].join(agent(number));
    me_->far[thread].reach[ordered].learn_thread(me_->serial, number, 1);
}

// ---- synchronization objects

Knowledge Clocks::released(unsigned thread, bool strong) {
    if (thread < first_agent) return strong ? snapshot(thread) : me_->to_release[thread];
    Knowledge all = agent(thread);
    all.reach[ordered].learn_thread(me_->serial, thread, 1);
    return all;
}

void Clocks::release(unsigned thread, uint64_t object, bool strong) {
    Knowledge all = released(thread, strong);
    if (!all.empty()) objects_[object].done.join(all);
}

void Clocks::arrive(unsigned thread, uint64_t object, bool strong) {
    Knowledge all = released(thread, strong);
    // Whoever waits for the phase knows at least that this block has begun.
    all.reach[ordered].learn_block(me_->serial, 1);
    any_ = true;
    objects_[object].pending.join(all);
}

void Clocks::complete(uint64_t object) {
    auto found = objects_.find(object);
    if (found == objects_.end()) return;
    found->second.done.join(found->second.pending);
    found->second.pending.clear();
}

void Clocks::acquire(unsigned thread, uint64_t object, bool strong) {
    if (!any_) return;
    auto found = objects_.find(object);
    if (found == objects_.end()) return;
    (strong ? me_->far : me_->to_acquire)[thread].join(found->second.done);
}

}  // namespace gradlib_sim
