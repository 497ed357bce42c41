#include "tinygpt/adapt/quantize.h"

#include <algorithm>
#include <cmath>

#include "solutions/21-quantization/gptq.h"
#include "tests/model/tiny.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/adapt/calibration.h"
#include "tinygpt/adapt/quantize_matrix.h"
#include "tinygpt/core/error.h"
#include "tinygpt/model/activations.h"
#include "tinygpt/text/tokenizer.h"

using namespace tinygpt;

namespace {

constexpr int kTime = 12, kSequences = 10;

GptConfig config_of(Family family, int kv_heads = 2) {
  GptConfig c;
  c.family = family;
  c.vocab_size = 256;
  c.context_length = 16;
  c.layers = 2;
  c.heads = 2;
  c.kv_heads = family == Family::gpt2 ? 2 : kv_heads;
  c.width = 32;
  c.hidden = 64;
  return c;
}

Gpt<float> make_model(const GptConfig& c, Purpose purpose = Purpose::inference, int batch = 3) {
  Gpt<float> m = make_gpt(c, cpu::ops(), host_memory(), purpose, batch, kTime);
  testing::randomize_parameters(m, 5, 0.15);
  // A few channels with large values, as language models have them.
  for (const BlockOffsets& b : m.layout.blocks) {
    for (const std::int64_t norm : {b.norm1_weight, b.norm2_weight}) {
      for (const int channel : {3, 12, 25}) m.params()[norm + channel] *= 9;
    }
  }
  return m;
}

std::vector<int> tokens_of(const GptConfig& c, int sequences = kSequences) {
  Random random{9};
  return testing::random_tokens(random, sequences * kTime, c.vocab_size);
}

std::vector<float> logits_of(Gpt<float>& m) {
  const std::vector<int> tokens = tokens_of(m.config, 2);
  forward(m, tokens, {}, 2, kTime);
  std::vector<float> logits(static_cast<std::size_t>(kTime * m.config.vocab_size));
  copy_logits(m, 1, logits);
  return logits;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0, all = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += std::pow(double{a[i]} - b[i], 2);
    all += std::pow(double{a[i]}, 2);
  }
  return std::sqrt(sum / all);
}

const Family kFamilies[] = {Family::gpt2, Family::llama};

}  // namespace

TEST_CASE("calibration sees the inputs that a training model keeps", "[quantize]") {
  for (const Family family : kFamilies) {
    const GptConfig c = config_of(family, 1);
    const std::vector<int> tokens = tokens_of(c);
    Gpt<float> model = make_model(c);  // three sequences at once: the last pass has one
    Gpt<float> kept = make_model(c, Purpose::training, kSequences);
    forward(kept, tokens, {}, kSequences, kTime);
    const auto acts =
        plan_activations<float>(c, Purpose::training, kSequences, kTime, kept.arena.data());
    Calibration calibration = start_calibration(model, tokens, kTime);
    for (int l = 0; l < c.layers; ++l) {
      const BlockActivations<float>& a = acts.blocks[static_cast<std::size_t>(l)];
      const float* inputs[] = {a.norm1.out, a.att, a.norm2.out, a.act};
      for (const BlockLinear linear : kBlockLinears) {
        const LinearInputs sums = collect_inputs(model, calibration, l, linear);
        const float* x = inputs[static_cast<int>(linear)];
        const auto C = static_cast<std::size_t>(sums.cols);
        const auto N = static_cast<std::size_t>(kSequences * kTime);
        REQUIRE(sums.count == kSequences * kTime);
        for (const std::size_t i : {std::size_t{0}, C / 2, C - 1}) {
          double mean = 0;
          for (std::size_t n = 0; n < N; ++n) mean += std::fabs(x[n * C + i]) / double(N);
          CHECK(std::fabs(sums.magnitude[i] - mean) < 1e-4 * (1 + mean));
          for (std::size_t j = 0; j < C; ++j) {
            double sum = 0, size = 0;
            for (std::size_t n = 0; n < N; ++n) {
              sum += double{x[n * C + i]} * x[n * C + j];
              size += std::fabs(double{x[n * C + i]} * x[n * C + j]);
            }
            REQUIRE(std::fabs(sums.hessian[i * C + j] - sum) < 1e-4 * (size + 1e-3));
          }
        }
      }
      pass_block(model, calibration, l);
    }
  }
}

TEST_CASE("awq's scales, folded but not rounded, leave the logits as they are", "[quantize]") {
  // A rounding that changes nothing where the scales are applied, but coarse where they are chosen.
  for (const GptConfig& c :
       {config_of(Family::gpt2), config_of(Family::llama, 2), config_of(Family::llama, 1)}) {
    Gpt<float> model = make_model(c);
    const std::vector<float> before = logits_of(model);
    QuantizeSettings s;
    s.method = QuantizeMethod::awq;
    s.table = GgufType::f16;
    s.format = {8, 1, true};  // a scale for each weight: only its half precision rounds
    int calls = 0;
    s.quantizers.awq_scales = [](float* scales, const float*, const float*, const double*,
                                 const RoundRows&, int, int cols) {
      for (int i = 0; i < cols; ++i) scales[i] = 0.25f + 0.125f * static_cast<float>(i % 31);
      return 0.5;
    };
    const QuantizedModel q =
        quantize_model(model, tokens_of(c), kTime, s, [&](double, const std::string&) { ++calls; });
    CHECK(calls == 4 * c.layers + 1);
    CHECK(distance(before, logits_of(model)) < 5e-3);
    // The scales did go somewhere: unfolded weights times them give other logits.
    int scaled = 0;
    for (const MatrixReport& r : q.matrices) scaled += r.alpha == 0.5;
    const int per_block = c.family == Family::gpt2 ? 3 : c.kv_heads == c.heads ? 4 : 3;
    CHECK(scaled == per_block * c.layers);
  }
}

TEST_CASE("gptq and awq change a model's outputs less than round to nearest", "[quantize]") {
  for (const Family family : kFamilies) {
    const GptConfig c = config_of(family);
    Gpt<float> model = make_model(c);
    const std::vector<float> before = logits_of(model);
    const std::vector<int> tokens = tokens_of(c, 60);
    double errors[3];
    int at = 0;
    for (const QuantizeMethod method :
         {QuantizeMethod::nearest, QuantizeMethod::gptq, QuantizeMethod::awq}) {
      Gpt<float> rounded = make_model(c);
      QuantizeSettings s;
      s.method = method;
      s.rule = usual_rule(method);
      s.table = GgufType::f16;
      const QuantizedModel q = quantize_model(rounded, tokens, kTime, s);
      errors[at++] = distance(before, logits_of(rounded));
      for (const MatrixReport& r : q.matrices) {
        CHECK(r.weight_error >= 0);
        CHECK(r.weight_error < 0.1);
        if (r.name != "wte" && r.name != "head") CHECK(r.output_error >= 0);
      }
    }
    CHECK(errors[1] < 0.9 * errors[0]);
    CHECK(errors[2] < 0.95 * errors[0]);
  }
}

TEST_CASE("awq with clipping changes a model's outputs less than its scales alone", "[quantize]") {
  for (const Family family : kFamilies) {
    const GptConfig c = config_of(family);
    const std::vector<int> tokens = tokens_of(c, 60);
    const auto error_with = [&](ScaleRule rule) {
      Gpt<float> rounded = make_model(c);
      QuantizeSettings s;
      s.method = QuantizeMethod::awq;
      s.rule = rule;
      s.format.group = 0;
      double error = 0;
      for (const MatrixReport& r : quantize_model(rounded, tokens, kTime, s).matrices) {
        if (r.output_error > 0) error += r.output_error;
      }
      return error;
    };
    const double clipped = error_with(ScaleRule::outputs);
    CHECK(clipped < 0.8 * error_with(ScaleRule::absmax));
    CHECK(clipped < error_with(ScaleRule::searched));
  }
}

namespace {

// A search for scales that tries one, and keeps what the rounding made of it.
struct Tried {
  std::vector<float> weight, rounded;
  int rows = 0;
} tried;

double try_scales(float* scales, const float* w, const float*, const double*,
                  const RoundRows& round, int rows, int cols) {
  const auto C = static_cast<std::size_t>(cols);
  for (std::size_t i = 0; i < C; ++i) scales[i] = 0.5f + 0.25f * static_cast<float>(i % 7);
  tried.weight.assign(w, w + static_cast<std::size_t>(rows) * C);
  tried.rounded = tried.weight;
  tried.rows = rows;
  for (std::size_t k = 0; k < tried.rounded.size(); ++k) tried.rounded[k] *= scales[k % C];
  round(tried.rounded.data(), rows, cols);
  return 0.5;
}

}  // namespace

TEST_CASE("awq's scales are compared by the very rounding that follows", "[quantize]") {
  const GptConfig c = config_of(Family::llama);
  Gpt<float> model = make_model(c);
  const Calibration calibration = start_calibration(model, tokens_of(c), kTime);
  for (const ScaleRule rule : {ScaleRule::absmax, ScaleRule::searched, ScaleRule::outputs}) {
    LinearInputs inputs = collect_inputs(model, calibration, 0, BlockLinear::qkv);
    const LinearPlace place = linear_place(model.layout, c, 0, BlockLinear::qkv);
    const float* of = model.params() + place.weight;
    std::vector<float> w(of, of + std::int64_t{place.rows} * place.cols);
    for (int o = 0; o < place.rows; ++o) w[static_cast<std::size_t>(o * place.cols + 4)] = 0;
    QuantizeSettings s;
    s.method = QuantizeMethod::awq;
    s.rule = rule;
    s.quantizers.awq_scales = try_scales;
    double alpha = 0;
    const std::vector<float> scales =
        find_awq_scales(w.data(), place.rows, place.cols, inputs, s, alpha);
    CHECK(alpha == 0.5);
    REQUIRE(tried.rows == place.rows);
    scale_columns(w.data(), place.rows, place.cols, scales, inputs);
    EncodedMatrix encoded;
    quantize_matrix(w.data(), place.rows, place.cols, &inputs, s, encoded);
    CHECK(distance(w, tried.rounded) < 1e-5);
  }
}

TEST_CASE("of a tall matrix awq compares some rows, from its first to its last part",
          "[quantize]") {
  constexpr int kRows = 1000, kCols = 8;
  std::vector<float> w;
  for (int k = 0; k < kRows * kCols; ++k) w.push_back(static_cast<float>(k / kCols + 1));
  LinearInputs inputs{kCols, 1, std::vector<double>(kCols * kCols, 0.0),
                      std::vector<float>(kCols, 1.0f)};
  QuantizeSettings s;
  s.format.group = 0;
  s.quantizers.awq_scales = try_scales;
  double alpha = 0;
  find_awq_scales(w.data(), kRows, kCols, inputs, s, alpha);
  REQUIRE(tried.rows == 128);
  for (int k = 0; k < 128; ++k) {
    const float row = tried.weight[static_cast<std::size_t>(k * kCols)];
    CHECK(std::fabs(row - static_cast<float>(k) * kRows / 128) <= 1);
  }
}

TEST_CASE("the file of a quantized model holds exactly what was measured", "[quantize]") {
  const test::TemporaryFolder folder;
  const Tokenizer tokenizer = byte_tokenizer();
  for (const Family family : kFamilies) {
    const GptConfig c = config_of(family);
    for (const QuantizeMethod method : {QuantizeMethod::q8_0, QuantizeMethod::nearest,
                                        QuantizeMethod::gptq, QuantizeMethod::awq}) {
      Gpt<float> model = make_model(c);
      QuantizeSettings s;
      s.method = method;
      const QuantizedModel q = quantize_model(model, tokens_of(c), kTime, s);
      save_gguf(model, tokenizer, "test", GgufType::q4_0, folder / "m.gguf", q.encoded);
      const GgufFile file = open_gguf(folder / "m.gguf");
      Gpt<float> loaded =
          make_gpt(read_gguf_config(file), cpu::ops(), host_memory(), Purpose::inference, 3, kTime);
      load_gguf(loaded, file);
      CHECK(std::equal(model.params(), model.params() + model.layout.total, loaded.params()));
      std::int64_t bytes = 0;
      for (const GgufTensor& t : file.tensors) bytes += static_cast<std::int64_t>(t.bytes.size());
      CHECK(bytes == q.bytes);
      CHECK(file.find("token_embd.weight")->type == GgufType::q8_0);
      CHECK(file.find("blk.0.ffn_down.weight")->type ==
            (method == QuantizeMethod::q8_0 ? GgufType::q8_0 : GgufType::q4_0));
    }
  }
}

TEST_CASE("a learner's quantizers take the library's place", "[quantize]") {
  const GptConfig c = config_of(Family::gpt2);
  const auto weights_after = [&](GptqQuantize* replaced) {
    Gpt<float> model = make_model(c);
    QuantizeSettings s;
    s.method = QuantizeMethod::gptq;
    s.rule = ScaleRule::absmax;
    s.activation_order = false;
    s.quantizers.gptq_quantize = replaced;
    quantize_model(model, tokens_of(c), kTime, s);
    return std::vector<float>(model.params(), model.params() + model.layout.total);
  };
  CHECK(weights_after(ref::gptq_quantize) == weights_after(nullptr));
  CHECK_THROWS_AS(weights_after([](BlockQ4_0*, const float*, const double*, int, int, double) {
                    throw NotImplemented("21.gptq_quantize");
                  }),
                  Error);
}

TEST_CASE("what cannot be quantized is refused by name", "[quantize]") {
  GptConfig c = config_of(Family::gpt2);
  Gpt<float> model = make_model(c);
  QuantizeSettings s;
  s.method = QuantizeMethod::gptq;
  CHECK_THROWS_AS(quantize_model(model, {}, kTime, s), Error);
  CHECK_THROWS_AS(quantize_model(model, std::vector<int>(kTime + 1, 0), kTime, s), Error);
  CHECK_THROWS_AS(quantize_model(model, std::vector<int>(kTime, c.vocab_size), kTime, s), Error);
  c.width = 48;
  c.hidden = 100;
  Gpt<float> odd = make_gpt(c, cpu::ops(), host_memory(), Purpose::inference, 1, kTime);
  s.method = QuantizeMethod::q8_0;
  try {
    quantize_model(odd, {}, kTime, s);
    FAIL("rows of 48 values have no place in blocks of 32");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find("h.0.attn.qkv.weight") != std::string::npos);
  }
}
