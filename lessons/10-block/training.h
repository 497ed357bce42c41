// Lesson 10's experiments that train towers.
#pragma once

#include <vector>

#include "lessons/support/demo.h"

namespace tinygpt::lessons {

void depth(const std::vector<Option>& options);
void orders(const std::vector<Option>& options);
void dropout(const std::vector<Option>& options);

}  // namespace tinygpt::lessons
