#include "bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

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

}  // namespace

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
          {"rows", rows}};
}

}  // namespace tinygpt::bench
