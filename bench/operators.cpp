#include "bench/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace tinygpt::bench {
namespace {

using Clock = std::chrono::steady_clock;

// What a call has to do.
struct Work {
  std::string name;
  double flops = 0, floats = 0;
};

struct Account {
  std::string name;
  int calls = 0;
  double flops = 0, bytes = 0, seconds = 0;
};

// The functions below have no other way to find the table that they stand for.
struct State {
  Ops<float> ops;
  Memory memory;
  GptConfig config;
  std::vector<Account> accounts;
};
State& state() {
  static State state;
  return state;
}

void add(const Work& work, double seconds) {
  std::vector<Account>& all = state().accounts;
  auto at =
      std::find_if(all.begin(), all.end(), [&](const Account& a) { return a.name == work.name; });
  if (at == all.end()) at = all.insert(all.end(), {work.name, 0, 0, 0, 0});
  ++at->calls;
  at->flops += work.flops;
  at->bytes += work.floats * sizeof(float);
  at->seconds += seconds;
}

template <auto Entry, class Describe, class Function>
struct Timed;
template <auto Entry, class Describe, class... Arguments>
struct Timed<Entry, Describe, void(Arguments...)> {
  static void call(Arguments... arguments) {
    const auto start = Clock::now();
    (state().ops.*Entry)(arguments...);
    const std::chrono::duration<double> took = Clock::now() - start;
    add(Describe{}(arguments...), took.count());
  }
};

// Puts a timed function in the place of an entry that the table has.
template <auto Entry, class Describe>
void time_entry(Ops<float>& ops, Describe) {
  if (ops.*Entry == nullptr) return;
  using Function = std::remove_reference_t<decltype(*(ops.*Entry))>;
  ops.*Entry = Timed<Entry, Describe, Function>::call;
}

// The layer of a block, or the head, by its shape.
std::string layer_name(int C, int OC) {
  const GptConfig& c = state().config;
  if (C == c.width && OC == c.qkv_width()) return "qkv";
  if (C == c.width && OC == c.width) return "proj";
  if (C == c.width && OC == c.up_width()) return "up";
  if (C == c.hidden && OC == c.width) return "down";
  return "head";
}

Work linear_work(const char* what, double products, double extra, int N, int C, int OC) {
  const double n = N, c = C, oc = OC;
  return {fmt::format("{} {}", layer_name(C, OC), what), products * 2 * n * c * oc,
          n * c + n * oc + c * oc + extra};
}

void time_linears(Ops<float>& ops) {
  using O = Ops<float>;
  using In = const float*;
  time_entry<&O::linear_forward>(ops, [](float*, In, In, In, float*, int N, int C, int OC) {
    return linear_work("forward", 1, 0, N, C, OC);
  });
  time_entry<&O::linear_gelu_forward>(
      ops, [](float*, float*, In, In, In, float*, int N, int C, int OC) {
        return linear_work("forward, with gelu", 1, double(N) * OC, N, C, OC);
      });
  time_entry<&O::linear_backward>(
      ops, [](float* dx, float* dw, float*, In, In, In, float*, int N, int C, int OC) {
        // Both gradients accumulate: they are read and written.
        const double extra =
            2.0 * (dx != nullptr ? double(N) * C : 0) + double(C) * OC * (dw != nullptr ? 2 : 0);
        return linear_work("backward", (dx != nullptr) + (dw != nullptr), extra, N, C, OC);
      });
  time_entry<&O::linear_backward_write>(ops, [](float* dx, float* dw, float*, In, In, In pre, In,
                                                float*, int N, int C, int OC, bool add) {
    const double inputs = double(N) * C, weights = double(C) * OC;
    const double extra = (dx != nullptr ? inputs : 0) + (pre != nullptr ? inputs : 0) +
                         (dw != nullptr ? weights * (add ? 2 : 1) : 0);
    return linear_work(pre != nullptr ? "backward, with gelu" : "backward",
                       (dx != nullptr) + (dw != nullptr), extra, N, C, OC);
  });
}

void time_attention(Ops<float>& ops) {
  using O = Ops<float>;
  using In = const float*;
  // Two products forward and five backward, over the causal half.
  const auto work = [](const char* name, double products, double rows_of_qkv, double rows_of_out,
                       int B, int T, int NH, int NKV, int HS, bool causal) {
    const double pairs = causal ? 0.5 * T * (T + 1.0) : double(T) * T;
    const double rows = double(B) * T, qkv = (NH + 2.0 * NKV) * HS;
    return Work{name, products * 2 * B * NH * pairs * HS,
                rows * (rows_of_qkv * qkv + rows_of_out * NH * HS)};
  };
  static constexpr auto kWork = work;
  time_entry<&O::attention_forward>(
      ops, [](float*, float*, In, float*, int B, int T, int NH, int NKV, int HS, bool causal) {
        return kWork("attention forward", 2, 1, 1, B, T, NH, NKV, HS, causal);
      });
  time_entry<&O::attention_backward>(
      ops, [](float*, In, In, In, In, float*, int B, int T, int NH, int NKV, int HS, bool causal) {
        return kWork("attention backward", 5, 3, 2, B, T, NH, NKV, HS, causal);
      });
  time_entry<&O::attention_backward_write>(
      ops, [](float*, In, In, In, In, float*, int B, int T, int NH, int NKV, int HS, bool causal) {
        return kWork("attention backward", 5, 2, 2, B, T, NH, NKV, HS, causal);
      });
  time_entry<&O::rope_forward>(ops, [](float*, In, In, int B, int T, int NH, int HS, int, int) {
    return Work{"rope", 0, 2.0 * B * T * NH * HS};
  });
  time_entry<&O::rope_backward>(ops, [](float*, In, In, int B, int T, int NH, int HS, int, int) {
    return Work{"rope backward", 0, 2.0 * B * T * NH * HS};
  });
}

void time_norms(Ops<float>& ops) {
  using O = Ops<float>;
  using In = const float*;
  time_entry<&O::layernorm_forward>(ops,
                                    [](float*, float*, float*, In, In, In, int N, int C, float) {
                                      return Work{"norm forward", 0, 2.0 * N * C};
                                    });
  time_entry<&O::residual_layernorm_forward>(
      ops, [](float*, float*, float*, float*, In, In, In, In, int N, int C, float) {
        return Work{"residual and norm forward", 0, 4.0 * N * C};
      });
  time_entry<&O::layernorm_backward>(
      ops, [](float*, float*, float*, In, In, In, In, In, float*, int N, int C) {
        return Work{"norm backward", 0, 4.0 * N * C};
      });
  time_entry<&O::rmsnorm_forward>(ops, [](float*, float*, In, In, int N, int C, float) {
    return Work{"norm forward", 0, 2.0 * N * C};
  });
  time_entry<&O::residual_rmsnorm_forward>(
      ops, [](float*, float*, float*, In, In, In, int N, int C, float) {
        return Work{"residual and norm forward", 0, 4.0 * N * C};
      });
  time_entry<&O::rmsnorm_backward>(ops, [](float*, float*, In, In, In, In, float*, int N, int C) {
    return Work{"norm backward", 0, 4.0 * N * C};
  });
}

void time_elementwise(Ops<float>& ops) {
  using O = Ops<float>;
  using In = const float*;
  time_entry<&O::residual_forward>(ops, [](float*, In, In, std::int64_t n) {
    return Work{"residual forward", 0, 3.0 * static_cast<double>(n)};
  });
  time_entry<&O::residual_backward>(ops, [](float*, float*, In, std::int64_t n) {
    return Work{"residual backward", 0, 3.0 * static_cast<double>(n)};
  });
  time_entry<&O::gelu_forward>(ops, [](float*, In, std::int64_t n) {
    return Work{"gelu forward", 0, 2.0 * static_cast<double>(n)};
  });
  time_entry<&O::gelu_backward>(ops, [](float*, In, In, std::int64_t n) {
    return Work{"gelu backward", 0, 4.0 * static_cast<double>(n)};
  });
  time_entry<&O::swiglu_forward>(ops, [](float*, In, int N, int H) {
    return Work{"swiglu forward", 0, 3.0 * N * H};
  });
  time_entry<&O::swiglu_backward>(ops, [](float*, In, In, int N, int H) {
    return Work{"swiglu backward", 0, 7.0 * N * H};
  });
  time_entry<&O::dropout_forward>(
      ops, [](float*, In, std::int64_t n, float, std::uint64_t, std::uint64_t) {
        return Work{"dropout", 0, 2.0 * static_cast<double>(n)};
      });
  time_entry<&O::dropout_backward>(
      ops, [](float*, In, std::int64_t n, float, std::uint64_t, std::uint64_t) {
        return Work{"dropout backward", 0, 2.0 * static_cast<double>(n)};
      });
}

void time_ends(Ops<float>& ops) {
  using O = Ops<float>;
  using In = const float*;
  time_entry<&O::embedding_forward>(ops, [](float*, const int*, In, int N, int C, int) {
    return Work{"embedding forward", 0, 2.0 * N * C};
  });
  time_entry<&O::embedding_backward>(ops, [](float*, In, const int*, int N, int C, int) {
    return Work{"embedding backward", 0, 3.0 * N * C};
  });
  time_entry<&O::learned_positions_forward>(ops, [](float*, In, In, int B, int T, int C, int) {
    return Work{"positions forward", 0, 2.0 * B * T * C};
  });
  time_entry<&O::learned_positions_backward>(ops, [](float*, In, int B, int T, int C, int) {
    return Work{"positions backward", 0, double(B) * T * C};
  });
  time_entry<&O::cross_entropy_forward>(ops, [](float*, float*, In, const int*, int N, int V) {
    return Work{"loss forward", 0, double(N) * V};
  });
  time_entry<&O::softmax_cross_entropy_backward>(
      ops, [](float*, In, In, const int*, int N, int V, float) {
        return Work{"loss backward", 0, 2.0 * N * V};
      });
  time_entry<&O::gradient_norm>(ops, [](float*, In, float*, std::int64_t n) {
    return Work{"gradient norm", 0, static_cast<double>(n)};
  });
  time_entry<&O::clip_gradients>(ops, [](float*, In, std::int64_t n, float) {
    return Work{"clip gradients", 0, 2.0 * static_cast<double>(n)};
  });
  time_entry<&O::adamw_clipped_step>(
      ops, [](float*, float*, float*, float*, In, In, float, std::int64_t n, const AdamwSettings&) {
        return Work{"adamw, with clipping", 0, 7.0 * static_cast<double>(n)};
      });
  time_entry<&O::adamw_step>(
      ops, [](float*, float*, float*, float*, In, std::int64_t n, const AdamwSettings&) {
        return Work{"adamw", 0, 7.0 * static_cast<double>(n)};
      });
}

void timed_zero(void* data, std::size_t bytes) {
  const auto start = Clock::now();
  state().memory.zero(data, bytes);
  const std::chrono::duration<double> took = Clock::now() - start;
  add({"zeroing", 0, static_cast<double>(bytes / sizeof(float))}, took.count());
}

}  // namespace

Ops<float> timed_ops(const Ops<float>& inner, const GptConfig& config) {
  state().ops = inner;
  state().config = config;
  Ops<float> ops = inner;
  time_linears(ops);
  time_attention(ops);
  time_norms(ops);
  time_elementwise(ops);
  time_ends(ops);
  return ops;
}

Memory timed_memory(const Memory& inner) {
  state().memory = inner;
  Memory memory = inner;
  memory.zero = timed_zero;
  return memory;
}

std::vector<OperatorTime> time_operators(const std::function<void()>& run, int rounds) {
  run();  // first touch of memory
  std::vector<OperatorTime> times;
  std::vector<std::vector<double>> seconds;
  for (int round = 0; round < rounds; ++round) {
    state().accounts.clear();
    const auto start = Clock::now();
    run();
    const std::chrono::duration<double> took = Clock::now() - start;
    double inside = 0;
    for (const Account& a : state().accounts) inside += a.seconds;
    state().accounts.push_back({"between operators", 1, 0, 0, took.count() - inside});
    const std::vector<Account>& all = state().accounts;
    seconds.resize(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (round == 0) times.push_back({all[i].name, all[i].calls, all[i].flops, all[i].bytes, {}});
      seconds[i].push_back(all[i].seconds);
    }
  }
  for (std::size_t i = 0; i < times.size(); ++i) times[i].seconds = summarize(seconds[i]);
  return times;
}

}  // namespace tinygpt::bench
