#include "tinygpt/python/model_state.h"

#include <fmt/format.h>

#include <utility>

#include "solutions/table.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/model/activations.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/model/gguf_model.h"

namespace tinygpt::python {
namespace {

void check_memory(const Memory& memory, double needed, const char* what) {
  const auto there = static_cast<double>(memory.available());
  check(needed <= there, [&] {
    return fmt::format("{} needs {:.3g} GB of memory, and there are {:.3g}", what, needed * 1e-9,
                       there * 1e-9);
  });
}

void check_fits(const GptConfig& config, Purpose purpose, int B, int T) {
  check(B >= 1 && T >= 1 && T <= config.context_length, [&] {
    return fmt::format("{} sequences of {} tokens: the model sees 1 to {} tokens at once", B, T,
                       config.context_length);
  });
  token_count(B, T);
  const Activations<float> plan = plan_activations<float>(config, purpose, B, T, nullptr);
  check_memory(host_memory(), static_cast<double>(plan.bytes), "a pass over so many tokens");
}

bool is_gguf(const std::filesystem::path& path) {
  return std::filesystem::is_regular_file(path) || path.extension() == ".gguf";
}

}  // namespace

Turn::Turn(ModelState& state) : state_(state) {
  check(state.user.load() != std::this_thread::get_id(),
        "this model is at work: a callback cannot run it before it is done");
  state.mutex.lock();
  state.user = std::this_thread::get_id();
}

Turn::~Turn() {
  state_.user = std::thread::id();
  state_.mutex.unlock();
}

SharedModel make_state(const GptConfig& config, const std::string& device,
                       const std::string& kernels) {
  check(device == "cpu", [&] {
    return fmt::format(
        "device '{}': this module computes on the 'cpu'; the command `tinygpt` also on GPUs "
        "(--device cuda)",
        device);
  });
  check_config(config);
  const Memory memory = host_memory();
  const double weights = static_cast<double>(make_layout(config).total) * sizeof(float);
  check_memory(memory, weights, "this model");
  const auto state = std::make_shared<ModelState>();
  const Ops<float> ops = mix_ops({{"cpu", cpu::ops()}, {"ref", ref::ops()}}, kernels);
  state->gpt = make_gpt(config, ops, memory, Purpose::inference, 1, 1);
  return state;
}

SharedModel load_state(const std::filesystem::path& path, const std::string& device,
                       const std::string& kernels) {
  if (is_gguf(path)) {
    const GgufFile file = open_gguf(path);
    SharedModel state = make_state(read_gguf_config(file), device, kernels);
    load_gguf(state->gpt, file);
    state->tokenizer = std::make_shared<Tokenizer>(read_gguf_tokenizer(file));
    return state;
  }
  check(std::filesystem::is_directory(path), [&] {
    return fmt::format("{}: there is neither a model's folder nor a GGUF file", path.string());
  });
  const GptConfig config = read_model_config(path);
  check_has_weights(path);
  SharedModel state = make_state(config, device, kernels);
  load_parameters(state->gpt, path);
  const auto tokenizer = path / "tokenizer.json";
  if (std::filesystem::exists(tokenizer)) {
    state->tokenizer = std::make_shared<Tokenizer>(load_tokenizer(tokenizer));
  }
  return state;
}

Room new_room(const Gpt<float>& gpt, Purpose purpose, int B, int T) {
  check_fits(gpt.config, purpose, B, T);
  const Activations<float> plan = plan_activations<float>(gpt.config, purpose, B, T, nullptr);
  Room room{DeviceBuffer(gpt.memory, plan.bytes), B, T};
  if (gpt.config.family == Family::llama) {
    const Activations<float> acts =
        plan_activations<float>(gpt.config, purpose, B, T, room.arena.data());
    gpt.ops.rope_table(acts.cosine, acts.sine, T, gpt.config.head_size(), gpt.config.rope_base);
  }
  return room;
}

Room exchange_room(Gpt<float>& gpt, Room room) {
  gpt.batch = 0;  // what was computed in the old one is not to be continued
  return {std::exchange(gpt.arena, std::move(room.arena)),
          std::exchange(gpt.max_batch, room.max_batch), std::exchange(gpt.max_time, room.max_time)};
}

Purpose learning_purpose(const ModelState& state) {
  return state.adapter != nullptr ? Purpose::adapting : Purpose::training;
}

void grow_adapter(AdapterState& state, const Gpt<float>& gpt, std::int64_t rows) {
  if (rows <= state.adapter.rows) return;
  Gpt<float> shape;  // says how an adapter that may be trained is to be made
  shape.config = gpt.config;
  shape.ops = gpt.ops;
  shape.memory = gpt.memory;
  shape.purpose = Purpose::adapting;
  Adapter<float> larger = make_adapter(state.adapter.layout, shape, static_cast<int>(rows));
  if (state.adapter.parameters.data() != nullptr) {
    std::swap(larger.parameters, state.adapter.parameters);
    std::swap(larger.gradients, state.adapter.gradients);
  }
  state.adapter = std::move(larger);
}

void make_room(ModelState& state, Purpose purpose, int B, int T) {
  Gpt<float>& gpt = state.gpt;
  if (purpose == Purpose::training && gpt.gradients.bytes() == 0) {
    const std::int64_t bytes = gpt.layout.total * std::int64_t{sizeof(float)};
    check_memory(gpt.memory, static_cast<double>(bytes), "the gradient");
    gpt.gradients = DeviceBuffer(gpt.memory, bytes);
    gpt.memory.zero(gpt.gradients.data(), static_cast<std::size_t>(bytes));
  }
  if (gpt.purpose != purpose) {
    Room& mine = state.rooms[static_cast<int>(gpt.purpose)];
    mine = exchange_room(gpt, std::move(state.rooms[static_cast<int>(purpose)]));
    gpt.purpose = purpose;
  }
  if (B < 1 || T < 1 || B > gpt.max_batch || T > gpt.max_time) {
    exchange_room(gpt, new_room(gpt, purpose, B, T));
  }
  gpt.adapter = nullptr;
  if (state.adapter == nullptr) return;
  grow_adapter(*state.adapter, gpt, std::int64_t{B} * T);
  gpt.adapter = &state.adapter->adapter;
}

}  // namespace tinygpt::python
