// ./course parity: the learner's kernels against PyTorch's numbers.
#include <fmt/format.h>

#include <exception>
#include <vector>

#include "solutions/table.h"
#include "tests/interop/parity.h"

namespace tinygpt::cli {
std::vector<NamedOps> more_tables();  // as tinygpt/cli/kernels.h has it, without its options
}

int main() {
  try {
    return tinygpt::check_parity(tinygpt::cli::more_tables().at(0).ops, tinygpt::ref::ops(),
                                 tinygpt::my_machine());
  } catch (const std::exception& error) {
    fmt::print(stderr, "parity: {}\n", error.what());
    return 2;
  }
}
