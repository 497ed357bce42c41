// From a text to the two splits of a corpus, and how much of one text is copied from another.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace tinygpt {

// Between documents, and where generation stops.
inline constexpr std::string_view kEndOfText = "<|endoftext|>";

// Views into the text that was split.
struct TextSplit {
  std::vector<std::string_view> train, validation;
  bool has_documents = false;  // each is followed by an end-of-text token
};

// The documents between end-of-text marks, without the line feeds around them and without the empty
// ones.
std::vector<std::string_view> split_documents(std::string_view text);

// The last share of the text is held out: whole documents where the text has end-of-text marks (at
// most 20,000 of them, which is validation enough), else by position, between two characters.
// Throws Error where a split would be empty.
TextSplit split_text(std::string_view text, double validation_share);

// The longest passage of `text` that stands in one of the documents.
struct SharedRun {
  std::size_t at = 0;  // where it begins in `text`
  std::size_t length = 0;
  std::size_t document = 0;  // the first that has it
};

// Time grows with the sum of the lengths. A story whose longest run is all of it was recited.
SharedRun longest_shared_run(std::string_view text, std::span<const std::string_view> documents);

}  // namespace tinygpt
