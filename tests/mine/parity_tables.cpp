// What ./course parity links, with the solutions in the learner's place. Compiled twice: as they
// are, and with a mistake planted in one kernel and another in the machine.
#include <cstdint>
#include <vector>

#include "solutions/05-backprop/backprop.h"
#include "solutions/11-gpt/gpt.h"
#include "solutions/table.h"
#include "tests/interop/parity.h"

namespace tinygpt {
namespace {

#ifdef TINYGPT_PLANTED
// Without the term that comes from the x inside of the tanh.
void wrong_gelu_backward(float* dx, const float* dout, const float* x, std::int64_t n) {
  std::vector<float> out(static_cast<std::size_t>(n));
  ref::gelu_forward(out.data(), x, n);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    dx[i] += x[i] == 0 ? dout[i] / 2 : dout[i] * out[at] / x[i];
  }
}

// The head's gradient is lost.
void wrong_backward(const GptParameters<float>& d, const GptActivations& a, const int* tokens,
                    const int* targets, int count, const GptParameters<const float>& p, int B,
                    int T, const GptShape& s, const Machine& m) {
  std::vector<float> head(static_cast<std::size_t>(s.V) * static_cast<std::size_t>(s.C));
  GptParameters<float> without = d;
  without.wte = head.data();
  ref::gpt_backward(without, a, tokens, targets, count, p, B, T, s, m);
  m.ops.embedding_backward(d.wte, a.dstream, tokens, B * T, s.C, s.V);
}
#endif

}  // namespace

Ops<float> my_kernels() {
  Ops<float> ops = ref::ops();
#ifdef TINYGPT_PLANTED
  ops.gelu_backward = wrong_gelu_backward;
#endif
  return ops;
}

MachinePasses my_machine() {
#ifdef TINYGPT_PLANTED
  return {ref::gpt_forward, wrong_backward};
#else
  return {ref::gpt_forward, ref::gpt_backward};
#endif
}

}  // namespace tinygpt
