#include "tests/support/catch.h"
#include "tinygpt/core/random.h"

using namespace tinygpt;

// The known answers that the authors of Philox publish with Random123 for philox4x32, 10 rounds.
TEST_CASE("philox4x32 gives the published known answers", "[core]") {
  CHECK(philox4x32(0, 0, 0) == Philox4{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32(0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff) ==
        Philox4{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e) ==
        Philox4{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}
