#include "bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tinygpt/core/error.h"

namespace tinygpt::bench {
namespace {

std::string number(double value) {
  return value >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

std::string share_of_limit(const Row& row) {
  if (row.limit <= 0 || row.figures.empty()) return "";
  return fmt::format("{:.0f}%", 100 * row.figures[0].median / row.limit);
}

// "1.23 x Eigen": how many times as fast we are.
std::string ratio(const Row& row, std::size_t i) {
  const double peer = row.figures[i].median;
  return peer > 0 ? fmt::format("{:.2f} x", row.figures[0].median / peer) : "";
}

void append_section(std::string& out, const std::vector<Row>& rows, const std::string& section) {
  std::size_t name_width = 4;
  for (const Row& row : rows) {
    if (row.section == section) name_width = std::max(name_width, row.name.size());
  }
  bool first = true;
  for (const Row& row : rows) {
    if (row.section != section) continue;
    if (first) {
      out += fmt::format("\n{} ({})\n", section, row.unit);
      out += fmt::format("  {:<{}}  {:>9}  {:>13}  {:>8}", "", name_width, "tinygpt", "min - max",
                         "of limit");
      for (std::size_t i = 1; i < row.figures.size(); ++i) {
        out += fmt::format("  {:>16}  {:>7}", row.figures[i].who, "ratio");
      }
      out += '\n';
      first = false;
    }
    const Figure& ours = row.figures[0];
    out += fmt::format("  {:<{}}  {:>9}  {:>13}  {:>8}", row.name, name_width, number(ours.median),
                       number(ours.min) + " - " + number(ours.max), share_of_limit(row));
    for (std::size_t i = 1; i < row.figures.size(); ++i) {
      out += fmt::format("  {:>16}  {:>7}", number(row.figures[i].median), ratio(row, i));
    }
    out += '\n';
  }
}

void append_step(std::string& out, const Report& report) {
  double total = 0, least = 0;
  for (const OperatorTime& o : report.step) {
    total += o.seconds.median;
    least += least_seconds(report.machine, o);
  }
  const auto line = [&](const std::string& name, double seconds, double limit) {
    out += fmt::format("  {:<26}  {:>9.2f}  {:>7.1f}%  {:>8.2f}  {:>8}\n", name, seconds * 1e3,
                       100 * seconds / total, limit * 1e3,
                       limit > 0 ? fmt::format("{:.0f}%", 100 * limit / seconds) : "");
  };
  out += fmt::format(
      "\ntraining step by operator (milliseconds)\n  {:<26}  {:>9}  {:>8}  {:>8}  {:>8}\n", "",
      "tinygpt", "of step", "limit", "of limit");
  for (const OperatorTime& o : report.step) {
    line(o.name, o.seconds.median, least_seconds(report.machine, o));
  }
  line("all", total, least);
}

nlohmann::json step_to_json(const std::vector<OperatorTime>& step, const Machine& m) {
  nlohmann::json all = nlohmann::json::array();
  for (const OperatorTime& o : step) {
    all.push_back({{"name", o.name},
                   {"calls", o.calls},
                   {"flops", o.flops},
                   {"bytes", o.bytes},
                   {"least_seconds", least_seconds(m, o)},
                   {"median", o.seconds.median},
                   {"min", o.seconds.min},
                   {"max", o.seconds.max}});
  }
  return all;
}

}  // namespace

double least_seconds(const Machine& m, const OperatorTime& o) {
  const double compute = m.peak_gflops > 0 ? o.flops / m.peak_gflops * 1e-9 : 0;
  const double memory = m.bandwidth_gbs > 0 ? o.bytes / m.bandwidth_gbs * 1e-9 : 0;
  return std::max(compute, memory);
}

Figure speed(std::string who, const Timing& seconds, double work) {
  return {std::move(who), work / seconds.median, work / seconds.max, work / seconds.min};
}

std::string to_table(const Report& report) {
  const Machine& m = report.machine;
  std::string out = fmt::format("{}, {} threads, {}\n", m.processor, m.threads, m.compiler);
  if (m.device == "cpu") {
    out += fmt::format("  kernels: {}\n", m.level);
    out += fmt::format(
        "  peak {} GFLOP/s (fused multiply-adds in registers), reads {} GB/s from memory\n",
        number(m.peak_gflops), number(m.bandwidth_gbs));
  } else if (m.device == "emulated") {
    out += "  CUDA kernels in the emulator: these times say nothing about a GPU\n";
  } else {
    out += "  CUDA kernels on the GPU\n";
  }
  std::vector<std::string> sections;
  for (const Row& row : report.rows) {
    if (std::find(sections.begin(), sections.end(), row.section) == sections.end()) {
      sections.push_back(row.section);
    }
  }
  for (const std::string& section : sections) append_section(out, report.rows, section);
  if (!report.step.empty()) append_step(out, report);
  return out;
}

nlohmann::json to_json(const Report& report) {
  const Machine& m = report.machine;
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : report.rows) {
    nlohmann::json figures = nlohmann::json::array();
    for (const Figure& f : row.figures) {
      figures.push_back({{"who", f.who}, {"median", f.median}, {"min", f.min}, {"max", f.max}});
    }
    rows.push_back({{"section", row.section},
                    {"name", row.name},
                    {"unit", row.unit},
                    {"limit", row.limit},
                    {"figures", figures}});
  }
  return {{"machine",
           {{"processor", m.processor},
            {"threads", m.threads},
            {"device", m.device},
            {"peak_gflops", m.peak_gflops},
            {"bandwidth_gbs", m.bandwidth_gbs},
            {"compiler", m.compiler},
            {"level", m.level}}},
          {"rows", rows},
          {"step_operators", step_to_json(report.step, m)},
          {"pytorch_step_operators", step_to_json(report.peer_step, m)}};
}

std::vector<Row> rows_from_json(const nlohmann::json& rows) {
  std::vector<Row> result;
  try {
    for (const auto& row : rows) {
      Row& r = result.emplace_back(row.at("section"), row.at("name"), row.at("unit"),
                                   row.at("limit"), std::vector<Figure>{});
      for (const auto& f : row.at("figures")) {
        r.figures.push_back({f.at("who"), f.at("median"), f.at("min"), f.at("max")});
      }
      check(!r.figures.empty(), "a row without figures");
    }
  } catch (const nlohmann::json::exception& problem) {
    throw Error(fmt::format("rows of a benchmark: {}", problem.what()));
  }
  return result;
}

}  // namespace tinygpt::bench
