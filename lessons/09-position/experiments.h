// The experiments of lesson 09, for its program.
#pragma once

#include <vector>

#include "lessons/support/demo.h"

namespace tinygpt::lessons {

// demo_order.cpp: what attention can tell without a model.
void permute(const std::vector<Option>& options);
void waves(const std::vector<Option>& options);
void distance(const std::vector<Option>& options);
// demo_length.cpp: what trained models do.
void check_model(const std::vector<Option>& options);
void length(const std::vector<Option>& options);
void wrong(const std::vector<Option>& options);
void vectors(const std::vector<Option>& options);

}  // namespace tinygpt::lessons
