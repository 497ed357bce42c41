// Runs a grader's tasks and writes one line of JSON for each: the verdict.
//
//     grader --verdict FILE [--profile] [TASK...]
//
// Whatever the learner's code prints goes to the terminal as usual.
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/lessons/grading/context.h"
#include "tests/lessons/grading/device.h"
#include "tests/lessons/grading/exam.h"
#include "tinygpt/core/error.h"

namespace tinygpt::lessons {
namespace {

using nlohmann::json;

// Examines the task once. Fills in what is wrong, if anything is.
void examine(const Task& task, int round, json& verdict) {
  Exam exam(device_memory());
  const auto say = [&](const char* kind, const std::string& call, const std::string& problem,
                       const std::string& nudge) {
    verdict["verdict"] = kind;
    verdict["call"] = call;
    verdict["problem"] = problem;
    verdict["nudge"] = nudge;
  };
  try {
    const auto fault = watch(round, [&] {
      task.examine(exam);
      exam.finish();
    });
    if (fault) say("wrong", exam.current(), fault->problem, fault->nudge);
  } catch (const Wrong& wrong) {
    say("wrong", wrong.call, wrong.problem, wrong.nudge);
  } catch (const NotImplemented& missing) {
    say("not implemented", "", missing.what(), "");
  } catch (const std::exception& thrown) {
    say("wrong", exam.current(), std::string("your code threw: ") + thrown.what(), "");
  }
  verdict["calls"] = exam.calls();
}

json examine(const Task& task) {
  json verdict = {{"task", task.id}, {"verdict", "passed"}};
  for (int round = 0; round < rounds() && verdict["verdict"] == "passed"; ++round) {
    examine(task, round, verdict);
  }
  return verdict;
}

void write(const std::string& path, const json& verdict) {
  std::ofstream file(path, std::ios::app);
  file << verdict.dump(-1, ' ', false, json::error_handler_t::replace) << "\n";
}

int run(const std::string& path, bool with_profile, const std::set<std::string>& chosen) {
  watch_for_crashes(path);
  for (const Task& task : tasks()) {
    if (!chosen.empty() && chosen.count(task.id) == 0) continue;
    set_task(task.id);
    json verdict = examine(task);
    if (with_profile && verdict["verdict"] == "passed" && task.profile.run) {
      verdict["profile"] = measure(task.profile);
    }
    set_task("");
    std::fflush(stdout);
    write(path, verdict);
  }
  return 0;
}

}  // namespace
}  // namespace tinygpt::lessons

int main(int argc, char** argv) {
  std::string path;
  bool with_profile = false;
  std::set<std::string> chosen;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--verdict" && i + 1 < argc) path = argv[++i];
    else if (word == "--profile") with_profile = true;
    else chosen.insert(word);
  }
  if (path.empty()) {
    std::fprintf(stderr, "usage: %s --verdict FILE [--profile] [TASK...]\n", argv[0]);
    return 2;
  }
  return tinygpt::lessons::run(path, with_profile, chosen);
}
