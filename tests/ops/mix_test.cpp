#include "solutions/table.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/ops/ops.h"

using namespace tinygpt;

namespace {

std::vector<NamedOps> tables() {
  Ops<float> partial;  // a learner's, with one group begun and one done
  partial.gelu_forward = ref::ops().gelu_forward;
  partial.softmax_forward = ref::ops().softmax_forward;
  partial.softmax_backward = ref::ops().softmax_backward;
  return {{"ref", ref::ops()}, {"cpu", cpu::ops()}, {"mine", partial}};
}

}  // namespace

TEST_CASE("the reference and the fast table implement every operator", "[table]") {
  for (const NamedOps& table : tables()) {
    if (table.name == "mine") continue;
    for_each_entry<float>([&](const char* group, auto entry) {
      INFO(table.name << " " << group);
      if (std::string(group) != "fused") CHECK(table.ops.*entry != nullptr);
    });
  }
}

TEST_CASE("a mixture takes each group from where it was asked to", "[table]") {
  const Ops<float> r = ref::ops(), c = cpu::ops();
  const Ops<float> ops = mix_ops(tables(), "cpu,attention=ref,softmax=mine");
  CHECK(ops.attention_forward == r.attention_forward);
  CHECK(ops.attention_backward == r.attention_backward);
  CHECK(ops.attention_scratch_size == r.attention_scratch_size);
  CHECK(ops.softmax_forward == r.softmax_forward);
  CHECK(ops.linear_forward == c.linear_forward);
  CHECK(ops.linear_gelu_forward == c.linear_gelu_forward);
  CHECK(mix_ops(tables(), "ref").linear_forward == r.linear_forward);
}

TEST_CASE("a mixture drops the fused entries that would bypass a choice", "[table]") {
  CHECK(mix_ops(tables(), "cpu,gelu=ref").linear_gelu_forward == nullptr);
  CHECK(mix_ops(tables(), "cpu,linear=ref").linear_gelu_forward == nullptr);
  CHECK(mix_ops(tables(), "cpu,layernorm=ref").residual_layernorm_forward == nullptr);
  CHECK(mix_ops(tables(), "cpu,residual=ref").residual_rmsnorm_forward == nullptr);
  for (const char* choice : {"cpu,gelu=ref", "cpu,linear=ref", "cpu,residual=ref"}) {
    CHECK(mix_ops(tables(), choice).linear_backward_write == nullptr);
  }
  CHECK(mix_ops(tables(), "cpu,attention=ref").attention_backward_write == nullptr);
  CHECK(mix_ops(tables(), "cpu,adamw=ref").adamw_clipped_step == nullptr);
  CHECK(mix_ops(tables(), "cpu,gradient_norm=ref").adamw_clipped_step == nullptr);
}

TEST_CASE("a choice that cannot be met says what can", "[table]") {
  const auto complains = [](const char* choice, const char* about) {
    INFO(choice);
    CHECK_THROWS_WITH(mix_ops(tables(), choice), ContainsSubstring(about));
  };
  complains("", "ref, cpu, mine");
  complains("gpu", "ref, cpu, mine");
  complains("cpu,softmax", "group=implementation");
  complains("cpu,softmax=gpu", "ref, cpu, mine");
  complains("cpu,sofmax=ref", "layernorm");
  complains("cpu,gelu=mine", "does not implement all of 'gelu'");
  complains("cpu,,", "group=implementation");
}
