// Whole models in fewer bits, in place.
#include <fmt/format.h>
#include <pybind11/stl.h>

#include "tinygpt/adapt/calibration.h"
#include "tinygpt/adapt/quantize.h"
#include "tinygpt/core/error.h"
#include "tinygpt/python/arrays.h"
#include "tinygpt/python/bindings.h"
#include "tinygpt/python/corpus_files.h"
#include "tinygpt/python/interrupt.h"
#include "tinygpt/python/model_state.h"
#include "tinygpt/text/corpus.h"

namespace tinygpt::python {
namespace {

QuantizeSettings settings_for(const std::string& method, int group, bool symmetric) {
  QuantizeSettings s;
  if (method == "q8_0") s.method = QuantizeMethod::q8_0;
  else if (method == "gptq") s.method = QuantizeMethod::gptq;
  else if (method == "awq") s.method = QuantizeMethod::awq;
  else
    check(method == "q4_0",
          [&] { return fmt::format("method '{}': there are q8_0, q4_0, gptq and awq", method); });
  check(group >= 0, "group: must be at least 0 (0: a whole row)");
  s.format = {4, group, symmetric};
  s.rule = needs_calibration(s) ? ScaleRule::searched : ScaleRule::absmax;
  return s;
}

// Windows of the training text; they begin where documents do, where those are short.
std::vector<int> windows(const CorpusFiles& corpus, const GptConfig& config, int sequences,
                         std::uint64_t seed) {
  check(sequences >= 1 && sequences <= 100'000, "sequences: must be between 1 and 100,000");
  check(vocab_size(*corpus.tokenizer) <= config.vocab_size, [&] {
    return fmt::format("the corpus has {} tokens and the model {}: they do not belong together",
                       vocab_size(*corpus.tokenizer), config.vocab_size);
  });
  const int T = config.context_length;
  const SpecialToken* end = find_special(*corpus.tokenizer, kEndOfText);
  const bool fits = static_cast<double>(corpus.train.size()) <=
                    static_cast<double>(T) * static_cast<double>(corpus.info.train.documents);
  return draw_windows(corpus.train, sequences, T, end != nullptr && fits ? end->id : -1,
                      Random{seed, 0, 0x63616C69});  // "cali", as `tinygpt quantize` draws them
}

py::list reports_of(const QuantizedModel& quantized) {
  py::list all;
  for (const MatrixReport& r : quantized.matrices) {
    py::dict one;
    one["name"] = r.name;
    one["values"] = r.values;
    one["bytes"] = r.bytes;
    one["weight_error"] = r.weight_error;
    one["output_error"] = r.output_error >= 0 ? py::cast(r.output_error) : py::none();
    one["alpha"] = r.alpha >= 0 ? py::cast(r.alpha) : py::none();
    all.append(one);
  }
  return all;
}

py::list quantize(const SharedModel& state, const std::string& method,
                  const std::shared_ptr<CorpusFiles>& corpus, int group, bool symmetric,
                  int sequences, std::uint64_t seed) {
  const QuantizeSettings settings = settings_for(method, group, symmetric);
  check(corpus != nullptr || !needs_calibration(settings), [&] {
    return fmt::format("{} rounds by what the layers see of a text: give it a corpus", method);
  });
  check(state->adapter == nullptr, "an adapter is in use: merge it first, or take it out of use");
  const GptConfig& config = state->gpt.config;
  const QuantizedModel quantized = without_gil([&] {
    std::vector<int> tokens;
    if (corpus != nullptr) tokens = windows(*corpus, config, sequences, seed);
    const Turn turn(*state);
    make_room(*state, Purpose::inference, 1, config.context_length);
    state->gpt.batch = 0;  // what was computed with the old weights is not to be continued
    return quantize_model(state->gpt, tokens, config.context_length, settings,
                          [](double, const std::string&) { check_interrupt(); });
  });
  return reports_of(quantized);
}

}  // namespace

void bind_model_quantizing(py::module_& /*m*/) {
  const py::object model = py::type::of<ModelState>();
  model.attr("quantize") = py::cpp_function(
      &quantize, py::name("quantize"), py::is_method(model), py::arg("method") = "q4_0",
      py::arg("corpus") = py::none(), py::arg("group") = 32, py::arg("symmetric") = true,
      py::arg("sequences") = 128, py::arg("seed") = 1,
      "Rounds every matrix in place: the weights become what 'q8_0', or four bits by 'q4_0', "
      "'gptq' or 'awq', stand for, with a scale for each `group` of a row (0: a whole row). The "
      "last two round by what the layers see of `sequences` windows of a corpus's training text. "
      "Gives for each matrix a dict: name, values, bytes, weight_error and output_error (squared, "
      "as a share of the squares; None without a corpus), alpha (AWQ's power, or None). Ctrl-C "
      "ends it between two matrices, and leaves the model half done.");
}

}  // namespace tinygpt::python
