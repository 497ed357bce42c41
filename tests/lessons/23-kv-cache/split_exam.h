// What the first kernel of decoding leaves, right or with one thing wrong.
#pragma once

#include <utility>

#include "tests/lessons/23-kv-cache/decode_exam.h"

namespace tinygpt::lessons {

inline constexpr int kKeys = 64;  // of a stretch: ref_cuda::kStretch

// partial [N, NH, stretches, HS + 2], right or with one thing wrong.
struct SplitSlip {
  int more_keys = 0;
  bool sequence_is_row = false, first_sequence = false, all_keys = false;
  bool group_modulo = false, unscaled = false, keys_as_values = false;
  bool divided = false;  // by the sum already
  bool acc_not_shrunk = false, sum_not_shrunk = false;
  bool lane_dot = false;             // each lane has its own share of the dot product
  bool position_of_stretch = false;  // the stretch begins at 0
  bool position_of_first = false, sequence_of_first = false;
  bool largest_from_zero = false, largest_behind_sum = false, one_pass_of_lanes = false;
  bool by_head_size = false;  // scores divided by HS
  bool narrow_rows = false;   // of qkv: NH * HS
  bool query_of_first_row = false, query_of_first_head = false, close_queries = false;
  bool first_group = false, times_root = false, values_as_keys = false;
  bool nothing_shrinks = false, no_largest = false, acc_assigned = false;
  bool begins_at_stretch = false;  // at key `stretch`

  std::int64_t query_at(const DecodeCase& c, int n, int h) const {
    const std::int64_t row = narrow_rows ? std::int64_t{c.NH} * c.HS : c.row();
    const std::int64_t head = query_of_first_head ? 0 : h * (close_queries ? 1 : c.HS);
    return (query_of_first_row ? 0 : n * row) + head;
  }
  double divisor(int HS) const {
    if (times_root) return 1 / std::sqrt(HS);
    return unscaled ? 1.0 : by_head_size ? HS : std::sqrt(HS);
  }
};

inline Values split(const DecodeCase& c, const Values& qkv, const Values& k, const Values& v,
                    const SplitSlip& slip = {}, Values* magnitude = nullptr) {
  Values all;
  const int stretches = (c.longest() + kKeys - 1) / kKeys;
  const double unknown = std::nan("");
  for (int n = 0; n < c.N(); ++n) {
    const auto at = static_cast<std::size_t>(n);
    const int s = slip.sequence_is_row     ? n
                  : slip.first_sequence    ? 0
                  : slip.sequence_of_first ? c.sequence[0]
                                           : c.sequence[at];
    const int last = c.position[slip.position_of_first ? 0 : at];
    for (int h = 0; h < c.NH; ++h) {
      const int g = slip.group_modulo ? h % c.NKV : slip.first_group ? 0 : h / (c.NH / c.NKV);
      for (int i = 0; i < stretches; ++i) {
        const int begin = slip.position_of_stretch ? 0 : slip.begins_at_stretch ? i : i * kKeys;
        int end = std::min((i + 1) * kKeys, last + 1 + slip.more_keys);
        if (slip.all_keys) end = std::min((i + 1) * kKeys, c.capacity);
        const bool there = i * kKeys <= c.position[at] && s < c.S && end <= c.capacity;
        Values acc(static_cast<std::size_t>(c.HS)), size(acc);
        double largest = slip.largest_from_zero ? 0 : -INFINITY, sum = 0;
        const std::int64_t query = slip.query_at(c, n, h);
        for (int u = begin; there && u < end; ++u) {
          double dot = 0;
          for (int d = 0; d < c.HS; d += slip.lane_dot ? 32 : 1) {
            dot += qkv[static_cast<std::size_t>(query + d)] *
                   (slip.values_as_keys ? v : k)[c.place(s, g, u) + static_cast<std::size_t>(d)];
          }
          const double score = dot / slip.divisor(c.HS);
          const double before = largest;
          largest = std::max(largest, score);
          const double shrink = slip.nothing_shrinks ? 1.0 : std::exp(before - largest);
          const double p = std::exp(score - (slip.no_largest ? 0 : largest));
          sum = sum * (slip.sum_not_shrunk ? 1.0 : shrink) + p;
          for (std::size_t d = 0; d < acc.size(); ++d) {
            const double term = p * (slip.keys_as_values ? k : v)[c.place(s, g, u) + d];
            acc[d] = acc[d] * (slip.acc_not_shrunk ? 1.0 : slip.acc_assigned ? 0 : shrink) + term;
            size[d] = size[d] * shrink + std::abs(term);
          }
        }
        if (slip.one_pass_of_lanes && c.HS > 32) std::fill(acc.begin() + 32, acc.end(), 0.0);
        if (slip.lane_dot) std::fill(acc.begin() + 1, acc.end(), unknown);  // of other lanes
        for (std::size_t d = 0; d < acc.size(); ++d) {
          all.push_back(there ? acc[d] / (slip.divided ? sum : 1.0) : unknown);
          if (magnitude != nullptr) magnitude->push_back(size[d]);
        }
        const auto [first, second] =
            slip.largest_behind_sum ? std::pair(sum, largest) : std::pair(largest, sum);
        all.push_back(there ? first : unknown);
        all.push_back(there ? second : unknown);
        if (magnitude != nullptr) magnitude->insert(magnitude->end(), {std::abs(largest), sum});
      }
    }
  }
  return all;
}

struct NamedSplitSlip {
  SplitSlip slip;
  const char* nudge;
};

inline const std::vector<NamedSplitSlip> kSplitSlips = {
    {{.more_keys = -1},
     "The position is off by one: a row sees its own key, too. Its last key is position[n]."},
    {{.more_keys = 1},
     "The position is off by one: the last key is position[n]. Yours takes one more, where there "
     "is nothing yet, or what another text has left."},
    {{.all_keys = true}, "A stretch ends at position[n], where the row's text ends."},
    {{.sequence_is_row = true},
     "This is the cache of another sequence: row n belongs to sequence[n], not to sequence n."},
    {{.first_sequence = true},
     "This is the cache of another sequence: every row reads sequence 0. Row n belongs to "
     "sequence[n]."},
    {{.group_modulo = true},
     "The group index: head h uses key-value head h / (NH / NKV), since neighbours share one; "
     "yours is h % NKV."},
    {{.unscaled = true}, "The scores are not scaled: times `scale`, which is 1 / sqrt(HS)."},
    {{.keys_as_values = true}, "The keys are used as values."},
    {{.lane_dot = true},
     "Each lane has its own share of the dot product: warp_sum makes one score of them, for all "
     "32."},
    {{.divided = true},
     "You divide by the stretch's sum already. Other stretches follow: decode_combine divides, by "
     "the sum of all."},
    {{.acc_not_shrunk = true},
     "What acc holds must shrink whenever a larger score turns up: times exp(before - largest)."},
    {{.sum_not_shrunk = true},
     "The sum must shrink whenever a larger score turns up: times exp(before - largest)."},
    {{.query_of_first_row = true},
     "Every row asks with the query of row 0: a row of qkv has (NH + 2 NKV) * HS numbers."},
    {{.query_of_first_head = true},
     "Every head asks with the query of head 0: head h has its own at h * HS."},
    {{.close_queries = true},
     "Queries are taken to be one number apart: the query of head h begins at h * HS."},
    {{.first_group = true}, "Every head uses key-value head 0. Head h uses h / (NH / NKV)."},
    {{.times_root = true}, "The scores are divided by `scale`: times it, which is 1 / sqrt(HS)."},
    {{.values_as_keys = true}, "The scores are made from v: a score is query times key."},
    {{.nothing_shrinks = true},
     "Nothing shrinks: is exp(before - largest) made with the largest score from before this key?"},
    {{.no_largest = true},
     "p is exp(score), and overflows soon: exp(score - largest), as the online softmax has it."},
    {{.acc_assigned = true},
     "acc holds the last key alone: what was there shrinks, and p v is added to it."},
    {{.begins_at_stretch = true}, "Stretch i begins at key i here: it begins at i * kStretch."},
    {{.position_of_stretch = true},
     "Every stretch begins at key 0: stretch i begins at i * kStretch."},
    {{.position_of_first = true},
     "Every row sees as many keys as row 0. Each has a position of its own: position[n]."},
    {{.sequence_of_first = true},
     "This is the cache of another sequence: every row reads that of row 0. Row n belongs to "
     "sequence[n]."},
    {{.largest_from_zero = true},
     "The largest score begins at 0, and not every score is above that: begin at -INFINITY."},
    {{.largest_behind_sum = true},
     "The two last numbers have changed places: partial[HS] is the largest score, partial[HS + 1] "
     "the sum."},
    {{.one_pass_of_lanes = true},
     "A head may be wider than a warp: lane i has the numbers i, i + 32, ..."},
    {{.by_head_size = true}, "The scores are divided by HS; its square root is asked for."},
    {{.narrow_rows = true},
     "Rows of qkv are taken to be NH * HS apart. A row has keys and values, too: the next one is "
     "(NH + 2 NKV) * HS further on."},
};

}  // namespace tinygpt::lessons
