// Run mode is fast enough to train with. bench-emulator measures it properly.
#include <omp.h>

#include <algorithm>

#include "tests/simt/emulator_speed.h"
#include "tests/support/catch.h"

// Loose: the aim is 0.5 GFLOP/s a core, which bench/results/emulator.md records, and a machine may
// be slow, or its caches full of others' data. What this finds is an emulator that has lost a
// factor.
TEST_CASE("run mode does a tenth of a GFLOP a second at least, check mode five million accesses",
          "[simt][speed]") {
#if defined(NDEBUG) && defined(__OPTIMIZE__)
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  double flops = 0, accesses = 0;
  for (int round = 0; round < 3; ++round) {
    flops = std::max(flops, tinygpt::test::run_mode_flops());
    accesses = std::max(accesses, tinygpt::test::check_mode_accesses());
  }
  omp_set_num_threads(threads);
  CHECK(flops > 0.1e9);
  CHECK(accesses > 5e6);
#else
  SUCCEED("a build without optimisation is slow, and may be");
#endif
}
