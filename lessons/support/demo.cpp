#include "lessons/support/demo.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <span>

#include "tinygpt/core/error.h"
#include "tinygpt/text/tinytales.h"

namespace tinygpt::lessons {

std::string as_text(const std::vector<Option>& options, const std::string& name) {
  for (const Option& option : options) {
    if (option.name == name) return option.value;
  }
  throw Error("this experiment has no option --" + name);
}

double as_number(const std::vector<Option>& options, const std::string& name) {
  const std::string text = as_text(options, name);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size(),
        [&] { return fmt::format("--{} is '{}': a number is needed", name, text); });
  return value;
}

int run_demo(int argc, char** argv, const std::string& about, std::vector<Experiment> experiments) {
  CLI::App app{about};
  app.require_subcommand(1);
  for (Experiment& experiment : experiments) {
    CLI::App* command = app.add_subcommand(experiment.name, experiment.what);
    for (Option& option : experiment.options) {
      command->add_option("--" + option.name, option.value, option.what)->capture_default_str();
    }
    command->callback([&experiment] { experiment.run(experiment.options); });
  }
  try {
    app.parse(argc, argv);
    return std::fflush(stdout) == 0 ? 0 : 2;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", argv[0], error.what());
    return 2;
  }
}

void show_progress(const std::string& what, std::int64_t done, std::int64_t total) {
  if (isatty(STDERR_FILENO) == 0) return;
  const std::int64_t step = std::max<std::int64_t>(total / 200, 1);
  if (done >= total) fmt::print(stderr, "\r\x1b[K");
  else if (done % step == 0) fmt::print(stderr, "\r\x1b[K  {}  {} of {}", what, done, total);
  std::fflush(stderr);
}

Stories make_stories(int count, unsigned seed) {
  const Grammar grammar = parse_grammar(tinytales_grammar_text(), "datasets/tinytales.grammar");
  const auto joined = [](std::span<const std::string> stories) {
    std::string text;
    for (const std::string& story : stories) text += story + "\n";
    return text;
  };
  // The held-out stories come from far behind the training stories in the same sequence.
  const std::vector<std::string> train = draw_stories(grammar, seed, 0, count);
  const std::vector<std::string> held_out = draw_stories(grammar, seed, 1'000'000, count / 10 + 1);
  return {joined(train), joined(held_out),
          stories_nats(grammar, held_out) / static_cast<double>(stories_bytes(held_out))};
}

}  // namespace tinygpt::lessons
