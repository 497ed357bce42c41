// ./course parity: the learner's kernels against PyTorch's numbers.
#include <fmt/format.h>

#include <exception>

#include "solutions/table.h"
#include "tests/interop/parity.h"

int main() {
  try {
    return tinygpt::check_parity(tinygpt::my_kernels(), tinygpt::ref::ops(), tinygpt::my_machine());
  } catch (const std::exception& error) {
    fmt::print(stderr, "parity: {}\n", error.what());
    return 2;
  }
}
