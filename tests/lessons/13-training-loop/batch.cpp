// Grades exercises/13-training-loop/batch.cpp.
#include "solutions/13-training-loop/batch.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

constexpr int kBehind = -7;  // what lies behind the text

struct Windows {
  std::vector<int> tokens, targets;
};

// Rows from these starts; target t is `shift` tokens behind token t.
Windows windows(const std::vector<int>& text, const std::vector<std::int64_t>& starts, int T,
                int shift) {
  const auto at = [&](std::int64_t i) {
    const bool inside = i >= 0 && i < static_cast<std::int64_t>(text.size());
    return inside ? text[static_cast<std::size_t>(i)] : kBehind;
  };
  Windows w;
  for (const std::int64_t start : starts) {
    for (int t = 0; t < T; ++t) {
      w.tokens.push_back(at(start + t));
      w.targets.push_back(at(start + t + shift));
    }
  }
  return w;
}

// B starts below N - T + more, as a wrong count of windows would draw them.
std::vector<std::int64_t> drawn(Random random, std::int64_t below, int B) {
  std::vector<std::int64_t> starts;
  for (int b = 0; b < B && below > 0; ++b) {
    starts.push_back(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(below))));
  }
  return starts;
}

std::vector<int> transposed(const std::vector<int>& rows, int B, int T) {
  std::vector<int> out(rows.size());
  for (int b = 0; b < B; ++b) {
    for (int t = 0; t < T; ++t) {
      out[static_cast<std::size_t>(t * B + b)] = rows[static_cast<std::size_t>(b * T + t)];
    }
  }
  return out;
}

using Slips = std::vector<Exam::Slip<std::vector<int>>>;

Slips token_slips(const std::vector<int>& text, const std::vector<std::int64_t>& starts,
                  const Random& random, const std::vector<int>& before, int B, int T) {
  const auto room = static_cast<std::int64_t>(text.size()) - T;
  const std::vector<std::int64_t> one(starts.size(), starts.empty() ? 0 : starts[0]);
  // A start drawn for each token, of which the row's first one is used; and one start for all rows,
  // each beginning where the one before it ends.
  std::vector<std::int64_t> of_tokens = drawn(random, room, B * T), behind = one, later = starts;
  for (std::size_t b = 0; b < starts.size(); ++b) {
    of_tokens[b] = of_tokens[b * static_cast<std::size_t>(T)];
    behind[b] = (behind[b] + static_cast<std::int64_t>(b) * T) % room;
    ++later[b];
  }
  of_tokens.resize(starts.size());
  std::vector<std::int64_t> aligned = drawn(random, room / std::max(T, 1), B);
  for (std::int64_t& start : aligned) start *= T;
  Slips slips;
  if (!before.empty()) {
    slips.push_back({before,
                     "This is the batch of the call before, once more. The random state must move "
                     "on: draw from `random` itself, not from a copy."});
  }
  const auto add = [&](const std::vector<std::int64_t>& wrong, const char* nudge) {
    slips.push_back({windows(text, wrong, T, 1).tokens, nudge});
  };
  add(one, "All rows show the same window: draw a start for each row.");
  add(drawn(random, room + 1, B),
      "These are starts below N - T + 1. The last of them has no target for its last token: "
      "text[N] is behind the end. Count for N = 4, T = 3: one window.");
  add(drawn(random, room - 1, B),
      "These are starts below N - T - 1, so the last window is never drawn, and the text's last "
      "token is never a target. Count for N = 4, T = 3: one window, and below(1) is 0.");
  add(drawn(random, room + T, B),
      "These starts leave no room for the window: the last one that fits is N - T - 1.");
  add(of_tokens,
      "The rows are windows, but more than one number was drawn for each: one row, one number.");
  add(behind,
      "Only the first start was drawn; each row begins where the one before it ends. Draw one for "
      "each row.");
  add(later, "Every window begins one token too late: below(N - T) counts from 0, too.");
  add(aligned, "Windows start at multiples of T here; they may start anywhere.");
  slips.push_back({transposed(windows(text, starts, T, 1).tokens, B, T),
                   "The layout is [B, T]: tokens[b * T + t]."});
  return slips;
}

void examine_batches(Exam& exam, const std::vector<int>& text, int B, int T, int calls) {
  Random random{42, 5, 1}, theirs = random;
  std::vector<int> before;
  // The text with something recognisable behind its end.
  std::vector<int> padded = text;
  padded.resize(text.size() + 2 * static_cast<std::size_t>(T) + 2, kBehind);
  const std::span<const int> shown(padded.data(), text.size());
  const auto size = static_cast<std::size_t>(B) * static_cast<std::size_t>(T);
  for (int call = 0; call < calls; ++call) {
    exam.call(fmt::format("next_batch(text of {} tokens, B={}, T={}){}", text.size(), B, T,
                          call == 0 ? "" : fmt::format(", call {} with one random", call + 1)));
    std::vector<int> tokens(size + 8, -1), targets(size + 8, -1);
    ref::next_batch(std::span(tokens).first(size), std::span(targets).first(size), shown, B, T,
                    theirs);
    const bool outside = std::any_of(tokens.begin() + static_cast<std::ptrdiff_t>(size),
                                     tokens.end(), [](int v) { return v != -1; }) ||
                         std::any_of(targets.begin() + static_cast<std::ptrdiff_t>(size),
                                     targets.end(), [](int v) { return v != -1; });
    exam.expect_true(!outside, "something was written behind the end of tokens or targets",
                     "Both have B * T places: row b begins at b * T.");
    tokens.resize(size), targets.resize(size);
    const auto starts = drawn(random, static_cast<std::int64_t>(text.size()) - T, B);
    const Windows expected = windows(text, starts, T, 1);
    exam.expect_equal("tokens", tokens, expected.tokens,
                      token_slips(text, starts, random, before, B, T));
    std::vector<int> wrapped = expected.targets, last_only = expected.targets;
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t t = i % static_cast<std::size_t>(T);
      if (t + 1 == static_cast<std::size_t>(T)) {
        wrapped[i] = expected.tokens[i - t];
      } else {
        last_only[i] = -1;
      }
    }
    exam.expect_equal(
        "targets", targets, expected.targets,
        {{expected.tokens,
          "The targets are the tokens themselves. A model that copies its input would have a loss "
          "of 0 and could write nothing: the target of a token is the token after it."},
         {windows(text, starts, T, -1).targets, "The targets are shifted the wrong way."},
         {windows(text, starts, T, T).targets,
          "The targets begin where the window ends. Every token has one: the token after it."},
         {windows(text, starts, T, 2).targets, "The targets are shifted by two."},
         {wrapped,
          "The last target of each row is its first token. The text goes on behind the window: "
          "text[start + T]."},
         {last_only,
          "Only the last token of a row has a target here. Every token has one: the "
          "token after it."}});
    for (int b = 0; b < B; ++b) random.below(text.size() - static_cast<std::size_t>(T));
    exam.expect_equal("random.counter behind the call", static_cast<std::int64_t>(theirs.counter),
                      static_cast<std::int64_t>(random.counter),
                      {{static_cast<std::int64_t>(random.counter) - B,
                        "The random state did not move: draw from `random`, not from a copy."}});
    before = tokens;
  }
}

std::vector<int> counting(int n) {
  std::vector<int> text;
  for (int i = 0; i < n; ++i) text.push_back(100 + i);
  return text;
}

void examine(Exam& exam) {
  examine_batches(exam, counting(8), 5, 3, 3);
  examine_batches(exam, counting(4), 6, 1, 2);
  examine_batches(exam, counting(4), 3, 3, 2);  // one window alone fits
  examine_batches(exam, counting(2), 1, 1, 1);
  examine_batches(exam, counting(9), 0, 4, 1);
  examine_batches(exam, random_tokens(257, 11, 3), 7, 64, 4);
  examine_batches(exam, random_tokens(1009, 5, 4), 31, 13, 2);
}

}  // namespace

std::vector<Task> tasks() { return {{"13.next_batch", examine}}; }

}  // namespace tinygpt::lessons
