// wgmma.mma_async: products of a warpgroup, whose results reach the threads' registers when they wait for them.
#include "engine.h"
#include "formats.h"

namespace gradlib_sim {

// ---- operands in shared memory (PTX, "Shared Memory Matrix Layout" and "Matrix Descriptor Format" of wgmma)

struct Descriptor {
    size_t start, leading, stride;
    unsigned width;  // of the swizzle, in chunks of 16 bytes: 1, 2, 4, 8
    unsigned base;
    explicit Descriptor(unsigned long long d) {
        start = (d & 0x3fff) << 4;
        leading = (d >> 16 & 0x3fff) << 4;
        stride = (d >> 32 & 0x3fff) << 4;
        base = (unsigned)(d >> 49 & 7);
        constexpr unsigned widths[] = {1, 8, 4, 2};
        width = widths[d >> 62];
    }
    // Where element (i, k) lies, i counting along M or N; of `size` bytes.
    size_t offset(unsigned i, unsigned k, unsigned size, bool mn_major) const {
        unsigned per_chunk = 16 / size;
        size_t at;
        if (!mn_major) {
            at = (i % 8) * 16 * width + i / 8 * stride;
            at += width == 1 ? k / per_chunk * leading + k % per_chunk * size : k * size;
        } else if (width == 1) {
            at = i % per_chunk * size + i / per_chunk * stride + k % 8 * 16 + k / 8 * leading;
        } else {
            unsigned span = per_chunk * width;
            at = i % span * size + i / span * leading + k % 8 * 16 * width + k / 8 * stride;
        }
        at += start;
        return at ^ (at >> 7 & (width - 1)) << 4;
    }
};

const unsigned char* Engine::at(size_t offset) {
    if (offset >= worker_.used_) {
        worker_.fault_at("out-of-bounds", nullptr, "wgmma reads byte %zu of the shared memory, which has %zu,", offset,
                         worker_.used_);
    }
    return worker_.arena_ + offset;
}

static float value(ElementKind kind, const void* from) {
    uint32_t word;
    uint16_t half;
    uint8_t byte;
    switch (kind) {
        case element_tf32:
            memcpy(&word, from, 4);
            return from_bits(word & 0xffffe000);  // the tensor core ignores the other bits
        case element_half: memcpy(&half, from, 2); return half_value(half);
        case element_bfloat16: memcpy(&half, from, 2); return bfloat16_value(half);
        case element_e4m3: memcpy(&byte, from, 1); return e4m3_value(byte);
        case element_e5m2: memcpy(&byte, from, 1); return e5m2_value(byte);
    }
    __builtin_unreachable();
}

static unsigned size_of(ElementKind kind) {
    return kind == element_tf32 ? 4 : kind == element_half || kind == element_bfloat16 ? 2 : 1;
}

static void check(Worker& worker, const Descriptor& d, const char* name) {
    size_t row = d.start >> 7 & (d.width - 1);
    if (d.base || (d.width > 1 && row)) {
        worker.fault_at("misaligned", nullptr,
                        "wgmma: the tile of %s at byte %zu begins in the middle of its swizzle's "
                        "pattern (need a multiple of %u; sim has no base offset),",
                        name, d.start, d.width * 128);
    }
}

// ---- the product (PTX, "Register Fragments for wgmma.mma_async.m64nNk16" and its neighbours): D[64, n] += A[64, k]
// B[k, n]

void Engine::compute(Product& product) {
    const ProductKind& kind = product.kind;
    const unsigned n = kind.n, size = size_of(kind.left), depth = 32 / size;
    Descriptor a(kind.a), b(kind.b);
    struct Scratch {
        double left[64][32], right[32][256], sum[256];
    };
    std::unique_ptr<Scratch> scratch(new Scratch);  // too large for the stack of a fiber
    auto& left = scratch->left;
    auto& right = scratch->right;
    auto& sum = scratch->sum;
    for (unsigned r = 0; r < 64; ++r) {
        for (unsigned k = 0; k < depth; ++k) {
            const void* from;
            if (kind.a_in_registers) {
                unsigned lane = r % 8 * 4 + k % (depth / 2) * size / 4, reg = (r / 8 & 1) + k / (depth / 2) * 2;
                const unsigned* word = &product.a_registers[(r / 16 * 32 + lane) * 4 + reg];
                from = reinterpret_cast<const char*>(word) + k * size % 4;
            } else {
                from = at(a.offset(r, k, size, kind.a_transposed));
            }
            left[r][k] = value(kind.left, from);
        }
    }
    for (unsigned k = 0; k < depth; ++k)
        for (unsigned j = 0; j < n; ++j) right[k][j] = value(kind.right, at(b.offset(j, k, size, kind.b_transposed)));
    std::vector<float>& d = product.accumulators->values;
    for (unsigned r = 0; r < 64; ++r) {
        for (unsigned j = 0; j < n; ++j) sum[j] = 0;
        for (unsigned k = 0; k < depth; ++k) {
            const double factor = left[r][k];
            for (unsigned j = 0; j < n; ++j) sum[j] += factor * right[k][j];
        }
        for (unsigned j = 0; j < n; ++j) {
            unsigned thread = r / 16 * 32 + r % 8 * 4 + j % 8 / 2, reg = j / 8 * 4 + (r / 8 & 1) * 2 + j % 2;
            float& element = d[thread * product.accumulators->registers + reg];
            element = (float)(kind.add ? element + sum[j] : sum[j]);
        }
    }
    product.computed = true;
}

static bool equal(const ProductKind& x, const ProductKind& y) {
    return x.n == y.n && x.left == y.left && x.right == y.right && x.add == y.add &&
           x.a_in_registers == y.a_in_registers && x.a_transposed == y.a_transposed &&
           x.b_transposed == y.b_transposed && x.a == y.a && x.b == y.b;
}

void Engine::product(const ProductKind& kind, float* d, const unsigned* a, const Site& site) {
    ThreadAsync& t = thread();
    const unsigned linear = gradlib_sim_context.linear, me = linear % 128;
    if (gradlib_sim_context.count % 128) {
        worker_.fault_at("warp-mask", nullptr, "%s at %s:%d: a block of %u threads, no multiple of 128,", site.what,
                         site.file, site.line, gradlib_sim_context.count);
    }
    if (!t.fenced || (checker() && checker()->accessed(d))) {
        worker_.fault_at("async", nullptr, "%s at %s:%d: no wgmma.fence %s, thread %u", site.what, site.file, site.line,
                         t.fenced ? "since its accumulators were accessed" : "before", linear);
    }
    if (groups_.empty()) groups_.resize(gradlib_sim_context.count / 128);
    WarpGroup& group = groups_[linear / 128];
    unsigned long long place = t.issued++ - group.first;
    if (place == group.products.size()) {  // the first thread to come
        if (!kind.a_in_registers) check(worker_, Descriptor(kind.a), "A");
        check(worker_, Descriptor(kind.b), "B");
        group.products.emplace_back();
        group.products.back().kind = kind;
    }
    Product& product = group.products[place];
    if (!equal(product.kind, kind)) {
        worker_.fault_at("warp-mask", nullptr,
                         "%s at %s:%d: the threads of the warpgroup disagree on shape, operands or "
                         "descriptors, thread %u",
                         site.what, site.file, site.line, linear);
    }
    product.d[me] = d;
    if (kind.a_in_registers) {
        product.a_registers.resize(128 * 4);
        memcpy(&product.a_registers[me * 4], a, 16);
    }
    // A product into the registers of one that this thread has not waited for goes on with its sums.
    std::shared_ptr<Accumulators> chain;
    for (unsigned long long i = place; i-- > 0 && i + group.first >= t.delivered;) {
        if (group.products[i].d[me] == d) {
            chain = group.products[i].accumulators;
            break;
        }
    }
    const unsigned registers = kind.n / 2;
    if (!product.accumulators) {
        product.accumulators = chain ? chain : std::make_shared<Accumulators>();
        if (!chain) {
            product.accumulators->registers = registers;
            product.accumulators->values.resize(128 * registers);
        }
    }
    if ((chain && chain != product.accumulators) || product.accumulators->registers != registers) {
        worker_.fault_at("async", nullptr, "%s at %s:%d: accumulators of products in flight overlap, thread %u",
                         site.what, site.file, site.line, linear);
    }
    if (!chain) {
        memcpy(&product.accumulators->values[me * registers], d, registers * sizeof(float));
        memset(d, poison_byte, registers * sizeof(float));  // until the wait
        if (Checker* c = checker()) c->hold(d, registers * sizeof(float));
    }
    if (++product.issued == 128) {
        watch(product);
        worker_.ready_.take(group.waiting);
    }
}

// The operands in shared memory are in use from the issue until the wait.  They are read in chunks of 16 bytes, which
// lie along K in K-major order and along M or N in the other.
void Engine::watch(Product& product) {
    Checker* c = checker();
    if (!c) return;
    const ProductKind& kind = product.kind;
    product.agent = c->fork();
    const Address pc = c->caller();
    const unsigned size = size_of(kind.left), depth = 32 / size, chunk = 16 / size;
    auto read = [&](unsigned long long bits, unsigned count, bool mn_major) {
        const Descriptor tile(bits);
        const unsigned swizzle = (unsigned)__builtin_ctz(tile.width);
        for (unsigned i = 0; i < count; i += mn_major ? chunk : 1) {
            for (unsigned k = 0; k < depth; k += mn_major ? 1 : chunk) {
                const Address place = (Address)at(tile.offset(i, k, size, mn_major));
                c->access_as(product.agent, place, 16, plain_read, pc);
                c->check_tag(place, swizzle, "wgmma", pc);
            }
        }
    };
    if (!kind.a_in_registers) read(kind.a, 64, kind.a_transposed);
    read(kind.b, kind.n, kind.b_transposed);
}

void Engine::product_fence() {
    thread().fenced = true;
    if (checker()) checker()->products_fenced();
}

void Engine::product_commit() {
    ThreadAsync& t = thread();
    t.product_groups.push_back(t.issued);
}

void Engine::product_wait(unsigned keep, const Site& site) {
    ThreadAsync& t = thread();
    const unsigned linear = gradlib_sim_context.linear;
    unsigned long long end = t.delivered;
    for (; t.product_groups.size() > keep; t.product_groups.pop_front()) end = t.product_groups.front();
    for (unsigned long long i = t.delivered; i < end; ++i) {
        WarpGroup& group = groups_[linear / 128];
        while (group.products[i - group.first].issued < 128) wait(group.waiting, site);
        Product& product = group.products[i - group.first];
        if (!product.computed) compute(product);
    }
    if (end > t.delivered) deliver(groups_[linear / 128], linear, end);
}

void Engine::deliver(WarpGroup& group, unsigned linear, unsigned long long end) {
    ThreadAsync& t = threads_[linear];
    const unsigned me = linear % 128;
    for (unsigned long long i = t.delivered; i < end; ++i) {
        Product& product = group.products[i - group.first];
        bool last = true;  // into these registers
        for (unsigned long long j = i + 1; j < t.issued; ++j)
            last = last && group.products[j - group.first].d[me] != product.d[me];
        if (last) {
            if (checker()) checker()->let_go(product.d[me]);
            unsigned registers = product.accumulators->registers;
            memcpy(product.d[me], &product.accumulators->values[me * registers], registers * sizeof(float));
        }
        if (checker() && product.agent) checker()->join(product.agent);
        ++product.delivered;
    }
    t.delivered = end;
    while (!group.products.empty() && group.products.front().delivered == 128) {
        group.products.pop_front();
        ++group.first;
    }
}

}  // namespace gradlib_sim
