// What the attention kernels of all element types share: which scores count, dropout, and where a block's share lies.
//
// y = dropout(softmax(scale q k^T + mask)) v for q (batch, heads, queries, width), k (batch, kv_heads, keys, width),
// v (batch, kv_heads, keys, value_width); head h reads the keys and values of head h / (heads / kv_heads).
// Query i may see key j if j < keys, if `causal` only j <= i + offset, and as the mask says:
//   MASK 0: there is none;  1: bool, true where it may;  2: numbers of type MASKED, added to the scores.
// The mask's strides are 0 along axes that it repeats. Scores are kept in units of log 2, so that probabilities are
// exp2(score - log2 of their sum).  A query that sees no key gets zeros, as in PyTorch.
#pragma once

#include "gradlib/philox.cuh"

#ifndef MASK
#define MASK 0
#endif
#ifndef MASKED
#define MASKED float
#endif
#ifndef DROPOUT
#define DROPOUT 0
#endif

namespace attention {

constexpr float LOG2E = 1.4426950408889634f, LN2 = 0.6931471805599453f;

struct Problem {
  int heads, kv_heads, queries, keys, width, value_width, causal, offset;
  float scale;  // times LOG2E
  const void* mask;
  long long mask_batch, mask_head, mask_query, mask_key;
  const unsigned long long* key;  // of the dropout
  unsigned int threshold;
  float keep;  // 1 / (1 - p)

  GRADLIB_DEVICE int kv_head(int head) const { return head / (heads / kv_heads); }

  // The first key that no query below `end` may see, and the first query that may see keys from `begin` on.
  GRADLIB_DEVICE int keys_seen(int end) const { return causal ? larger(smaller(end + offset, keys), 0) : keys; }
  GRADLIB_DEVICE int first_query(int begin) const { return causal ? larger(begin - offset, 0) : 0; }
};

// One head of one example.
struct Head {
  const Problem& p;
  int batch, head;
  long long mask_at, words_at;

  GRADLIB_DEVICE Head(const Problem& problem, int b, int h)
      : p(problem), batch(b), head(h), mask_at(b * problem.mask_batch + h * problem.mask_head),
        words_at(((long long)b * problem.heads + h) * problem.queries) {}

  GRADLIB_DEVICE long long query_rows() const { return words_at; }
  GRADLIB_DEVICE long long key_rows() const { return ((long long)batch * p.kv_heads + p.kv_head(head)) * p.keys; }

  // The score in units of log 2 of the product q k^T.
  GRADLIB_DEVICE float score(float product, int query, int key) const {
    if (query >= p.queries || key >= p.keys || (p.causal && key > query + p.offset)) return lowest<float>();
    float s = product * p.scale;
    if (MASK == 1) {
      if (!static_cast<const bool*>(p.mask)[mask_at + query * p.mask_query + key * p.mask_key]) return lowest<float>();
    } else if (MASK == 2) {
      s += to_acc(static_cast<const MASKED*>(p.mask)[mask_at + query * p.mask_query + key * p.mask_key]) * LOG2E;
    }
    return s;
  }

  // Whether dropout keeps the probability of a pair: by word ((batch, head), query, key) of the key's stream.
  GRADLIB_DEVICE bool kept(int query, int key) const {
    const long long at = word(query, key);
    return keeps(philox(p.key, at >> 2), at);
  }
  // The same of this key and the next, in the lowest two bits; mostly both come of one draw.
  GRADLIB_DEVICE unsigned int kept_two(int query, int key) const {
    const long long at = word(query, key);
    Words words = philox(p.key, at >> 2);
    unsigned int bits = keeps(words, at);
    if ((at & 3) == 3) words = philox(p.key, (at + 1) >> 2);
    return bits | keeps(words, at + 1) << 1;
  }

  GRADLIB_DEVICE long long word(int query, int key) const { return (words_at + query) * p.keys + key; }
  GRADLIB_DEVICE unsigned int keeps(const Words& words, long long at) const {  // chosen without an address
    const unsigned int low = at & 1 ? words.at[1] : words.at[0], high = at & 1 ? words.at[3] : words.at[2];
    return (at & 2 ? high : low) >> 8 >= p.threshold;
  }
};

// exp2(score - top), 0 for what is masked even where all of the row is.
GRADLIB_DEVICE float weight(float score, float top) { return score == lowest<float>() ? 0.0f : exp2f(score - top); }

struct Gradient {
  float dropped, score;  // dropout(P), and the gradient of the score: P (dP - delta)
};

// From the products q k^T and g v^T of a pair, the row's logarithm of the sum, delta = the sum of y g of the row, and
// whether dropout kept the pair.
GRADLIB_DEVICE Gradient gradient(const Head& head, float product, float up, float lse, float delta, int query, int key,
                                 bool kept) {
  const float probability = weight(head.score(product, query, key), lse * LOG2E);
  const float keep = !DROPOUT ? 1.0f : kept ? head.p.keep : 0.0f;
  return {probability * keep, probability * (up * keep - delta)};
}

}  // namespace attention
