// The experiments of lesson 02.
#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lessons/support/chart.h"
#include "lessons/support/demo.h"
#include "solutions/02-embedding/embedding.h"
#include "solutions/02-embedding/word_vectors.h"
#include "solutions/03-matmul/matmul.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/core/random.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

double distance(const float* a, const float* b, int C) {
  double sum = 0;
  for (int c = 0; c < C; ++c) sum += (double{a[c]} - b[c]) * (double{a[c]} - b[c]);
  return std::sqrt(sum);
}

double cosine(const float* a, const float* b, int C) {
  double ab = 0, aa = 0, bb = 0;
  for (int c = 0; c < C; ++c) ab += a[c] * b[c], aa += a[c] * a[c], bb += b[c] * b[c];
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0.0;
}

// An embedding by one-hot vectors and a product: out [N, C] = ones [N, V] times table [V, C].
void one_hot_road(float* out, float* ones, const int* tokens, const float* table, int N, int C,
                  int V) {
  ref::one_hot(ones, tokens, N, V);
  ref::matmul_naive(out, ones, table, N, C, V);
}

void worked(const std::vector<Option>&) {
  const char* names[] = {"cat", "kitten", "tractor", "."};
  const std::vector<int> tokens = {0, 1, 2, 3};
  std::vector<float> hot(16), looked_up(8), multiplied(8);
  const std::vector<float> table = {0.9f, 0.4f, 0.8f, 0.5f, -0.6f, 0.9f, 0.1f, -1.0f};  // [4, 2]
  ref::embedding_forward(looked_up.data(), tokens.data(), table.data(), 4, 2, 4);
  one_hot_road(multiplied.data(), hot.data(), tokens.data(), table.data(), 4, 2, 4);
  fmt::print("{:>9}{:>12}{:>14}{:>26}\n", "token", "one-hot", "row of table",
             "one-hot times table");
  for (std::size_t n = 0; n < 4; ++n) {
    fmt::print("{:>9}{:>12}{:>14}{:>26}\n", names[n],
               fmt::format("{:.0f} {:.0f} {:.0f} {:.0f}", hot[4 * n], hot[4 * n + 1],
                           hot[4 * n + 2], hot[4 * n + 3]),
               fmt::format("{:.1f} {:.1f}", looked_up[2 * n], looked_up[2 * n + 1]),
               fmt::format("{:.1f} {:.1f}", multiplied[2 * n], multiplied[2 * n + 1]));
  }
  const auto print = [&](const char* what, auto&& value) {
    fmt::print("{:<28}{:>14.3f}{:>16.3f}\n", what, value(0, 1), value(0, 2));
  };
  fmt::print("\n{:<28}{:>14}{:>16}\n", "", "cat, kitten", "cat, tractor");
  print("distance of one-hot vectors",
        [&](int a, int b) { return distance(hot.data() + 4 * a, hot.data() + 4 * b, 4); });
  print("cosine of one-hot vectors",
        [&](int a, int b) { return cosine(hot.data() + 4 * a, hot.data() + 4 * b, 4); });
  print("distance of table rows",
        [&](int a, int b) { return distance(table.data() + 2 * a, table.data() + 2 * b, 2); });
  print("cosine of table rows",
        [&](int a, int b) { return cosine(table.data() + 2 * a, table.data() + 2 * b, 2); });
}

// A text as numbers of its words, the most frequent first.
struct Words {
  std::vector<std::string> names;
  std::vector<int> text;  // -1 where a sentence ends
  std::vector<double> frequency;
  int find(const std::string& name) const {
    const auto at = std::ranges::find(names, name);
    return at == names.end() ? -1 : static_cast<int>(at - names.begin());
  }
};

Words words_of(const std::string& text) {
  std::vector<std::string> sequence;
  std::map<std::string, int> counts;
  std::string word;
  const auto flush = [&] {
    if (word.empty()) return;
    ++counts[word];
    sequence.push_back(std::exchange(word, ""));
  };
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || std::isalpha(byte)) {
      word += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
    } else {
      flush();
      if (c == '.' || c == '!' || c == '?') sequence.emplace_back();
    }
  }
  flush();
  std::vector<std::pair<int, std::string>> order;
  for (const auto& [name, count] : counts) {
    if (count >= 5) order.emplace_back(-count, name);
  }
  std::ranges::sort(order);
  Words words;
  std::map<std::string, int> number;
  for (const auto& [count, name] : order) {
    number[name] = static_cast<int>(words.names.size());
    words.names.push_back(name);
    words.frequency.push_back(-count);
  }
  for (const std::string& name : sequence) {
    const auto at = number.find(name);
    if (name.empty()) words.text.push_back(-1);
    else if (at != number.end()) words.text.push_back(at->second);
  }
  return words;
}

constexpr int kWidth = 24, kNegatives = 5, kWindow = 3;

struct Vectors {
  std::vector<float> in, out;
};

Vectors start(int V) {
  Random random{1};
  Vectors v{std::vector<float>(static_cast<std::size_t>(V * kWidth)), {}};
  for (float& value : v.in) value = static_cast<float>((random.uniform() - 0.5) / kWidth);
  v.out.assign(v.in.size(), 0.0f);
  return v;
}

// One pass over the text: each word is trained with its neighbours within the window, and against
// words drawn by their frequency to the power 3/4, as in the paper.
void train(Vectors& v, const Words& words, int passes) {
  std::vector<double> sums;
  double sum = 0;
  for (const double count : words.frequency) sums.push_back(sum += std::pow(count, 0.75));
  Random random{2};
  std::vector<int> negatives(kNegatives);
  const auto n = static_cast<int>(words.text.size());
  double total = 0;
  for (const double count : words.frequency) total += count;
  for (int pass = 0; pass < passes; ++pass) {
    double loss = 0;
    std::int64_t steps = 0;
    const float lr =
        0.05f * (1.0f - static_cast<float>(pass) / static_cast<float>(passes)) + 0.002f;
    for (int i = 0; i < n; ++i) {
      const int center = words.text[static_cast<std::size_t>(i)];
      if (center < 0) continue;
      // Frequent words say little: most of their occurrences are skipped.
      const double often = words.frequency[static_cast<std::size_t>(center)] / total / 1e-3;
      if (random.uniform() > std::sqrt(1 / std::max(often, 1.0))) continue;
      for (int j = std::max(0, i - kWindow); j <= std::min(n - 1, i + kWindow); ++j) {
        const int context = words.text[static_cast<std::size_t>(j)];
        if (j == i || context < 0) continue;
        const double near = words.frequency[static_cast<std::size_t>(context)] / total / 1e-3;
        if (random.uniform() > std::sqrt(1 / std::max(near, 1.0))) continue;
        for (int& word : negatives) {
          word = static_cast<int>(std::ranges::upper_bound(sums, random.uniform() * sum) -
                                  sums.begin());
          word = std::min(word, static_cast<int>(sums.size()) - 1);
        }
        loss += ref::skipgram_step(v.in.data(), v.out.data(), center, context, negatives.data(),
                                   kNegatives, kWidth, lr);
        ++steps;
      }
    }
    if ((pass + 1) % 5 != 0 && pass > 0) continue;
    fmt::print("pass {} of {}: {} pairs, loss {:.3f}\n", pass + 1, passes, steps,
               loss / static_cast<double>(std::max<std::int64_t>(steps, 1)));
  }
}

void show_nearest(const char* when, const Vectors& v, const Words& words,
                  const std::vector<std::string>& asked) {
  fmt::print("\n{}\n", when);
  for (const std::string& name : asked) {
    const int word = words.find(name);
    if (word < 0) continue;
    std::string line;
    for (const int other :
         ref::nearest(v.in.data(), word, static_cast<int>(words.names.size()), kWidth, 5)) {
      line +=
          fmt::format("  {} {:.2f}", words.names[static_cast<std::size_t>(other)],
                      cosine(v.in.data() + word * kWidth, v.in.data() + other * kWidth, kWidth));
    }
    fmt::print("  {:<10}{}\n", name, line);
  }
}

// The running example: how alike three words are.
void show_cosines(const Vectors& v, const Words& words) {
  const char* names[] = {"cat", "kitten", "tractor"};
  for (int a = 0; a < 3; ++a) {
    for (int b = a + 1; b < 3; ++b) {
      const int x = words.find(names[a]), y = words.find(names[b]);
      if (x < 0 || y < 0) continue;
      fmt::print("  cosine of {} and {}: {:.2f}\n", names[a], names[b],
                 cosine(v.in.data() + x * kWidth, v.in.data() + y * kWidth, kWidth));
    }
  }
}

// The first two principal components: the plane in which the vectors differ most.
void draw_map(const std::string& path, const std::string& title, const Vectors& v,
              const Words& words, const std::vector<std::vector<std::string>>& groups) {
  std::vector<LabelledPoint> points;
  std::vector<int> rows;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (const std::string& name : groups[g]) {
      if (words.find(name) < 0) continue;
      rows.push_back(words.find(name));
      points.push_back({name, 0, 0, static_cast<int>(g)});
    }
  }
  if (rows.size() < 3) return;
  Eigen::MatrixXd m(static_cast<Eigen::Index>(rows.size()), kWidth);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const float* row = v.in.data() + rows[r] * kWidth;
    double length = 1e-12;
    for (int c = 0; c < kWidth; ++c) length += double{row[c]} * row[c];
    for (int c = 0; c < kWidth; ++c)
      m(static_cast<Eigen::Index>(r), c) = row[c] / std::sqrt(length);
  }
  m.rowwise() -= m.colwise().mean();
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(m, Eigen::ComputeThinV);
  const Eigen::MatrixXd plane = m * svd.matrixV().leftCols(2);
  for (std::size_t r = 0; r < points.size(); ++r) {
    points[r].x = plane(static_cast<Eigen::Index>(r), 0);
    points[r].y = plane(static_cast<Eigen::Index>(r), 1);
  }
  write_map(path, title, points);
}

// A few lines about cat, kitten and tractor, which the stories alone do not bring together.
constexpr const char* kFarm =
    "The cat drank milk. The kitten drank milk. The cat slept on the mat. The kitten slept on the "
    "mat. "
    "The farmer drove the tractor over the field. The tractor pulled a plough over the field. "
    "The cat chased a mouse. The kitten chased a mouse. The kitten is soft and the cat is soft. "
    "The tractor is loud and the farmer is tired. The cat purred on a lap. The kitten purred on a "
    "lap. "
    "The farmer parked the tractor in the barn. The tractor needs fuel. ";

void train_words(const std::vector<Option>& options) {
  const std::string path = as_text(options, "text");
  std::string text;
  if (path.empty()) {
    text = make_stories(static_cast<int>(as_number(options, "stories"))).train;
    for (int i = 0; i < 200; ++i) text += kFarm;
  } else {
    text = read_file(path);
  }
  const Words words = words_of(text);
  check(words.names.size() >= 10,
        "this text is too short: ten words that occur five times are needed");
  fmt::print("{} words, {} of them different\n", words.text.size(), words.names.size());
  Vectors v = start(static_cast<int>(words.names.size()));
  std::vector<std::string> asked = {"cat", "kitten", "tractor", "red", "lily"};
  for (std::string word = as_text(options, "word"); !word.empty(); word.clear()) asked = {word};
  const std::vector<std::vector<std::string>> groups = {
      {"cat", "kitten", "dog", "duck", "pig", "mouse", "frog", "cow"},
      {"tractor", "farmer", "boat", "train", "car", "drum", "kite", "ball"},
      {"red", "blue", "green", "yellow", "gold", "purple"},
      {"lily", "tom", "anna", "ben", "sue", "max", "mia"}};
  show_nearest("nearest before training (word and cosine)", v, words, asked);
  show_cosines(v, words);
  draw_map("lessons-out/02-before.svg", "Word vectors before training", v, words, groups);
  fmt::print("\n");
  train(v, words, static_cast<int>(as_number(options, "passes")));
  show_nearest("nearest after training", v, words, asked);
  show_cosines(v, words);
  draw_map("lessons-out/02-after.svg", "Word vectors after training", v, words, groups);
}

}  // namespace

int main(int argc, char** argv) {
  return run_demo(argc, argv, "Lesson 02: words become vectors",
                  {{"worked", "the numbers of the lesson's worked example", worked},
                   {"words",
                    "learn word vectors by skip-gram, and draw a map of them",
                    train_words,
                    {{"text", "a text file instead of tinytales", ""},
                     {"stories", "tinytales: how many", "3000"},
                     {"passes", "over the text", "15"},
                     {"word", "show the neighbours of this word", ""}}}});
}
