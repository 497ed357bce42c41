#include "tinygpt/text/corpus.h"

#include <algorithm>
#include <array>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

// The suffix automaton of a text: a state for each set of passages that end at the same places.
// Blumer et al., "The smallest automaton recognizing the subwords of a text" (1985).
struct State {
  std::array<int, 256> next;
  int link = -1;   // the state of the longest suffix that ends at more places
  int length = 0;  // of the longest passage of the state
  int end = 0;     // where one of its passages ends in the text
};

int add_state(std::vector<State>& states, const State& made) {
  states.push_back(made);
  return static_cast<int>(states.size()) - 1;
}

State& at(std::vector<State>& states, int i) { return states[static_cast<std::size_t>(i)]; }

// Extends the automaton by one character; `last` is the state of the whole text so far.
int extend(std::vector<State>& states, int last, unsigned char c) {
  State made;
  made.next.fill(-1);
  made.length = at(states, last).length + 1;
  made.end = made.length;
  const int added = add_state(states, made);
  int p = last;
  for (; p >= 0 && at(states, p).next[c] < 0; p = at(states, p).link) {
    at(states, p).next[c] = added;
  }
  if (p < 0) {
    at(states, added).link = 0;
    return added;
  }
  const int q = at(states, p).next[c];
  if (at(states, q).length == at(states, p).length + 1) {
    at(states, added).link = q;
    return added;
  }
  // q's longer passages end at fewer places than the one through p: they part ways.
  State half = at(states, q);
  half.length = at(states, p).length + 1;
  const int clone = add_state(states, half);
  for (; p >= 0 && at(states, p).next[c] == q; p = at(states, p).link) {
    at(states, p).next[c] = clone;
  }
  at(states, q).link = clone;
  at(states, added).link = clone;
  return added;
}

std::vector<State> suffix_automaton(std::string_view text) {
  State root;
  root.next.fill(-1);
  std::vector<State> states = {root};
  states.reserve(2 * text.size() + 1);
  int last = 0;
  for (const char c : text) last = extend(states, last, static_cast<unsigned char>(c));
  return states;
}

}  // namespace

std::vector<std::string_view> split_documents(std::string_view text) {
  std::vector<std::string_view> all;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find(kEndOfText, start), text.size());
    std::string_view document = text.substr(start, end - start);
    const auto is_break = [](char c) { return c == '\n' || c == '\r'; };
    while (!document.empty() && is_break(document.front())) document.remove_prefix(1);
    while (!document.empty() && is_break(document.back())) document.remove_suffix(1);
    if (!document.empty()) all.push_back(document);
    start = end + kEndOfText.size();
  }
  return all;
}

TextSplit split_text(std::string_view text, double validation_share) {
  TextSplit split;
  if (text.find(kEndOfText) == std::string_view::npos) {
    auto cut = static_cast<std::size_t>(static_cast<double>(text.size()) * (1 - validation_share));
    // Not inside a character of UTF-8: its further bytes are 10xxxxxx.
    while (cut > 0 && cut < text.size() && (text[cut] & 0xC0) == 0x80) --cut;
    check(cut > 0 && cut < text.size(),
          "the text is too short: nothing could be held out for validation");
    split.train = {text.substr(0, cut)};
    split.validation = {text.substr(cut)};
    return split;
  }
  split.has_documents = true;
  const std::vector<std::string_view> all = split_documents(text);
  check(all.size() >= 2, "fewer than two documents: nothing could be held out for validation");
  const auto share = static_cast<std::size_t>(static_cast<double>(all.size()) * validation_share);
  const std::size_t held_out =
      std::clamp<std::size_t>(share, 1, std::min<std::size_t>(20'000, all.size() - 1));
  const auto first_held_out = all.end() - static_cast<std::ptrdiff_t>(held_out);
  split.train.assign(all.begin(), first_held_out);
  split.validation.assign(first_held_out, all.end());
  return split;
}

SharedRun longest_shared_run(std::string_view text, std::span<const std::string_view> documents) {
  const std::vector<State> states = suffix_automaton(text);
  SharedRun best;
  for (std::size_t d = 0; d < documents.size(); ++d) {
    int state = 0, length = 0;  // the longest suffix read so far that stands in the text
    for (const char byte : documents[d]) {
      const auto c = static_cast<unsigned char>(byte);
      while (state > 0 && states[static_cast<std::size_t>(state)].next[c] < 0) {
        state = states[static_cast<std::size_t>(state)].link;
        length = states[static_cast<std::size_t>(state)].length;
      }
      const int next = states[static_cast<std::size_t>(state)].next[c];
      if (next < 0) continue;
      state = next;
      ++length;
      if (static_cast<std::size_t>(length) <= best.length) continue;
      best.length = static_cast<std::size_t>(length);
      best.at = static_cast<std::size_t>(states[static_cast<std::size_t>(state)].end) - best.length;
      best.document = d;
    }
  }
  return best;
}

}  // namespace tinygpt
