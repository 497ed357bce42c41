#include "tinygpt/text/corpus.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"

using namespace tinygpt;

namespace {

// The definition, tried at every pair of places.
std::size_t shared_by_trying(std::string_view a, std::string_view b) {
  std::size_t best = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < b.size(); ++j) {
      std::size_t n = 0;
      while (i + n < a.size() && j + n < b.size() && a[i + n] == b[j + n]) ++n;
      best = std::max(best, n);
    }
  }
  return best;
}

std::string random_text(Random& random, std::size_t length, std::uint64_t letters) {
  std::string text;
  for (std::size_t i = 0; i < length; ++i) text += static_cast<char>('a' + random.below(letters));
  return text;
}

}  // namespace

TEST_CASE("documents stand between end-of-text marks", "[corpus]") {
  using Documents = std::vector<std::string_view>;
  CHECK(split_documents("one<|endoftext|>two") == Documents{"one", "two"});
  CHECK(split_documents("\n one\r\n<|endoftext|>\n<|endoftext|>\ntwo\nlines\n<|endoftext|>\n") ==
        Documents{" one", "two\nlines"});
  CHECK(split_documents("<|endoftext|>").empty());
  CHECK(split_documents("").empty());
}

TEST_CASE("a text without documents is split by position", "[corpus]") {
  const std::string text(1000, 'x');
  const TextSplit split = split_text(text, 0.1);
  CHECK_FALSE(split.has_documents);
  REQUIRE(split.train.size() == 1);
  REQUIRE(split.validation.size() == 1);
  CHECK(split.train[0].size() == 900);
  CHECK(split.validation[0].size() == 100);
  CHECK(split.train[0].data() + 900 == split.validation[0].data());
}

TEST_CASE("a text is never split inside a character", "[corpus]") {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "\xF0\x9F\x99\x82";  // one character of four bytes
  for (const double share : {0.1, 0.11, 0.123, 0.5, 0.501, 0.503, 0.9}) {
    const TextSplit split = split_text(text, share);
    CHECK(split.train[0].size() % 4 == 0);
    CHECK(split.train[0].size() + split.validation[0].size() == text.size());
  }
}

TEST_CASE("a text with documents is split between two of them", "[corpus]") {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "document " + std::to_string(i) + "\n<|endoftext|>\n";
  const TextSplit split = split_text(text, 0.1);
  CHECK(split.has_documents);
  REQUIRE(split.train.size() == 36);
  REQUIRE(split.validation.size() == 4);
  CHECK(split.train.back() == "document 35");
  CHECK(split.validation.front() == "document 36");
  CHECK(split_text("a<|endoftext|>b", 0.001).validation.size() == 1);
  CHECK(split_text("a<|endoftext|>b", 0.999).train.size() == 1);
}

TEST_CASE("a text that leaves a split empty is refused", "[corpus]") {
  CHECK_THROWS_WITH(split_text("", 0.1), ContainsSubstring("too short"));
  CHECK_THROWS_WITH(split_text("x", 0.5), ContainsSubstring("too short"));
  CHECK_THROWS_WITH(split_text("\xF0\x9F\x99\x82", 0.5), ContainsSubstring("too short"));
  CHECK_THROWS_WITH(split_text("one<|endoftext|>", 0.1), ContainsSubstring("two documents"));
  CHECK_THROWS_WITH(split_text("<|endoftext|>", 0.1), ContainsSubstring("two documents"));
}

TEST_CASE("the longest shared run is the one that trying every pair of places finds", "[corpus]") {
  Random random{11};
  for (int round = 0; round < 300; ++round) {
    const std::uint64_t letters = 1 + random.below(4);
    const std::string text = random_text(random, random.below(40), letters);
    const std::vector<std::string> texts = {random_text(random, random.below(60), letters),
                                            random_text(random, random.below(60), letters)};
    const std::vector<std::string_view> documents(texts.begin(), texts.end());
    const SharedRun run = longest_shared_run(text, documents);
    INFO("text " << text << ", documents " << texts[0] << " " << texts[1]);
    REQUIRE(run.length ==
            std::max(shared_by_trying(text, texts[0]), shared_by_trying(text, texts[1])));
    // It is where it says, in the text and in the document.
    REQUIRE(run.at + run.length <= text.size());
    const std::string_view passage = std::string_view(text).substr(run.at, run.length);
    REQUIRE(documents[run.document].find(passage) != std::string_view::npos);
  }
}

TEST_CASE("a shared run does not reach over the end of a document", "[corpus]") {
  const std::vector<std::string_view> documents = {"xxab", "cdxx"};
  CHECK(longest_shared_run("abcd", documents).length == 2);
  const std::vector<std::string_view> whole = {"one", "some abcd here"};
  const SharedRun run = longest_shared_run("abcd", whole);
  CHECK(run.length == 4);
  CHECK(run.document == 1);
  CHECK(longest_shared_run("\xFF\x80\xFF", std::vector<std::string_view>{"a\x80\xFF"}).length == 2);
}
