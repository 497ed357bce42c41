// Lesson 02: vectors that learn what words mean from the company they keep.
// Mikolov et al.: "Distributed Representations of Words and Phrases and their Compositionality"
// (2013), equation 4.
#pragma once

#include <vector>

namespace tinygpt::mine {

// One step of skip-gram with negative sampling: pulls the vector of `center` towards the outer
// vector of `context`, a word that stood near it, and pushes it away from those of `negatives`,
// words drawn at random.
//
//   loss = -log sigmoid(in[center] . out[context]) - sum_k log sigmoid(-in[center] .
//   out[negative_k])
//
// and each vector moves by -lr times its gradient, all gradients taken before any vector moves.
//
// in, out   [V, C]  in and out: the vectors of words as centers, and as neighbours
// negatives [K]     one that is `context` itself is skipped, in the loss too; all others count: one
//                   that is `center`, too, and one that repeats as often as it does
// Returns the loss before the step.
float skipgram_step(float* in, float* out, int center, int context, const int* negatives, int K,
                    int C, float lr);

// The k rows whose vectors point most nearly where `word`'s does, nearest first:
//
//   cosine(v) = vectors[word] . vectors[v] / (|vectors[word]| |vectors[v]|)
//
// `word` itself is left out; of equal cosines the smaller index comes first. A vector of length 0
// has cosine 0 with all. Fewer than k where there are no more.
std::vector<int> nearest(const float* vectors, int word, int V, int C, int k);

}  // namespace tinygpt::mine
