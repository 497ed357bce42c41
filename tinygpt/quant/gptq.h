// GPTQ for any group format: column blocks with lazy updates, and columns in any order.
// Frantar et al.: "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
// Transformers" (2022), section 3 and algorithm 1.
#pragma once

#include "tinygpt/quant/groups.h"

namespace tinygpt {

struct GptqSettings {
  double damping = 0.01;  // times the mean of the Hessian's diagonal, added to that diagonal
  int block = 128;        // columns whose effect on all later ones is applied at once
  // Columns that meet the largest inputs first: their errors still find many columns to make up for
  // them. The scales of groups are then found before anything is rounded, since a group's columns
  // no longer come together.
  bool activation_order = true;
  ScaleRule rule = ScaleRule::searched;
};

// w [rows, cols]; hessian [cols, cols], the sum of x^T x over the inputs. Throws Error where the
// damped Hessian is not positive definite.
//
// In natural order, with absmax and Q4_0's format, the result is ref::gptq_quantize's.
GroupedMatrix gptq(const float* w, const double* hessian, int rows, int cols,
                   const GroupFormat& format, const GptqSettings& settings);

}  // namespace tinygpt
