// The experiment of lesson 23 that trains.
#pragma once

#include <vector>

#include "lessons/support/demo.h"

namespace tinygpt::lessons {

void speculative(const std::vector<Option>& options);

}  // namespace tinygpt::lessons
