#include "tinygpt/cpu/processor.h"

#include <fmt/format.h>

#include "tinygpt/core/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace tinygpt::cpu {
namespace {

struct Feature {
  std::string_view name;
  bool (*supported)();
};

#if defined(__x86_64__)

// The compiler's builtin also asks whether the operating system keeps the wide registers. Clang 16
// does not know some features, which are a bit each of what the processor says of itself; AVX2 or
// AVX-512 goes with them, and its answer speaks for the operating system.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 &&
         (ecx & (1u << 29)) != 0;
}

bool has_avxvnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 &&
         (eax & (1u << 4)) != 0;
}

bool has_avx512bf16() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __builtin_cpu_supports("avx512f") != 0 &&
         __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & (1u << 5)) != 0;
}

constexpr Feature kFeatures[] = {
    {"avx2", [] { return __builtin_cpu_supports("avx2") != 0; }},
    {"fma", [] { return __builtin_cpu_supports("fma") != 0; }},
    {"f16c", has_f16c},
    {"bmi", [] { return __builtin_cpu_supports("bmi") != 0; }},
    {"bmi2", [] { return __builtin_cpu_supports("bmi2") != 0; }},
    {"avxvnni", has_avxvnni},
    {"avx512f", [] { return __builtin_cpu_supports("avx512f") != 0; }},
    {"avx512cd", [] { return __builtin_cpu_supports("avx512cd") != 0; }},
    {"avx512bw", [] { return __builtin_cpu_supports("avx512bw") != 0; }},
    {"avx512dq", [] { return __builtin_cpu_supports("avx512dq") != 0; }},
    {"avx512vl", [] { return __builtin_cpu_supports("avx512vl") != 0; }},
    {"avx512vnni", [] { return __builtin_cpu_supports("avx512vnni") != 0; }},
    {"avx512bf16", has_avx512bf16},
};

#elif defined(__aarch64__) && defined(__linux__)

constexpr Feature kFeatures[] = {
    {"dotprod", [] { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }},
};

#else

constexpr Feature kFeatures[] = {{"", [] { return false; }}};

#endif

}  // namespace

bool processor_has(std::string_view feature) {
  for (const Feature& known : kFeatures) {
    if (known.name == feature) return known.supported();
  }
  throw Error(
      fmt::format("processor_has: '{}' is not one of the features it can ask for", feature));
}

}  // namespace tinygpt::cpu
