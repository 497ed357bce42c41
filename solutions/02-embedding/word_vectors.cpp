#include "solutions/02-embedding/word_vectors.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tinygpt::ref {

// loss = -log sigmoid(in[center] . out[context]) - sum_k log sigmoid(-in[center] . out[negative_k])
//
// Each vector moves by -lr times its gradient, all gradients taken before any vector moves. The
// slope of -log sigmoid(x) is sigmoid(x) - 1, that of -log sigmoid(-x) is sigmoid(x).
// A negative that is `context` is skipped; one that is `center`, or repeats, counts each time. The
// loss is finite for dot products of any size. Returns the loss before the step.
float skipgram_step(float* in, float* out, int center, int context, const int* negatives, int K,
                    int C, float lr) {
  // your code: 02.skipgram_step
  float* v = in + std::int64_t{center} * C;
  std::vector<float> dv(static_cast<std::size_t>(C), 0.0f);
  std::vector<float> slopes(static_cast<std::size_t>(K) + 1, 0.0f);
  double loss = 0.0;
  for (int k = 0; k <= K; ++k) {  // the context first, then the negatives
    const int word = k == 0 ? context : negatives[k - 1];
    if (k > 0 && word == context) continue;  // it cannot be both near and far
    const float* u = out + std::int64_t{word} * C;
    double dot = 0.0;
    for (int c = 0; c < C; ++c) dot += v[c] * u[c];
    const double sigmoid = 1.0 / (1.0 + std::exp(-dot));
    const double slope = sigmoid - (k == 0 ? 1.0 : 0.0);
    // -log sigmoid(x) as log(1 + exp(-x)): right where sigmoid has rounded to 0
    const double x = k == 0 ? dot : -dot;
    loss += x > 0 ? std::log1p(std::exp(-x)) : -x + std::log1p(std::exp(x));
    for (int c = 0; c < C; ++c) dv[static_cast<std::size_t>(c)] += static_cast<float>(slope) * u[c];
    slopes[static_cast<std::size_t>(k)] = static_cast<float>(slope);
  }
  for (int k = 0; k <= K; ++k) {
    const int word = k == 0 ? context : negatives[k - 1];
    float* u = out + std::int64_t{word} * C;
    for (int c = 0; c < C; ++c) u[c] -= lr * slopes[static_cast<std::size_t>(k)] * v[c];
  }
  for (int c = 0; c < C; ++c) v[c] -= lr * dv[static_cast<std::size_t>(c)];
  return static_cast<float>(loss);
  // end of your code
}

// cosine(v) = vectors[word] . vectors[v] / (|vectors[word]| |vectors[v]|), 0 for a vector of length
// 0
//
// The k nearest rows, or all if there are fewer, without `word` itself; of equal cosines the
// smaller index first.
std::vector<int> nearest(const float* vectors, int word, int V, int C, int k) {
  // your code: 02.nearest
  const auto dot = [&](int a, int b) {
    double sum = 0.0;
    for (int c = 0; c < C; ++c) {
      sum += double{vectors[std::int64_t{a} * C + c]} * vectors[std::int64_t{b} * C + c];
    }
    return sum;
  };
  std::vector<int> rows;
  std::vector<double> cosine(static_cast<std::size_t>(V));
  for (int v = 0; v < V; ++v) {
    const double lengths = std::sqrt(dot(word, word) * dot(v, v));
    cosine[static_cast<std::size_t>(v)] = lengths > 0 ? dot(word, v) / lengths : 0.0;
    if (v != word) rows.push_back(v);
  }
  std::stable_sort(rows.begin(), rows.end(), [&](int a, int b) {
    return cosine[static_cast<std::size_t>(a)] > cosine[static_cast<std::size_t>(b)];
  });
  rows.resize(std::min(rows.size(), static_cast<std::size_t>(std::max(k, 0))));
  return rows;
  // end of your code
}

}  // namespace tinygpt::ref
