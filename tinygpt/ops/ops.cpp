#include "tinygpt/ops/ops.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <type_traits>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

std::vector<std::string> group_names() {
  std::vector<std::string> names;
  for_each_entry<float>([&](const char* group, auto) {
    if (std::find(names.begin(), names.end(), group) == names.end()) names.emplace_back(group);
  });
  return names;
}

const Ops<float>& find_table(const std::vector<NamedOps>& tables, std::string_view name) {
  for (const NamedOps& table : tables) {
    if (table.name == name) return table.ops;
  }
  std::vector<std::string> names;
  for (const NamedOps& table : tables) names.push_back(table.name);
  throw Error(fmt::format("--kernels: there is no implementation '{}'; there are: {}", name,
                          fmt::join(names, ", ")));
}

// Fused entries stand for several groups; taking one of these from elsewhere must not be bypassed.
void drop_fused(Ops<float>& ops, std::string_view group) {
  if (group == "linear" || group == "gelu") ops.linear_gelu_forward = nullptr;
  if (group == "residual" || group == "layernorm") ops.residual_layernorm_forward = nullptr;
  if (group == "residual" || group == "rmsnorm") ops.residual_rmsnorm_forward = nullptr;
  if (group == "linear" || group == "lora") ops.linear_lora_forward = nullptr;
  if (group == "linear" || group == "gelu" || group == "residual") {
    ops.linear_backward_write = nullptr;  // with it the model passes a sum's gradient on uncopied
  }
  if (group == "attention") ops.attention_backward_write = nullptr;
  if (group == "adamw" || group == "gradient_norm") ops.adamw_clipped_step = nullptr;
}

void take_group(Ops<float>& ops, const Ops<float>& from, std::string_view group,
                std::string_view table) {
  bool known = false;
  bool complete = true;
  for_each_entry<float>([&](const char* name, auto entry) {
    if (group != name) return;
    known = true;
    if (from.*entry == nullptr && group != "fused") complete = false;
    ops.*entry = from.*entry;
  });
  check(known, [&] {
    return fmt::format("--kernels: there is no group '{}'; there are: {}", group,
                       fmt::join(group_names(), ", "));
  });
  check(complete, [&] {
    return fmt::format("--kernels: '{}' does not implement all of '{}'", table, group);
  });
  drop_fused(ops, group);
}

}  // namespace

Ops<float> mix_ops(const std::vector<NamedOps>& tables, std::string_view choice) {
  const auto next = [&] {
    const std::size_t comma = std::min(choice.find(','), choice.size());
    const std::string_view part = choice.substr(0, comma);
    choice.remove_prefix(std::min(comma + 1, choice.size()));
    return part;
  };
  Ops<float> ops = find_table(tables, next());
  while (!choice.empty()) {
    const std::string_view part = next();
    const std::size_t equals = part.find('=');
    check(equals != std::string_view::npos, [&] {
      return fmt::format("--kernels: '{}' is not of the form group=implementation", part);
    });
    const std::string_view table = part.substr(equals + 1);
    take_group(ops, find_table(tables, table), part.substr(0, equals), table);
  }
  return ops;
}

}  // namespace tinygpt
