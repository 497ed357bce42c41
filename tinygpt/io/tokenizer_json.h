// tokenizer.json, the file in which Hugging Face's `tokenizers` keeps a tokenizer.
//
// What this project's three kinds of tokenizer are in that format:
//   byte       model BPE without merges, pre-tokenizer and decoder ByteLevel, use_regex false
//   bpe        model BPE, pre-tokenizer and decoder ByteLevel: what GPT-2 published
//              or with Digits before the pre-tokenizer: SmolLM's
//   character  model BPE without merges, no pre-tokenizer, decoder Fuse
// `tokenizers` gives the same ids for such a file as encode() does.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "tinygpt/text/tokenizer.h"

namespace tinygpt {

// Throws Error, naming the file, the field and what is wrong with it, for whatever is not one of
// the three kinds: other models, normalizers, pre-tokenizers, post-processors and token options,
// which would change the ids if they were ignored. `truncation` and `padding` shape batches, and
// are.
Tokenizer load_tokenizer(const std::filesystem::path& path);

// The same for text that is in memory; `name` stands for the path in messages.
Tokenizer parse_tokenizer_json(std::string_view json, const std::string& name);

// The same for JSON that is parsed already.
Tokenizer tokenizer_from_json(const nlohmann::json& json, const std::string& name);

// A model folder's tokenizer: tokenizer.json, or where there is none vocab.json and merges.txt,
// the two files in which GPT-2 was published. Those name no special tokens: "<|endoftext|>" is one
// where the vocabulary has it.
Tokenizer load_folder_tokenizer(const std::filesystem::path& folder);

// Atomically: an old file stays whole until the new one is.
void save_tokenizer(const std::filesystem::path& path, const Tokenizer& tokenizer);

std::string tokenizer_to_json(const Tokenizer& tokenizer);

}  // namespace tinygpt
