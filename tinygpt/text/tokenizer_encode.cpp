#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "tinygpt/core/error.h"
#include "tinygpt/text/pretokenize.h"
#include "tinygpt/text/tokenizer.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

// A word seen before, and its tokens: one cache line. Few words make up most of a text, so a hit
// saves the merging.
constexpr std::size_t kCachedBytes = 24;
constexpr std::size_t kCachedIds = 9;

// A word of up to 24 bytes in three registers, from loads that may overlap; with the length it
// determines the word. Copying the bytes to a padded array instead makes the processor wait for its
// own stores, and took twice as long.
struct WordKey {
  std::uint64_t a = 0, b = 0, c = 0;
  std::uint16_t length = 0;
};

struct alignas(64) CachedWord {
  std::uint64_t a = 0, b = 0, c = 0;
  std::uint16_t length = 0;  // 0: empty
  std::uint16_t count = 0;
  std::array<int, kCachedIds> ids{};
};
static_assert(sizeof(CachedWord) == 64);

// Direct-mapped, so that its size is fixed: a word takes the place of the one before it.
struct WordCache {
  std::vector<CachedWord> slots;  // a power of two of them
  int shift = 64;
};

WordCache make_word_cache(std::size_t text_bytes) {
  constexpr std::size_t kSmallest = 16, kLargest = std::size_t{1} << 16;  // 4 MB
  WordCache cache;
  const std::size_t slots = std::clamp(std::bit_ceil(text_bytes / 8), kSmallest, kLargest);
  cache.slots.resize(slots);
  cache.shift = 64 - std::countr_zero(slots);
  return cache;
}

template <class T>
std::uint64_t load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

WordKey word_key(std::string_view word) {
  const char* p = word.data();
  const std::size_t n = word.size();
  WordKey key;
  key.length = static_cast<std::uint16_t>(n);
  if (n < 4) {
    key.a = load<std::uint8_t>(p) | load<std::uint8_t>(p + n / 2) << 8 |
            load<std::uint8_t>(p + n - 1) << 16;
  } else if (n < 8) {
    key.a = load<std::uint32_t>(p) | load<std::uint32_t>(p + n - 4) << 32;
  } else {
    key.a = load<std::uint64_t>(p);
    key.b = load<std::uint64_t>(p + n - 8);
    if (n > 16) key.c = load<std::uint64_t>(p + 8);
  }
  return key;
}

std::size_t slot_of(const WordCache& cache, const WordKey& key) {
  std::uint64_t h = (key.a ^ key.length) * 0x9E3779B97F4A7C15u;
  h = (std::rotl(h, 29) ^ key.b) * 0xBF58476D1CE4E5B9u;
  h = (std::rotl(h, 29) ^ key.c) * 0x94D049BB133111EBu;
  return (h ^ h >> 29) * 0x9E3779B97F4A7C15u >> cache.shift;
}

bool holds(const CachedWord& cached, const WordKey& key) {
  return cached.length == key.length && cached.a == key.a && cached.b == key.b && cached.c == key.c;
}

struct BpeEncoder {
  const Tokenizer& tokenizer;
  std::vector<int>& ids;
  WordCache cache;
  BpeScratch scratch;
  const char* origin = nullptr;  // where byte 0 of the text would be, for offsets in messages
};

std::string no_token(std::size_t offset, std::string_view what) {
  return fmt::format(
      "tokenizer: no token for {} at byte {} of the text: the tokenizer was made "
      "from a text without it",
      what, offset);
}

// scratch.symbols = the word's tokens.
void merge_word(BpeEncoder& e, std::string_view word) {
  e.scratch.symbols.clear();
  for (const char& b : word) {
    const int id = e.tokenizer.byte_ids[static_cast<unsigned char>(b)];
    check(id >= 0, [&] {
      return no_token(static_cast<std::size_t>(&b - e.origin),
                      fmt::format("byte 0x{:02x}", static_cast<unsigned char>(b)));
    });
    e.scratch.symbols.push_back(id);
  }
  bpe_merge_word(e.scratch, e.tokenizer.pairs);
}

void encode_word(BpeEncoder& e, std::string_view word) {
  if (word.size() > kCachedBytes) {
    merge_word(e, word);
    e.ids.insert(e.ids.end(), e.scratch.symbols.begin(), e.scratch.symbols.end());
    return;
  }
  const WordKey key = word_key(word);
  CachedWord& cached = e.cache.slots[slot_of(e.cache, key)];
  if (holds(cached, key)) {
    e.ids.insert(e.ids.end(), cached.ids.begin(), cached.ids.begin() + cached.count);
    return;
  }
  merge_word(e, word);
  const std::vector<int>& symbols = e.scratch.symbols;
  e.ids.insert(e.ids.end(), symbols.begin(), symbols.end());
  if (symbols.size() > kCachedIds) return;
  cached = {key.a, key.b, key.c, key.length, static_cast<std::uint16_t>(symbols.size()), {}};
  std::copy(symbols.begin(), symbols.end(), cached.ids.begin());
}

void encode_bpe(BpeEncoder& e, std::string_view piece, std::size_t offset) {
  std::string prefixed;
  e.origin = piece.data() - offset;
  if (e.tokenizer.add_prefix_space && piece[0] != ' ') {
    prefixed = fmt::format(" {}", piece);
    piece = prefixed;
    e.origin = prefixed.data() + 1 - offset;
  }
  const auto encode_words = [&](std::string_view stretch) {
    for_each_word(stretch, [&](std::string_view word) { encode_word(e, word); });
  };
  if (!e.tokenizer.pre_split) return encode_word(e, piece);
  if (!e.tokenizer.split_digits) return encode_words(piece);
  for (std::size_t begin = 0; begin < piece.size();) {
    const std::size_t end = next_digit_or_rest(piece, begin);
    encode_words(piece.substr(begin, end - begin));
    begin = end;
  }
}

void encode_bytes(const Tokenizer& t, std::string_view piece, std::vector<int>& ids) {
  for (const char b : piece) ids.push_back(t.byte_ids[static_cast<unsigned char>(b)]);
}

void encode_characters(const Tokenizer& t, std::string_view piece, std::size_t offset,
                       std::vector<int>& ids) {
  for (std::size_t i = 0; i < piece.size();) {
    const CodePoint c = decode_utf8(piece, i);
    check(c.valid, [&] {
      return fmt::format("tokenizer: not valid UTF-8 at byte {} of the text (0x{:02x})", offset + i,
                         static_cast<unsigned>(c.value));
    });
    const int id = c.value < t.character_ids.size() ? t.character_ids[c.value] : -1;
    check(id >= 0, [&] {
      return no_token(offset + i, fmt::format("character \"{}\" (U+{:04X})",
                                              piece.substr(i, static_cast<std::size_t>(c.bytes)),
                                              static_cast<unsigned>(c.value)));
    });
    ids.push_back(id);
    i += static_cast<std::size_t>(c.bytes);
  }
}

}  // namespace

TextPiece next_piece(const Tokenizer& t, std::string_view text, std::size_t begin) {
  for (std::size_t i = begin; i < text.size(); ++i) {
    if (!t.special_start[static_cast<unsigned char>(text[i])]) continue;
    for (const int index : t.longest_first) {
      const SpecialToken& special = t.special_tokens[index];
      if (!text.substr(i).starts_with(special.content)) continue;
      if (i > begin) return {text.substr(begin, i - begin), -1};
      return {text.substr(i, special.content.size()), special.id};
    }
  }
  return {text.substr(begin), -1};
}

std::vector<int> encode(const Tokenizer& t, std::string_view text, const EncodeOptions& options) {
  std::vector<int> ids;
  ids.reserve(t.kind == TokenizerKind::bpe ? text.size() / 4 : text.size());
  BpeEncoder bpe{t, ids, {}, {}};
  if (t.kind == TokenizerKind::bpe) bpe.cache = make_word_cache(text.size());
  const bool split = options.allow_special && !t.special_tokens.empty();
  for (std::size_t begin = 0; begin < text.size();) {
    const TextPiece piece = split ? next_piece(t, text, begin) : TextPiece{text.substr(begin)};
    if (piece.id >= 0) ids.push_back(piece.id);
    else if (t.kind == TokenizerKind::bpe) encode_bpe(bpe, piece.text, begin);
    else if (t.kind == TokenizerKind::byte) encode_bytes(t, piece.text, ids);
    else encode_characters(t, piece.text, begin, ids);
    begin += piece.text.size();
  }
  return ids;
}

}  // namespace tinygpt
