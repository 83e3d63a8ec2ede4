// The clocks of a block: what barriers, fences and atomics let a thread know.
#include "knowledge.h"

#include <algorithm>

namespace gradlib_sim {

void Clocks::begin_launch() {
    any_ = false;
    objects_.clear();
}

void Clocks::begin_block(uint32_t serial, unsigned threads) {
    block_ = serial;
    generation_ = 1;
    threads_ = threads;
    unsigned whole_warps = (threads + 31) / 32 * 32;
    time_.assign(whole_warps, 1);
    seen_.assign((size_t)whole_warps * 32, 0);
    if (far_.size() < whole_warps) {
        far_.resize(whole_warps);
        to_release_.resize(whole_warps);
        to_acquire_.resize(whole_warps);
    }
    for (auto* list : {&far_, &to_release_, &to_acquire_}) {
        for (Knowledge& one : *list) one.clear();
    }
    common_.clear();
    agents_.clear();
}

void Clocks::barrier() {
    ++generation_;
    if (!any_) return;
    for (unsigned t = 0; t < threads_; ++t) {
        common_.join(far_[t]);
        common_.join(to_acquire_[t]);
        far_[t].clear();
        to_acquire_[t].clear();
    }
}

void Clocks::join_lanes(unsigned warp, uint32_t lanes) {
    uint32_t all[32] = {};
    unsigned first = warp * 32;
    for (unsigned l = 0; l < 32; ++l) {
        if (!(lanes >> l & 1)) continue;
        for (unsigned k = 0; k < 32; ++k) all[k] = std::max(all[k], seen_[(first + l) * 32 + k]);
        all[l] = time_[first + l]++;
    }
    Knowledge far;
    for (unsigned l = 0; l < 32; ++l) {
        if (!(lanes >> l & 1)) continue;
        std::copy(all, all + 32, &seen_[(first + l) * 32]);
        if (any_) far.join(far_[first + l]);
    }
    if (far.empty()) return;
    for (unsigned l = 0; l < 32; ++l) {
        if (lanes >> l & 1) far_[first + l] = far;
    }
}

// All that `thread` knows now; what it does from here on is not part of it.
Knowledge Clocks::snapshot(unsigned thread) {
    any_ = true;
    Knowledge all = common_;
    all.join(far_[thread]);
    all.learn_block(block_, generation_);
    unsigned first = thread / 32 * 32;
    for (unsigned k = 0; k < 32; ++k) {
        if (uint32_t seen = seen_[thread * 32 + k]) all.learn_thread(block_, first + k, seen);
    }
    all.learn_thread(block_, thread, time_[thread]++);
    return all;
}

void Clocks::fence(unsigned thread) {
    to_release_[thread] = snapshot(thread);
    far_[thread].join(to_acquire_[thread]);
    to_acquire_[thread].clear();
}

unsigned Clocks::fork(unsigned thread) {
    agents_.push_back(snapshot(thread));
    return first_agent + (unsigned)agents_.size() - 1;
}

void Clocks::join(unsigned thread, unsigned agent) {
    far_[thread].join(agents_[agent - first_agent]);
    far_[thread].learn_thread(block_, agent, 1);
}

void Clocks::release(unsigned thread, uint64_t object, bool strong) {
    if (thread >= first_agent) {
        objects_[object].join(agents_[thread - first_agent]);
        objects_[object].learn_thread(block_, thread, 1);
    } else if (strong) {
        objects_[object].join(snapshot(thread));
    } else if (any_ && !to_release_[thread].empty()) {
        objects_[object].join(to_release_[thread]);
    }
}

void Clocks::acquire(unsigned thread, uint64_t object, bool strong) {
    if (!any_) return;
    auto found = objects_.find(object);
    if (found != objects_.end()) (strong ? far_ : to_acquire_)[thread].join(found->second);
}

}  // namespace gradlib_sim
