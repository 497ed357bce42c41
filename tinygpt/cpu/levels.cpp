#include "tinygpt/cpu/levels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include "tinygpt/core/error.h"
#include "tinygpt/cpu/level.h"
#include "tinygpt/cpu/peak.h"
#include "tinygpt/cpu/processor.h"
#include "tinygpt/cpu/table.h"

// CpuLevels.cmake writes one line for each level, TINYGPT_CPU_LEVEL(avx2, "avx2 fma ..."): what its
// kernels were compiled with is what the processor is asked for.
#if defined(TINYGPT_CPU_LEVEL_LIST)
#define TINYGPT_CPU_LEVEL(name, features) \
  namespace tinygpt::cpu_##name {         \
    CpuKernels compiled_kernels();        \
  }
#include TINYGPT_CPU_LEVEL_LIST
#undef TINYGPT_CPU_LEVEL
#endif

namespace tinygpt::cpu {
namespace {

struct Compiled {
  const char* name;
  const char* features;
  CpuKernels (*kernels)();
};

constexpr Compiled kCompiled[] = {
#if defined(TINYGPT_CPU_LEVEL_LIST)
#define TINYGPT_CPU_LEVEL(name, features) {#name, features, cpu_##name::compiled_kernels},
#include TINYGPT_CPU_LEVEL_LIST
#undef TINYGPT_CPU_LEVEL
#else
    {TINYGPT_CPU_ONLY_LEVEL, "", compiled_kernels},
#endif
};

void append_word(std::string& list, const std::string& word) {
  list += (list.empty() ? "" : ", ") + word;
}

std::string missing_features(std::string_view features) {
  std::string missing;
  while (!features.empty()) {
    const std::string feature(features.substr(0, features.find(' ')));
    features.remove_prefix(std::min(feature.size() + 1, features.size()));
    if (!processor_has(feature)) append_word(missing, feature);
  }
  return missing;
}

// For messages: the levels that can run here.
std::string usable_levels() {
  std::string names;
  for (const Level& level : levels()) {
    if (level.missing.empty()) append_word(names, level.name);
  }
  return names;
}

const Compiled& named_level(std::string_view name) {
  for (const Compiled& level : kCompiled) {
    if (name != level.name) continue;
    const std::string missing = missing_features(level.features);
    check(missing.empty(), [&] {
      return fmt::format("TINYGPT_CPU={}: this processor has no {}; here run: {}", name, missing,
                         usable_levels());
    });
    return level;
  }
  throw Error(fmt::format(
      "TINYGPT_CPU={}: this program was built without such kernels; here run: {}{}", name,
      usable_levels(),
      std::size(kCompiled) == 1 ? " (a build of the preset `portable` has several)" : ""));
}

const Compiled& chosen() {
  const char* wanted = std::getenv("TINYGPT_CPU");
  if (wanted != nullptr && *wanted != '\0') return named_level(wanted);
  const Compiled* best = &kCompiled[0];
  for (const Compiled& level : kCompiled) {
    if (missing_features(level.features).empty()) best = &level;
  }
  return *best;
}

}  // namespace

std::vector<Level> levels() {
  std::vector<Level> all;
  for (const Compiled& level : kCompiled) {
    all.push_back({level.name, missing_features(level.features)});
  }
  return all;
}

std::string chosen_level() { return chosen().name; }

Ops<float> level_ops(const std::string& name) { return named_level(name).kernels().ops; }

Ops<float> level_bf16_product_ops(const std::string& name) {
  return named_level(name).kernels().bf16_product_ops;
}

Ops<float> ops() { return chosen().kernels().ops; }

Ops<float> bf16_product_ops() { return chosen().kernels().bf16_product_ops; }

double measure_peak_flops(int threads) { return chosen().kernels().measure_peak_flops(threads); }

}  // namespace tinygpt::cpu
