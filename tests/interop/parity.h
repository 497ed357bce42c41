// A learner's kernels, and a learner's machine, against PyTorch's numbers.
#pragma once

#include "tinygpt/ops/ops.h"

namespace tinygpt {

struct GptActivations;
template <class T>
struct GptParameters;
struct GptShape;
struct Machine;

// gpt_forward and gpt_backward of lesson 11 (solutions/11-gpt/gpt.h), or nullptr for both.
struct MachinePasses {
  void (*forward)(const GptActivations& a, const int* tokens, const int* targets,
                  const GptParameters<const float>& p, int B, int T, const GptShape& s,
                  const Machine& m) = nullptr;
  void (*backward)(const GptParameters<float>& d, const GptActivations& a, const int* tokens,
                   const int* targets, int count, const GptParameters<const float>& p, int B, int T,
                   const GptShape& s, const Machine& m) = nullptr;
};

// The learner's, defined where a program is put together (tools/course/mine_table.py).
MachinePasses my_machine();
Ops<float> my_kernels();  // the reference's where there are none of the learner's

// Says on standard output whether models run by these kernels have PyTorch's logits, loss,
// gradients and ten steps of AdamW; where they do not, which tensor is the first that differs, and
// which kernel of `mine` is to blame, if one alone is. Whatever of `mine` is not the reference's
// counts as the learner's. Returns an exit code.
int check_parity(const Ops<float>& mine, const Ops<float>& reference, const MachinePasses& machine);

}  // namespace tinygpt
