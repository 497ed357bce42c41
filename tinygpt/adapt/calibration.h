// What a model's linear layers see of a text: the inputs that GPTQ and AWQ round by.
#pragma once

#include <cstdint>
#include <vector>

#include "tinygpt/core/random.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/text/token_file.h"

namespace tinygpt {

// The linear layers of a block, in the order in which they compute.
enum class BlockLinear { qkv, proj, up, down };
inline constexpr BlockLinear kBlockLinears[] = {BlockLinear::qkv, BlockLinear::proj,
                                                BlockLinear::up, BlockLinear::down};

// Where its weight and bias lie; bias -1 where there is none.
struct LinearPlace {
  std::int64_t weight = -1, bias = -1;
  int rows = 0, cols = 0;  // out, in
};
LinearPlace linear_place(const ParameterLayout& layout, const GptConfig& config, int block,
                         BlockLinear linear);

// The inputs x of one linear layer, summed up.
struct LinearInputs {
  int cols = 0;
  std::int64_t count = 0;        // of inputs
  std::vector<double> hessian;   // [cols, cols]  sum_n x_n^T x_n
  std::vector<float> magnitude;  // [cols]        mean_n |x_n|
};

// A calibration text on its way through the model: the residual stream in front of a block. Blocks
// are worked on from the first to the last, so that each one sees what the blocks before it, as
// they are by then, make of the text.
struct Calibration {
  int sequences = 0;
  int time = 0;
  std::vector<float> stream;  // [sequences * time, C]
};

// So many windows of `time` tokens each, from random places of a file (documents' beginnings, where
// `boundary` names the token that ends them). Throws Error where the file is too short.
std::vector<int> draw_windows(const TokenFile& file, int sequences, int time, int boundary,
                              Random random);

// Embeds tokens [sequences, time]. The model may be made for inference, on host memory, with room
// for at least one sequence; it takes as many at once as it has room for.
Calibration start_calibration(Gpt<float>& model, const std::vector<int>& tokens, int time);

// The inputs of one linear layer of the block that the stream stands in front of, computed with the
// model's weights as they are now. The stream stays.
LinearInputs collect_inputs(Gpt<float>& model, const Calibration& calibration, int block,
                            BlockLinear linear);

// The stream becomes that behind the block.
void pass_block(Gpt<float>& model, Calibration& calibration, int block);

}  // namespace tinygpt
