// Drawing a token from logits where they lie, so that a device need not send all of them to the
// host: greedy, or by temperature over the whole vocabulary. (Cuts by top-k and top-p are the
// host's, which sorts: infer/sampling.h.)
//
//   p[v]  = exp(logits[v] / temperature) / sum_w exp(logits[w] / temperature)
//   token = the smallest v with p[0] + ... + p[v] > u
//
// Temperature 0 stands for its limit, the largest logit; of equals, the first.
#pragma once

namespace tinygpt {

// token  [1]  written; -1 where a logit is NaN or the largest is infinite
// logits [V]  V >= 1; minus infinity is a token that is never drawn
// temperature at least 0
// u           uniform in [0, 1)
template <class Real>
using SampleToken = void(int* token, const Real* logits, int V, float temperature, double u);

}  // namespace tinygpt
