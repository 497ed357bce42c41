// The experiments of lesson 24 that train or time something.
#pragma once

#include <vector>

#include "lessons/support/demo.h"

namespace tinygpt::lessons {

void compare_formats(const std::vector<Option>& options);
void compare_speeds(const std::vector<Option>& options);

}  // namespace tinygpt::lessons
