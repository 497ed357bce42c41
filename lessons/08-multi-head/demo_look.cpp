// What each head of a trained model looks at, for a sentence of the reader's.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>

#include "lessons/08-multi-head/experiments.h"
#include "lessons/support/loss_curve.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/model/attention_maps.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/text/tinytales.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::lessons {
namespace {

constexpr int kMostTokens = 40;  // more would be too small to read

struct Looks {
  std::vector<std::string> tokens;
  AttentionMaps maps;
};

// A token as a label: without the space before it, and with a sign where it goes on with a word.
std::string label_of(const Tokenizer& tokenizer, int token, bool first) {
  const SpecialToken* end = find_special(tokenizer, kEndOfText);
  if (end != nullptr && token == end->id) return "start";
  const std::string bytes = tokenizer.vocabulary[static_cast<std::size_t>(token)];
  if (bytes == "\n") return "line";
  std::string text = replace_controls(replace_invalid_utf8(bytes));
  if (!text.empty() && text[0] == ' ') return text.substr(1);
  const bool letter = !text.empty() && std::isalnum(static_cast<unsigned char>(text[0])) != 0;
  return letter && !first ? "+" + text : text;
}

Looks look_at(const std::string& folder, const std::string& text) {
  check(std::filesystem::exists(std::filesystem::path(folder) / "config.json"), [&] {
    return fmt::format(
        "{}: there is no model here: ./course demo makes one in three minutes, --model names "
        "another folder",
        folder);
  });
  const GptConfig config = read_model_config(folder);
  check_has_weights(folder);
  const Tokenizer tokenizer = load_tokenizer(std::filesystem::path(folder) / "tokenizer.json");
  check(vocab_size(tokenizer) <= config.vocab_size,
        [&] { return fmt::format("{}: its tokenizer has more tokens than its model", folder); });
  std::vector<int> tokens = encode(tokenizer, text);
  check(!tokens.empty(), "--text is empty: write a sentence");
  const SpecialToken* end = find_special(tokenizer, kEndOfText);
  if (end != nullptr) tokens.insert(tokens.begin(), end->id);  // a text begins there
  const int T = static_cast<int>(tokens.size()),
            most = std::min(kMostTokens, config.context_length);
  check(T <= most, [&] {
    return fmt::format("--text has {} tokens, and there is room for {}: write a shorter sentence",
                       T, most);
  });
  Gpt<float> model = make_gpt(config, cpu::ops(), host_memory(), Purpose::training, 1, T);
  load_parameters(model, folder);
  forward(model, tokens, {}, 1, T);
  Looks looks{{}, attention_maps(model)};
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    looks.tokens.push_back(label_of(tokenizer, tokens[t], t <= 1));
  }
  return looks;
}

}  // namespace

void look(const std::vector<Option>& options) {
  const Looks looks = look_at(as_text(options, "model"), as_text(options, "text"));
  const std::string shades = as_text(options, "shades");
  check(shades == "yes" || shades == "no", "--shades is yes or no");
  if (shades == "yes") print_maps(looks.tokens, looks.maps);
  print_habits(looks.tokens, looks.maps);
  write_maps(as_text(options, "picture"), looks.tokens, looks.maps);
}

void pictures(const std::vector<Option>& options) {
  const std::string model = as_text(options, "model"), folder = as_text(options, "folder");
  std::string problem;
  const auto draw = [&](const auto& work) {
    try {
      work();
    } catch (const std::exception& error) {
      problem += (problem.empty() ? "" : "; ") + std::string(error.what());
    }
  };
  draw([&] {
    const Looks looks = look_at(model, as_text(options, "text"));
    write_maps(folder + "/demo-attention.svg", looks.tokens, looks.maps);
  });
  draw([&] {
    write_loss_curve(folder + "/demo-loss.svg", "The loss on its way to the floor",
                     read_loss_curve(model + "/log.jsonl"));
  });
  check(problem.empty(), problem.c_str());
}

}  // namespace tinygpt::lessons
