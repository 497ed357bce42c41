// The figures of one run: a table for people, JSON for programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bench/measure.h"

namespace tinygpt::bench {

// A speed: higher is better, in the row's unit.
struct Figure {
  std::string who;  // "tinygpt", "Eigen", "PyTorch 2.13.0"
  double median = 0, min = 0, max = 0;
};

// From seconds a call to work a second; the fastest call gives max.
Figure speed(std::string who, const Timing& seconds, double work);

struct Row {
  std::string section;  // "matrix product"
  std::string name;     // "qkv forward 2048 x 384 x 1152"
  std::string unit;     // "GFLOP/s"
  double limit = 0;  // what the machine allows, in the same unit; 0 where there is no such number
  std::vector<Figure> figures;  // the first is ours
};

// One operator of one layer ("qkv backward"), all its calls in a training step together.
struct OperatorTime {
  std::string name;
  int calls = 0;
  double flops = 0, bytes = 0;  // by its formula; every buffer read or written once
  Timing seconds;               // of a step
};

struct Machine {
  std::string processor;
  std::string device = "cpu";  // where the kernels ran
  int threads = 0;
  double peak_gflops = 0;    // measured fused multiply-adds, `threads` threads
  double bandwidth_gbs = 0;  // measured reads from memory
  std::string compiler;
  std::string level;  // of the processor's kernels (tinygpt/cpu/levels.h)
};

struct Report {
  Machine machine;
  std::vector<Row> rows;
  std::vector<OperatorTime> step;       // in the order of the first calls
  std::vector<OperatorTime> peer_step;  // PyTorch's operators, by their time; names and times alone
};

// The least time that the machine's measured peak and bandwidth allow, whichever takes longer. What
// still lies in a cache may be quicker.
double least_seconds(const Machine& machine, const OperatorTime& operation);

std::string to_table(const Report& report);
nlohmann::json to_json(const Report& report);

// Rows that a script has measured: what to_json makes of rows. Throws Error on anything else.
std::vector<Row> rows_from_json(const nlohmann::json& rows);

}  // namespace tinygpt::bench
