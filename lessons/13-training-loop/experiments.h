// The experiments of lesson 13 that train.
#pragma once

#include <vector>

#include "lessons/support/demo.h"

namespace tinygpt::lessons {

void ablate(const std::vector<Option>& options);
void warm_up(const std::vector<Option>& options);
void resume(const std::vector<Option>& options);
void accumulate(const std::vector<Option>& options);

}  // namespace tinygpt::lessons
