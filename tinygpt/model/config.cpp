#include "tinygpt/model/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <span>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

// Generous beside any published model, and small enough that no count of values or of bytes can
// leave 64 bits.
constexpr int kMaxVocabulary = 1 << 24;
constexpr int kMaxContext = 1 << 24;
constexpr int kMaxLayers = 1 << 12;
constexpr int kMaxWidth = 1 << 18;
constexpr int kMaxHidden = 1 << 20;

void check_range(const char* field, int value, int most) {
  check(value >= 1 && value <= most, [&] {
    return fmt::format("model config: {} is {}; it must be from 1 to {}", field, value, most);
  });
}

void check_token(const char* field, int token, int vocab_size) {
  check(token >= -1 && token < vocab_size, [&] {
    return fmt::format("model config: {} is {}; it must be -1 (none) or below vocab_size, {}",
                       field, token, vocab_size);
  });
}

void check_heads(const GptConfig& c) {
  check(c.width % c.heads == 0, [&] {
    return fmt::format("model config: width {} is not a multiple of heads {}", c.width, c.heads);
  });
  check(c.heads % c.kv_heads == 0, [&] {
    return fmt::format("model config: heads {} is not a multiple of kv_heads {}", c.heads,
                       c.kv_heads);
  });
  if (c.family == Family::gpt2) {
    check(c.kv_heads == c.heads, [&] {
      return fmt::format("model config: kv_heads is {} where heads is {}; they are equal in gpt2",
                         c.kv_heads, c.heads);
    });
  } else {
    check(c.head_size() % 2 == 0, [&] {
      return fmt::format(
          "model config: width / heads is {}; rotary positions need an even head size",
          c.head_size());
    });
  }
}

struct Shape {
  const char* name;
  GptConfig config;
};

GptConfig gpt2(int vocab_size, int context, int layers, int heads, int width) {
  GptConfig c;
  c.vocab_size = vocab_size;
  c.context_length = context;
  c.layers = layers;
  c.heads = c.kv_heads = heads;
  c.width = width;
  c.hidden = 4 * width;
  return c;
}

GptConfig llama(int vocab_size, int context, int layers, int heads, int kv_heads, int width,
                int hidden) {
  GptConfig c = gpt2(vocab_size, context, layers, heads, width);
  c.family = Family::llama;
  c.kv_heads = kv_heads;
  c.hidden = hidden;
  return c;
}

// In the order of size within a family.
std::span<const Shape> all_shapes() {
  static const Shape shapes[] = {
      {"gpt2-demo", gpt2(512, 160, 2, 5, 160)},
      {"nano-cpu", gpt2(256, 64, 4, 4, 128)},
      {"nano-10m", gpt2(256, 256, 6, 6, 384)},
      {"gpt2-124m", gpt2(50257, 1024, 12, 12, 768)},
      {"gpt2-355m", gpt2(50257, 1024, 24, 16, 1024)},
      {"gpt2-774m", gpt2(50257, 1024, 36, 20, 1280)},
      {"gpt2-1558m", gpt2(50257, 1024, 48, 25, 1600)},
      {"demo", llama(512, 160, 2, 5, 5, 160, 640)},
      {"llama-15m", llama(32000, 256, 6, 6, 6, 288, 768)},
      {"llama-42m", llama(32000, 1024, 8, 8, 8, 512, 1376)},
      {"llama-110m", llama(32000, 1024, 12, 12, 12, 768, 2048)},
  };
  return shapes;
}

}  // namespace

void check_config(const GptConfig& c) {
  check_range("vocab_size", c.vocab_size, kMaxVocabulary);
  check_range("context_length", c.context_length, kMaxContext);
  check_range("layers", c.layers, kMaxLayers);
  check_range("width", c.width, kMaxWidth);
  check_range("heads", c.heads, c.width);
  check_range("kv_heads", c.kv_heads, c.heads);
  check_range("hidden", c.hidden, kMaxHidden);
  check_heads(c);
  check(std::isfinite(c.norm_eps) && c.norm_eps > 0 && c.norm_eps < 1, [&] {
    return fmt::format("model config: norm_eps is {}; it must be between 0 and 1", c.norm_eps);
  });
  check(std::isfinite(c.rope_base) && c.rope_base > 1, [&] {
    return fmt::format("model config: rope_base is {}; it must be above 1", c.rope_base);
  });
  check(c.dropout >= 0 && c.dropout < 1, [&] {
    return fmt::format("model config: dropout is {}; it must be at least 0 and below 1", c.dropout);
  });
  check(c.init_std >= 0 && c.init_std <= 1, [&] {
    return fmt::format("model config: init_std is {}; it must be between 0 and 1", c.init_std);
  });
  check_token("bos_token", c.bos_token, c.vocab_size);
  check_token("eos_token", c.eos_token, c.vocab_size);
}

GptConfig named_config(std::string_view name) {
  for (const Shape& shape : all_shapes()) {
    if (name == shape.name) return shape.config;
  }
  throw Error(fmt::format("no model shape is called '{}'; there are: {}", name,
                          fmt::join(config_names(), ", ")));
}

std::vector<std::string> config_names() {
  std::vector<std::string> names;
  for (const Shape& shape : all_shapes()) names.emplace_back(shape.name);
  return names;
}

}  // namespace tinygpt
