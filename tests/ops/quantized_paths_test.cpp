// The processor's quantized products, compiled for each instruction set that this machine has, not
// for its best alone: others have another best.
#include "tests/ops/quantized_cases.h"
#include "tests/support/catch.h"

#define TINYGPT_QUANTIZED_PATH(name)                                        \
  namespace tinygpt::name {                                                 \
  QuantizedPackedSize quantized_packed_size;                                \
  QuantizedPack quantized_pack;                                             \
  QuantizedLinearForward<float> quantized_linear_forward;                   \
  QuantizedScratchSize quantized_scratch_size;                              \
  }                                                                         \
  namespace {                                                               \
  tinygpt::Ops<float> name##_ops() {                                        \
    tinygpt::Ops<float> ops;                                                \
    ops.quantized_packed_size = tinygpt::name::quantized_packed_size;       \
    ops.quantized_pack = tinygpt::name::quantized_pack;                     \
    ops.quantized_linear_forward = tinygpt::name::quantized_linear_forward; \
    ops.quantized_scratch_size = tinygpt::name::quantized_scratch_size;     \
    return ops;                                                             \
  }                                                                         \
  }

TINYGPT_QUANTIZED_PATH(cpu_plain)
#if defined(__x86_64__)
TINYGPT_QUANTIZED_PATH(cpu_avx2)
TINYGPT_QUANTIZED_PATH(cpu_avxvnni)
TINYGPT_QUANTIZED_PATH(cpu_avx512)
#endif

using namespace tinygpt;
using namespace tinygpt::test;

TEST_CASE("quantized products are right without vector instructions", "[quantized][paths]") {
  check_quantized({.name = "cpu, plain", .ops = cpu_plain_ops()});
}

#if defined(__x86_64__)
TEST_CASE("quantized products are right with AVX2", "[quantized][paths]") {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("f16c")) {
    WARN("skipped: this processor has no AVX2");
    return;
  }
  check_quantized({.name = "cpu, AVX2", .ops = cpu_avx2_ops()});
}

TEST_CASE("quantized products are right with AVX-VNNI", "[quantized][paths]") {
  if (!__builtin_cpu_supports("avxvnni")) {
    WARN("skipped: this processor has no AVX-VNNI");
    return;
  }
  check_quantized({.name = "cpu, AVX-VNNI", .ops = cpu_avxvnni_ops()});
}

TEST_CASE("quantized products are right with AVX-512 VNNI", "[quantized][paths]") {
  if (!__builtin_cpu_supports("avx512vnni")) {
    WARN("skipped: this processor has no AVX-512 VNNI");
    return;
  }
  check_quantized({.name = "cpu, AVX-512 VNNI", .ops = cpu_avx512_ops()});
}
#endif
