// The levels themselves: which there are, which is taken, and that it makes no difference to the
// results. The operators' tests run on every level, too, against their equations.
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/levels.h"
#include "tinygpt/cpu/peak.h"
#include "tinygpt/cpu/processor.h"
#include "tinygpt/cpu/table.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

// TINYGPT_CPU for as long as it lives.
struct Asked {
  explicit Asked(const std::string& level) { setenv("TINYGPT_CPU", level.c_str(), 1); }
  ~Asked() { unsetenv("TINYGPT_CPU"); }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;
};

std::string message_of(const std::string& asked_for) {
  const Asked asked(asked_for);
  try {
    (void)cpu::ops();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

Values layer(const Implementation& i) {
  constexpr int N = 67, C = 93, OC = 131;
  Sandbox s(i, "linear_gelu_forward");
  const float *x = s.input(random_values(N * C, 1)), *w = s.input(random_values(OC * C, 2));
  float *out = s.output(N * OC), *gelu = s.output(N * OC);
  float* scratch = s.scratch(i.ops.linear_scratch_size(N, C, OC));
  i.ops.linear_forward(out, x, w, nullptr, scratch, N, C, OC);
  i.ops.gelu_forward(gelu, out, N * OC);
  return s.values(gelu);
}

}  // namespace

TEST_CASE("the best level that runs here is taken, and TINYGPT_CPU takes another", "[levels]") {
  std::string best;
  for (const cpu::Level& level : cpu::levels()) {
    if (!level.missing.empty()) continue;
    best = level.name;
    const Asked asked(level.name);
    CHECK(cpu::chosen_level() == level.name);
    CHECK(cpu::ops().gelu_forward == cpu::level_ops(level.name).gelu_forward);
    CHECK(cpu::bf16_product_ops().linear_forward ==
          cpu::level_bf16_product_ops(level.name).linear_forward);
    CHECK(cpu::bf16_product_ops().gelu_forward == cpu::ops().gelu_forward);
    CHECK(cpu::measure_peak_flops(1) > 1e8);
  }
  CHECK(cpu::chosen_level() == best);
  // Who knows which level this processor should take (tools/cross-check) says so.
  const char* known = std::getenv("TINYGPT_TEST_BEST_LEVEL");
  if (known != nullptr) CHECK(best == known);
  CHECK(cpu::ops().gelu_forward == cpu::level_ops(best).gelu_forward);
  const Asked empty("");
  CHECK(cpu::chosen_level() == best);
}

TEST_CASE("a level that cannot run is refused, and what can is named", "[levels]") {
  CHECK(message_of("mmx").find("TINYGPT_CPU=mmx") != std::string::npos);
  CHECK(message_of("mmx").find("baseline") != std::string::npos);
  for (const cpu::Level& level : cpu::levels()) {
    INFO(level.name);
    const std::string message = message_of(level.name);
    CHECK(message.empty() == level.missing.empty());
    CHECK(message.find(level.missing) != std::string::npos);
  }
}

TEST_CASE("an Error leaves the kernels of every level as what it is", "[levels]") {
  for (const Implementation& i : implementations()) {
    INFO(i.name);
    float value = 0;
    CHECK_THROWS_AS(i.ops.dropout_forward(&value, &value, 1, 2.0f, 1, 1), Error);
  }
}

TEST_CASE("all levels compute the same up to rounding", "[levels]") {
  const std::vector<Implementation> all = implementations();
  const Values first = layer(all[0]);
  for (const Implementation& i : all) {
    const Values other = layer(i);
    const std::vector<float> actual(other.begin(), other.end());
    CHECK(difference(i.name, actual, first, {{"i", static_cast<int>(first.size())}},
                     {.terms = 93, .scale = 31}) == "");
  }
}

#if defined(__x86_64__) && defined(__linux__)
TEST_CASE("the processor's features are those that the kernel of Linux lists",
          "[levels][cpuinfo]") {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && !line.starts_with("flags")) {
  }
  std::istringstream words(line);
  const std::vector<std::string> flags{std::istream_iterator<std::string>(words), {}};
  const auto listed = [&](const std::string& flag) {
    return std::find(flags.begin(), flags.end(), flag) != flags.end();
  };
  REQUIRE(listed("sse2"));
  for (const char* name :
       {"avx2", "fma", "f16c", "bmi2", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}) {
    INFO(name);
    CHECK(cpu::processor_has(name) == listed(name));
  }
  CHECK(cpu::processor_has("bmi") == listed("bmi1"));
  CHECK(cpu::processor_has("avxvnni") == listed("avx_vnni"));
  CHECK(cpu::processor_has("avx512vnni") == listed("avx512_vnni"));
  CHECK(cpu::processor_has("avx512bf16") == listed("avx512_bf16"));
  CHECK_THROWS_AS(cpu::processor_has("avx3"), Error);
}
#endif
