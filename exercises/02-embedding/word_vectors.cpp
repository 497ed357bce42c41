#include "exercises/02-embedding/word_vectors.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tinygpt::mine {

// loss = -log sigmoid(in[center] . out[context]) - sum_k log sigmoid(-in[center] . out[negative_k])
//
// Each vector moves by -lr times its gradient, all gradients taken before any vector moves. The
// slope of -log sigmoid(x) is sigmoid(x) - 1, that of -log sigmoid(-x) is sigmoid(x).
// A negative that is `context` is skipped; one that is `center`, or repeats, counts each time. The
// loss is finite for dot products of any size. Returns the loss before the step.
float skipgram_step(float* in, float* out, int center, int context, const int* negatives, int K,
                    int C, float lr) {
  // your code: 02.skipgram_step
  throw NotImplemented("02.skipgram_step");
  // end of your code
}

// cosine(v) = vectors[word] . vectors[v] / (|vectors[word]| |vectors[v]|), 0 for a vector of length
// 0
//
// The k nearest rows, or all if there are fewer, without `word` itself; of equal cosines the
// smaller index first.
std::vector<int> nearest(const float* vectors, int word, int V, int C, int k) {
  // your code: 02.nearest
  throw NotImplemented("02.nearest");
  // end of your code
}

}  // namespace tinygpt::mine
