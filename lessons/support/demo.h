// What the lessons' programs share: subcommands, and one line for an error.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tinygpt::lessons {

// --name VALUE of an experiment.
struct Option {
  std::string name, what;
  std::string value;  // the default at first, then what was given
};

struct Experiment {
  std::string name, what;
  std::function<void(const std::vector<Option>&)> run;
  std::vector<Option> options = {};
};

// The value of an option; as_number throws Error, naming it, where it is no number.
std::string as_text(const std::vector<Option>& options, const std::string& name);
double as_number(const std::vector<Option>& options, const std::string& name);

// The main function of a lesson's program. Charts go to lessons-out/ unless a path is given.
int run_demo(int argc, char** argv, const std::string& about, std::vector<Experiment> experiments);

// "  training  120 of 500" on standard error, once in a while, where that is a terminal; gone when
// done == total. Nothing of it reaches what a README quotes.
void show_progress(const std::string& what, std::int64_t done, std::int64_t total);

// The tinytales corpus drawn in memory: the same stories for the same seed.
struct Stories {
  std::string train, validation;
  double floor_nats_per_byte = 0;  // what the best possible model loses on the validation text
};
Stories make_stories(int count, unsigned seed = 1);

}  // namespace tinygpt::lessons
