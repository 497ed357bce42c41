// The implementations that every operator's tests run on.
#pragma once

#include <string>
#include <vector>

#include "tinygpt/ops/ops.h"

namespace tinygpt::test {

struct Implementation {
  std::string name;
  Ops<float> ops;
};

std::vector<Implementation> implementations();

}  // namespace tinygpt::test
