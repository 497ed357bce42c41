#include "tests/support/implementations.h"

#include "solutions/table.h"
#include "tinygpt/cpu/table.h"

namespace tinygpt::test {

std::vector<Implementation> implementations() {
  return {{.name = "ref", .ops = ref::ops()}, {.name = "cpu", .ops = cpu::ops()}};
}

std::vector<Skipped> skipped_implementations() { return {}; }

}  // namespace tinygpt::test
