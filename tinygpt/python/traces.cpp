// Traces: every tensor of a forward pass, by name.
#include <fmt/format.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <map>

#include "tinygpt/core/error.h"
#include "tinygpt/model/activations.h"
#include "tinygpt/model/attention_maps.h"
#include "tinygpt/python/arrays.h"
#include "tinygpt/python/bindings.h"
#include "tinygpt/python/interrupt.h"
#include "tinygpt/python/model_state.h"

namespace tinygpt::python {
namespace {

// A pass and the memory that it wrote to, which is nobody else's: arrays look at it without a copy,
// and it lives as long as they do.
struct Trace {
  Gpt<float> gpt;  // without weights
  Activations<float> acts;
  std::vector<int> tokens;
  bool is_batch = false;
  std::optional<float> loss;
};
using SharedTrace = std::shared_ptr<Trace>;

// Lends the model's weights to the trace's pass, also where that ends with an exception.
struct Lent {
  Lent(DeviceBuffer& from, DeviceBuffer& to) : from_(from), to_(to) { std::swap(from_, to_); }
  ~Lent() { std::swap(from_, to_); }
  DeviceBuffer &from_, &to_;
};

SharedTrace run(ModelState& state, const TokenBatch& x, const std::vector<int>& targets) {
  const auto trace = std::make_shared<Trace>();
  Gpt<float>& gpt = trace->gpt;
  const Turn turn(state);
  gpt.config = state.gpt.config;
  gpt.layout = state.gpt.layout;
  gpt.ops = state.gpt.ops;
  gpt.memory = state.gpt.memory;
  gpt.purpose = learning_purpose(state);
  if (state.adapter != nullptr) {
    grow_adapter(*state.adapter, state.gpt, std::int64_t{x.B} * x.T);
    gpt.adapter = &state.adapter->adapter;
  }
  exchange_room(gpt, new_room(state.gpt, gpt.purpose, x.B, x.T));
  trace->acts = plan_activations<float>(gpt.config, gpt.purpose, x.B, x.T, trace->gpt.arena.data());
  trace->tokens = x.ids;
  trace->is_batch = x.is_batch;
  const Lent weights(state.gpt.parameters, gpt.parameters);
  const float loss = forward(gpt, x.ids, targets, x.B, x.T);
  if (!targets.empty()) trace->loss = loss;
  gpt.adapter = nullptr;  // it may be gone before the trace is
  return trace;
}

SharedTrace make_trace(const SharedModel& state, const py::object& tokens,
                       const py::object& targets) {
  const TokenBatch x = token_batch(tokens, "tokens");
  std::vector<int> y;
  if (!targets.is_none()) {
    TokenBatch batch = token_batch(targets, "targets");
    check(batch.B == x.B && batch.T == x.T, [&] {
      return fmt::format("targets: the shape is {} x {} where that of tokens is {} x {}", batch.B,
                         batch.T, x.B, x.T);
    });
    y = std::move(batch.ids);
  }
  return without_gil([&] { return run(*state, x, y); });
}

// A tensor of a trace: [B, ...], or without the B where the tokens had none.
py::object view(const SharedTrace& t, const float* data, Shape shape, Shape strides = {}) {
  if (!t->is_batch) {
    shape.erase(shape.begin());
    if (!strides.empty()) strides.erase(strides.begin());
  }
  return array_view(data, std::move(shape), t, std::move(strides));
}

py::object rows(const SharedTrace& t, const float* data, int width) {
  return view(t, data, {t->gpt.batch, t->gpt.time, width});
}

// [B, heads, T, HS] inside of rows that are `stride` values apart.
py::object heads(const SharedTrace& t, const float* data, int count, int stride) {
  const py::ssize_t T = t->gpt.time, HS = t->gpt.config.head_size();
  return view(t, data, {t->gpt.batch, count, T, HS}, {T * stride, HS, stride, 1});
}

// All maps of a layer, [B, NH, T, T]: made again from queries and keys.
py::object attention(const SharedTrace& t, int layer) {
  const int B = t->gpt.batch, T = t->gpt.time, NH = t->gpt.config.heads;
  auto values = without_gil([&] {
    std::vector<float> all;
    for (int b = 0; b < B; ++b) {
      const AttentionMaps maps = attention_maps(t->gpt, b);
      for (int h = 0; h < NH; ++h) {
        const auto map = maps.map(layer, h);
        all.insert(all.end(), map.begin(), map.end());
      }
    }
    return all;
  });
  Shape shape = {B, NH, T, T};
  if (!t->is_batch) shape.erase(shape.begin());
  return array_of(std::move(values), std::move(shape));
}

using Getter = std::function<py::object()>;

void add_block(std::map<std::string, Getter>& all, std::vector<std::string>& order,
               const SharedTrace& t, int l) {
  const GptConfig& c = t->gpt.config;
  const auto& blocks = t->acts.blocks;
  const auto& block = blocks[static_cast<std::size_t>(l)];
  const bool last = l + 1 == c.layers;
  const float* after =
      last ? t->acts.norm_f.stream : blocks[static_cast<std::size_t>(l) + 1].norm1.stream;
  const int C = c.width, HS = c.head_size(), stride = c.qkv_width();
  const auto add = [&](const char* name, Getter getter) {
    order.push_back(fmt::format("h.{}.{}", l, name));
    all[order.back()] = std::move(getter);
  };
  add("input", [=] { return rows(t, block.norm1.stream, C); });
  add("norm1", [=] { return rows(t, block.norm1.out, C); });
  add("q", [=, &c] { return heads(t, block.qkv, c.heads, stride); });
  add("k", [=, &c] { return heads(t, block.qkv + c.heads * HS, c.kv_heads, stride); });
  add("v",
      [=, &c] { return heads(t, block.qkv + (c.heads + c.kv_heads) * HS, c.kv_heads, stride); });
  add("attention", [=] { return attention(t, l); });
  add("heads", [=, &c] { return heads(t, block.att, c.heads, C); });
  add("middle", [=] { return rows(t, block.norm2.stream, C); });
  add("norm2", [=] { return rows(t, block.norm2.out, C); });
  add("up", [=, &c] { return rows(t, block.up, c.up_width()); });
  add("act", [=, &c] { return rows(t, block.act, c.hidden); });
  add("output", [=] { return rows(t, after, C); });
}

struct Names {
  std::map<std::string, Getter> getters;
  std::vector<std::string> order;
};

Names names_of(const SharedTrace& t) {
  Names names;
  const auto add = [&](const char* name, Getter getter) {
    names.order.emplace_back(name);
    names.getters[name] = std::move(getter);
  };
  const GptConfig& c = t->gpt.config;
  add("tokens", [t] {
    return array_of(t->tokens, t->is_batch ? Shape{t->gpt.batch, t->gpt.time} : Shape{t->gpt.time});
  });
  add("embeddings", [=, &c] { return rows(t, t->acts.blocks[0].norm1.stream, c.width); });
  for (int l = 0; l < c.layers; ++l) add_block(names.getters, names.order, t, l);
  add("norm_f", [=, &c] { return rows(t, t->acts.norm_f.out, c.width); });
  add("logits", [=, &c] { return rows(t, t->acts.logits, c.vocab_size); });
  return names;
}

py::object tensor(const SharedTrace& t, const std::string& name) {
  const Names names = names_of(t);
  const auto found = names.getters.find(name);
  if (found == names.getters.end()) {
    throw py::key_error(fmt::format(
        "there is no tensor '{}'; there are tokens, embeddings, h.0.q ... h.{}.output, norm_f, "
        "logits: trace.names lists them all",
        name, t->gpt.config.layers - 1));
  }
  return found->second();
}

}  // namespace

void bind_traces(py::module_& m) {
  py::class_<Trace, SharedTrace> c(
      m, "Trace",
      "Every tensor of one forward pass, by name, as read-only arrays without a copy.\n\n"
      "trace['h.3.attention'] [B, NH, T, T]; without the B where the tokens had none.\n"
      "  tokens                 [B, T]\n"
      "  embeddings             [B, T, C]       the residual stream before the first block\n"
      "  h.L.input              [B, T, C]       the residual stream before block L\n"
      "  h.L.norm1              [B, T, C]\n"
      "  h.L.q                  [B, NH, T, HS]  turned by their position in llama, k too\n"
      "  h.L.k, h.L.v           [B, NKV, T, HS]\n"
      "  h.L.attention          [B, NH, T, T]   weights; row t: what query t gives to each key\n"
      "  h.L.heads              [B, NH, T, HS]  the heads' weighted sums of values\n"
      "  h.L.middle             [B, T, C]       the stream after attention was added\n"
      "  h.L.norm2              [B, T, C]\n"
      "  h.L.up                 [B, T, hidden]  before GELU; llama [B, T, 2 hidden]: gate, up\n"
      "  h.L.act                [B, T, hidden]\n"
      "  h.L.output             [B, T, C]       the stream after block L\n"
      "  norm_f                 [B, T, C]\n"
      "  logits                 [B, T, V]");
  c.def("__getitem__", &tensor, py::arg("name"));
  c.def(
      "__contains__",
      [](const SharedTrace& t, const std::string& name) {
        return names_of(t).getters.count(name) > 0;
      },
      py::arg("name"));
  c.def_property_readonly(
      "names", [](const SharedTrace& t) { return names_of(t).order; }, "In the pass's order.");
  c.def_readonly("loss", &Trace::loss, "Mean loss in nats; None where there were no targets.");
  c.def("__repr__", [](const Trace& t) {
    return fmt::format("<tinygpt.Trace: {} x {} tokens, {} layers>", t.gpt.batch, t.gpt.time,
                       t.gpt.config.layers);
  });
  py::type::of<ModelState>().attr("trace") = py::cpp_function(
      &make_trace, py::name("trace"), py::is_method(py::type::of<ModelState>()), py::arg("tokens"),
      py::arg("targets") = py::none(),
      "Runs the model on tokens [T] or [B, T] and keeps every tensor on the way: a Trace.");
}

}  // namespace tinygpt::python
