#include "tests/support/implementations.h"

#include "solutions/table.h"
#include "tinygpt/cpu/table.h"

namespace tinygpt::test {

std::vector<Implementation> implementations() { return {{"ref", ref::ops()}, {"cpu", cpu::ops()}}; }

}  // namespace tinygpt::test
