// The experiments of lesson 01.
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lessons/support/chart.h"
#include "lessons/support/demo.h"
#include "solutions/01-tokenizer/bpe.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/text/pretokenize.h"
#include "tinygpt/text/tokenizer.h"
#include "tinygpt/text/unicode.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

std::string spelled(const ref::Bpe& bpe, int token) {
  std::string text = ref::bpe_decode(bpe, std::vector<int>{token});
  for (char& c : text) c = c == ' ' ? '_' : c;
  return text;
}

std::string spelled(const ref::Bpe& bpe, const std::vector<int>& tokens) {
  std::string line;
  for (const int token : tokens) {
    if (!line.empty()) line += ' ';
    line += spelled(bpe, token);
  }
  return line;
}

void worked(const std::vector<Option>&) {
  const std::string text = "cat sat at mat";
  const ref::Bpe learned = ref::bpe_train(text, 260);
  std::vector<int> tokens = ref::bpe_encode(ref::Bpe{}, text);
  fmt::print("{:<46}{:>3} tokens\n", spelled(learned, tokens), tokens.size());
  for (std::size_t i = 0; i < learned.merges.size(); ++i) {
    const auto [left, right] = learned.merges[i];
    const auto count = ref::count_pairs(tokens)[learned.merges[i]];
    const int made = 256 + static_cast<int>(i);
    tokens = ref::merge_pair(tokens, learned.merges[i], made);
    fmt::print("\nmost frequent: '{}' '{}', {} times; it becomes token {}\n",
               spelled(learned, left), spelled(learned, right), count, made);
    fmt::print("{:<46}{:>3} tokens\n", spelled(learned, tokens), tokens.size());
  }
  fmt::print("\nas numbers:");
  for (const int token : tokens) fmt::print(" {}", token);
  const std::string word = "hat";
  fmt::print("\n'{}', which it has never seen: {}\n", word,
             spelled(learned, ref::bpe_encode(learned, word)));
}

std::int64_t characters(const std::string& text) {
  std::int64_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

void vocabulary(const std::vector<Option>& options) {
  const std::string folder = as_text(options, "texts");
  const std::string path = as_text(options, "text");
  const std::string learned_from = path.empty() ? make_stories(3000).train : read_file(path);
  const char* names[] = {"english", "russian", "greek", "chinese"};
  std::vector<std::string> texts;
  for (const char* name : names) texts.push_back(read_file(folder + "/" + name + ".txt"));
  fmt::print("one story in four scripts; the vocabulary is learned from {} of English\n\n",
             fmt::format("{:.1f} MB", static_cast<double>(learned_from.size()) * 1e-6));
  fmt::print("{:<22}", "bytes a token");
  for (const char* name : names) fmt::print("{:>10}", name);
  fmt::print("\n");
  std::vector<Series> lines;
  for (const char* name : names) lines.push_back({name, {}});
  for (const int size : {256, 320, 512, 768, 1024, 1536, 2048}) {
    const Tokenizer tokenizer = train_bpe_tokenizer(learned_from, size);
    fmt::print("{:<22}", fmt::format("vocabulary {}", vocab_size(tokenizer)));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const double ratio = static_cast<double>(texts[i].size()) /
                           static_cast<double>(encode(tokenizer, texts[i]).size());
      lines[i].points.emplace_back(vocab_size(tokenizer), ratio);
      fmt::print("{:>10.2f}", ratio);
    }
    fmt::print("\n");
  }
  fmt::print("{:<22}", "tokens a character");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const double bytes = static_cast<double>(texts[i].size()) / lines[i].points.back().second;
    fmt::print("{:>10.2f}", bytes / static_cast<double>(characters(texts[i])));
  }
  fmt::print("\n\n");
  write_line_chart("lessons-out/01-vocabulary.svg", "Bytes a token against vocabulary size", lines,
                   {.x = "tokens in the vocabulary", .y = "bytes a token"});
}

void show(const std::vector<Option>& options) {
  const std::string text = as_text(options, "text");
  const Tokenizer tokenizer =
      train_bpe_tokenizer(make_stories(2000).train, static_cast<int>(as_number(options, "size")));
  std::string words, tokens, numbers;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = next_word(text, at);
    words += fmt::format("[{}]", text.substr(at, end - at));
    at = end;
  }
  for (const int id : encode(tokenizer, text)) {
    tokens += fmt::format("[{}]", replace_invalid_utf8(token_bytes(tokenizer, id)));
    numbers += fmt::format("{} ", id);
  }
  fmt::print("words    {}\ntokens   {}\nnumbers  {}\nbytes    {}\n", words, tokens, numbers,
             text.size());
}

}  // namespace

int main(int argc, char** argv) {
  return run_demo(argc, argv, "Lesson 01: text becomes integers",
                  {{"worked", "the merges of the lesson's worked example", worked},
                   {"show",
                    "cut a text into words and tokens",
                    show,
                    {{"text", "what to cut", "Lily didn't see 3 cats, or \u732b!"},
                     {"size", "of the vocabulary", "1024"}}},
                   {"vocabulary",
                    "bytes a token against vocabulary size, in four scripts",
                    vocabulary,
                    {{"texts", "folder of the four texts", "lessons/01-tokenizer/texts"},
                     {"text", "learn from this file instead of tinytales", ""}}}});
}
