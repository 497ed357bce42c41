#include "tinygpt/text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

bool is_id(const Tokenizer& t, int id) { return id >= 0 && id < vocab_size(t); }

void check_vocabulary(const Tokenizer& t) {
  check(!t.vocabulary.empty(), "tokenizer: the vocabulary is empty");
  std::unordered_set<std::string_view> seen;
  for (const std::string& token : t.vocabulary) {
    check(!token.empty(), "tokenizer: a token is empty");
    check(seen.insert(token).second,
          [&] { return fmt::format("tokenizer: two tokens are {}", quote_for_message(token)); });
  }
}

void index_special_tokens(Tokenizer& t) {
  t.special_start.fill(false);
  std::unordered_set<int> seen;
  for (const SpecialToken& s : t.special_tokens) {
    check(is_id(t, s.id) && t.vocabulary[s.id] == s.content, [&] {
      return fmt::format("tokenizer: special token {} is not token {}",
                         quote_for_message(s.content), s.id);
    });
    check(seen.insert(s.id).second, [&] {
      return fmt::format("tokenizer: special token {} is listed twice",
                         quote_for_message(s.content));
    });
    t.special_start[static_cast<unsigned char>(s.content[0])] = true;
  }
  t.longest_first.resize(t.special_tokens.size());
  std::iota(t.longest_first.begin(), t.longest_first.end(), 0);
  std::sort(t.longest_first.begin(), t.longest_first.end(), [&](int a, int b) {
    const std::string &x = t.special_tokens[a].content, &y = t.special_tokens[b].content;
    return x.size() != y.size() ? x.size() > y.size() : x < y;
  });
}

// Special tokens never come out of ordinary text, so they stand in none of the tables below.
std::vector<bool> special_ids(const Tokenizer& t) {
  std::vector<bool> special(t.vocabulary.size(), false);
  for (const SpecialToken& s : t.special_tokens) special[s.id] = true;
  return special;
}

void index_bytes(Tokenizer& t) {
  const std::vector<bool> special = special_ids(t);
  t.byte_ids.fill(-1);
  for (int id = 0; id < vocab_size(t); ++id) {
    const std::string& token = t.vocabulary[id];
    if (special[id]) continue;
    check(t.kind == TokenizerKind::bpe || token.size() == 1, [&] {
      return fmt::format("tokenizer: {} is not one byte, in a byte tokenizer",
                         quote_for_message(token));
    });
    if (token.size() == 1) t.byte_ids[static_cast<unsigned char>(token[0])] = id;
  }
  const auto missing = std::find(t.byte_ids.begin(), t.byte_ids.end(), -1);
  check(t.kind == TokenizerKind::bpe || missing == t.byte_ids.end(), [&] {
    return fmt::format("tokenizer: byte 0x{:02x} has no token, in a byte tokenizer",
                       missing - t.byte_ids.begin());
  });
}

void index_characters(Tokenizer& t) {
  const std::vector<bool> special = special_ids(t);
  t.character_ids.clear();
  for (int id = 0; id < vocab_size(t); ++id) {
    if (special[id]) continue;
    const std::string& token = t.vocabulary[id];
    const CodePoint c = decode_utf8(token, 0);
    check(c.valid && static_cast<std::size_t>(c.bytes) == token.size(), [&] {
      return fmt::format("tokenizer: {} is not one character, in a character tokenizer",
                         quote_for_message(token));
    });
    if (c.value >= t.character_ids.size()) t.character_ids.resize(c.value + 1, -1);
    t.character_ids[c.value] = id;
  }
}

void index_merges(Tokenizer& t) {
  for (std::size_t rank = 0; rank < t.merges.size(); ++rank) {
    const Merge& m = t.merges[rank];
    const bool ids_exist = is_id(t, m.left) && is_id(t, m.right) && is_id(t, m.result);
    check(ids_exist && t.vocabulary[m.result] == t.vocabulary[m.left] + t.vocabulary[m.right], [&] {
      return fmt::format("tokenizer: merge {} of tokens {} and {} does not give token {}", rank,
                         m.left, m.right, m.result);
    });
  }
  t.pairs = make_pair_table(t.merges);
}

}  // namespace

const char* kind_name(TokenizerKind kind) {
  switch (kind) {
    case TokenizerKind::byte:
      return "byte";
    case TokenizerKind::character:
      return "character";
    case TokenizerKind::bpe:
      return "bpe";
  }
  return "unknown";
}

void index_tokenizer(Tokenizer& t) {
  check_vocabulary(t);
  index_special_tokens(t);
  check(t.merges.empty() || t.kind == TokenizerKind::bpe,
        "tokenizer: only a bpe tokenizer has merges");
  if (t.kind == TokenizerKind::character) index_characters(t);
  else index_bytes(t);
  index_merges(t);
}

void add_special_tokens(Tokenizer& t, std::span<const std::string> contents) {
  for (const std::string& content : contents) {
    check_utf8(content, "tokenizer: a special token");
    t.special_tokens.push_back({content, vocab_size(t), true});
    t.vocabulary.push_back(content);
  }
}

Tokenizer byte_tokenizer(std::span<const std::string> special_tokens) {
  Tokenizer t;
  t.kind = TokenizerKind::byte;
  for (int b = 0; b < 256; ++b) t.vocabulary.emplace_back(1, static_cast<char>(b));
  add_special_tokens(t, special_tokens);
  index_tokenizer(t);
  return t;
}

Tokenizer train_char_tokenizer(std::string_view text, std::span<const std::string> special_tokens) {
  check_utf8(text, "tokenizer: the text");
  // Only to find the special tokens in the text, which are not spelled out in characters.
  const Tokenizer splitter = byte_tokenizer(special_tokens);
  std::vector<bool> seen;
  for (std::size_t begin = 0; begin < text.size();) {
    const TextPiece piece = next_piece(splitter, text, begin);
    begin += piece.text.size();
    if (piece.id >= 0) continue;
    for (std::size_t i = 0; i < piece.text.size();) {
      const CodePoint c = decode_utf8(piece.text, i);
      if (c.value >= seen.size()) seen.resize(c.value + 1, false);
      seen[c.value] = true;
      i += static_cast<std::size_t>(c.bytes);
    }
  }
  Tokenizer t;
  t.kind = TokenizerKind::character;
  for (std::size_t c = 0; c < seen.size(); ++c) {
    if (!seen[c]) continue;
    t.vocabulary.emplace_back();
    append_utf8(t.vocabulary.back(), static_cast<char32_t>(c));
  }
  check(!t.vocabulary.empty(), "tokenizer: the text is empty, so there are no characters to learn");
  add_special_tokens(t, special_tokens);
  index_tokenizer(t);
  return t;
}

std::string_view token_bytes(const Tokenizer& t, int id) {
  check(is_id(t, id), [&] {
    return fmt::format("tokenizer: token {} is outside the vocabulary, 0 to {}", id,
                       vocab_size(t) - 1);
  });
  return t.vocabulary[id];
}

const SpecialToken* find_special(const Tokenizer& t, std::string_view content) {
  for (const SpecialToken& s : t.special_tokens) {
    if (s.content == content) return &s;
  }
  return nullptr;
}

std::string decode(const Tokenizer& t, std::span<const int> ids, const DecodeOptions& options) {
  std::vector<bool> skipped(options.skip_control ? t.vocabulary.size() : 0, false);
  if (options.skip_control) {
    for (const SpecialToken& s : t.special_tokens) skipped[s.id] = s.is_control;
  }
  std::string text;
  for (const int id : ids) {
    const std::string_view bytes = token_bytes(t, id);
    if (!options.skip_control || !skipped[id]) text.append(bytes);
  }
  return text;
}

std::string stream_token(StreamDecoder& decoder, const Tokenizer& t, int id) {
  std::string text = std::move(decoder.held);
  text.append(token_bytes(t, id));
  const std::size_t certain = text.size() - incomplete_utf8_suffix(text);
  decoder.held = text.substr(certain);
  text.resize(certain);
  return text;
}

std::string stream_end(StreamDecoder& decoder) { return std::exchange(decoder.held, {}); }

}  // namespace tinygpt
