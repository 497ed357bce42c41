// Tokenizers: text to integers and back.
//
// Three kinds share one structure. byte: a token is a byte. character: a token is a Unicode
// character. bpe: GPT-2's byte-level byte pair encoding, whose tokens are sequences of bytes that
// were learned from a text. Byte and bpe tokenizers take any bytes and give them back unchanged;
// a character tokenizer takes only the characters of the text that it was made from.
//
// A Tokenizer is never changed after it is made, so threads may share one.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinygpt/text/bpe.h"

namespace tinygpt {

enum class TokenizerKind { byte, character, bpe };

const char* kind_name(TokenizerKind kind);

// A token that is recognised in the text as a whole before anything else looks at it, such as
// "<|endoftext|>" between documents. Where several begin at the same place, the longest wins.
struct SpecialToken {
  std::string content;
  int id = 0;
  bool is_control = true;  // "special" in tokenizer.json: decode may leave it out
  bool operator==(const SpecialToken&) const = default;
};

struct Tokenizer {
  TokenizerKind kind = TokenizerKind::byte;
  std::vector<std::string> vocabulary;  // by id: the bytes that the token stands for
  std::vector<Merge> merges;            // bpe, in the order in which they were learned
  std::vector<SpecialToken> special_tokens;
  bool pre_split = true;          // bpe: merge only inside GPT-2's words
  bool split_digits = false;      // bpe: with pre_split, each digit is a word, as in SmolLM
  bool add_prefix_space = false;  // bpe: begin every piece of text with a space, as some models do

  // Derived from the above by index_tokenizer.
  std::array<int, 256> byte_ids{};        // byte and bpe: the token of each byte, or -1
  std::vector<int> character_ids;         // character: by code point, or -1
  PairTable pairs;                        // bpe
  std::vector<int> longest_first;         // indices of special_tokens
  std::array<bool, 256> special_start{};  // bytes that a special token begins with
};

// Fills in the derived tables. Throws Error when the parts contradict each other: a duplicate
// token, a merge whose result is not its parts joined, a special token that is empty or not at its
// id. Whoever makes a Tokenizer from parts calls this last.
void index_tokenizer(Tokenizer& tokenizer);

// Appends control tokens to the vocabulary. index_tokenizer is to follow.
void add_special_tokens(Tokenizer& tokenizer, std::span<const std::string> contents);

// Ids 0 to 255 are the bytes; the special tokens follow.
Tokenizer byte_tokenizer(std::span<const std::string> special_tokens = {});

// One token for each character in the text, in order of code points; the special tokens follow, and
// are not part of the text. Throws Error, naming the offset, when the text is not UTF-8.
Tokenizer train_char_tokenizer(std::string_view text,
                               std::span<const std::string> special_tokens = {});

// Called now and then with how many of the wanted merges are learned.
using TokenizerProgress = std::function<void(int merges_done, int merges_wanted)>;

// Ids 0 to 255 are the bytes, then come the merges, then the special tokens; vocab_size counts them
// all. Fewer come out where no pair is left that occurs twice. See bpe_train.h for the rules.
Tokenizer train_bpe_tokenizer(std::string_view text, int vocab_size,
                              std::span<const std::string> special_tokens = {},
                              const TokenizerProgress& progress = {});

struct EncodeOptions {
  // False treats the text of special tokens as any other text: for input from people who are not
  // to end a document, or a turn in a conversation, by typing so.
  bool allow_special = true;
  int threads = 1;  // share the work out; the tokens are the same
};

// Throws Error, naming the offset and the character or byte, where the tokenizer has no token.
std::vector<int> encode(const Tokenizer& tokenizer, std::string_view text,
                        const EncodeOptions& options = {});

// The tokens of each text. Faster than one call after another, since what was learned of the words
// of one text serves the next. Throws as encode does; the offset is that in the text.
std::vector<std::vector<int>> encode_all(const Tokenizer& tokenizer,
                                         std::span<const std::string_view> texts,
                                         const EncodeOptions& options = {});

struct DecodeOptions {
  bool skip_control = false;  // leave out special tokens that are marked as control
};

// The tokens' bytes, joined. They need not be valid UTF-8 (replace_invalid_utf8 makes them so).
std::string decode(const Tokenizer& tokenizer, std::span<const int> ids,
                   const DecodeOptions& options = {});

inline int vocab_size(const Tokenizer& tokenizer) {
  return static_cast<int>(tokenizer.vocabulary.size());
}

// The bytes that one token stands for. Throws Error when the id is out of range.
std::string_view token_bytes(const Tokenizer& tokenizer, int id);

// The special token of that content, or nothing.
const SpecialToken* find_special(const Tokenizer& tokenizer, std::string_view content);

// Decoding one token at a time for a reader who watches. A character may be spread over several
// tokens: the bytes of one that is not complete are held back.
struct StreamDecoder {
  std::string held;
};

// The text that the next token makes certain; may be empty. All parts and the last, joined, are
// what decode gives.
std::string stream_token(StreamDecoder& decoder, const Tokenizer& tokenizer, int id);

// What was still held at the end: the beginning of a character that never came.
std::string stream_end(StreamDecoder& decoder);

// A stretch of text between special tokens, or (id >= 0) a special token itself.
struct TextPiece {
  std::string_view text;
  int id = -1;
};

// The piece that begins at byte `begin`, which must lie inside the text.
TextPiece next_piece(const Tokenizer& tokenizer, std::string_view text, std::size_t begin);

}  // namespace tinygpt
