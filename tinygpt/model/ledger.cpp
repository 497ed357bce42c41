#include "tinygpt/model/activations.h"

#include <cstdint>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt {

ParameterLedger parameter_ledger(const GptConfig& config) {
  const ParameterLayout layout = make_layout(config);
  ParameterLedger ledger;
  for (const Parameter& p : layout.parameters) {
    const auto is_in = [&](const char* part) { return p.name.find(part) != std::string::npos; };
    std::int64_t* part = &ledger.head;
    if (p.name == "wte") part = &ledger.embedding;
    else if (p.name == "wpe") part = &ledger.positions;
    else if (is_in("norm")) part = &ledger.norms;
    else if (is_in(".attn.")) part = &ledger.attention;
    else if (is_in(".mlp.")) part = &ledger.mlp;
    *part += p.size();
    ledger.total += p.size();
  }
  return ledger;
}

FlopLedger flop_ledger(const GptConfig& c, int T) {
  check_config(c);
  const double C = c.width, L = c.layers;
  const double weights_a_block = C * c.qkv_width() + C * C + C * c.up_width() + C * c.hidden;
  FlopLedger ledger;
  ledger.linears = 2 * L * weights_a_block;
  // q . k and p v: a multiply-add for each of the C channels and each key that a query sees.
  ledger.attention = L * 2 * 2 * C * (T + 1) / 2;
  ledger.head = 2 * C * c.vocab_size;
  ledger.forward = ledger.linears + ledger.attention + ledger.head;
  ledger.step = 3 * ledger.forward;
  return ledger;
}

template <class Real>
MemoryLedger memory_ledger(const GptConfig& config, const Ops<Real>& ops, Purpose purpose, int B,
                           int T) {
  const std::int64_t total = make_layout(config).total;
  const Activations<Real> plan = plan_activations<Real>(config, purpose, B, T, nullptr);
  constexpr std::int64_t kFloat = sizeof(float);
  MemoryLedger ledger;
  ledger.parameters = total * std::int64_t{sizeof(Real)};
  if (purpose == Purpose::training) {
    ledger.gradients = total * kFloat;
    ledger.optimizer = 2 * total * kFloat;                          // AdamW's two moments
    if (sizeof(Real) < kFloat) ledger.optimizer += total * kFloat;  // and the master weights
  }
  ledger.activations = plan.bytes;
  ledger.scratch = scratch_floats(config, ops, purpose, B, T, plan.logit_rows) * kFloat;
  ledger.total =
      ledger.parameters + ledger.gradients + ledger.optimizer + ledger.activations + ledger.scratch;
  return ledger;
}

template MemoryLedger memory_ledger(const GptConfig&, const Ops<float>&, Purpose, int, int);
template MemoryLedger memory_ledger(const GptConfig&, const Ops<Bfloat16>&, Purpose, int, int);

}  // namespace tinygpt
