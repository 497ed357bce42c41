#include "tinygpt/simt/source_line.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>

namespace tinygpt::simt {
namespace {

std::string run(const std::string& command) {
  std::string text;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (!pipe) return text;
  std::array<char, 4096> piece;
  while (std::fgets(piece.data(), piece.size(), pipe.get())) text += piece.data();
  return text;
}

// The file that an address was loaded from, and where: position-independent code is looked up by
// its distance from there.
struct Module {
  std::string file;
  std::uintptr_t base = 0;
};
Module module_of(const void* address) {
  Dl_info info{};
  link_map* map = nullptr;
  if (!dladdr1(address, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) || !map) return {};
  std::array<char, 4096> path{};
  const bool program = !map->l_name || !*map->l_name;
  if (program && readlink("/proc/self/exe", path.data(), path.size() - 1) <= 0) return {};
  return {program ? path.data() : map->l_name, map->l_addr};
}

bool of_the_emulator(const std::string& file) {
  return file.find("/tinygpt/simt/") != std::string::npos ||
         file.find("/include/c++/") != std::string::npos;
}

// One answer of addr2line -a -i: the address, then file:line from the innermost inlined function
// outwards.
SourceLine read_frames(const std::vector<std::string>& frames) {
  SourceLine found;
  for (const std::string& frame : frames) {
    const std::size_t colon = frame.rfind(':');
    if (colon == std::string::npos || frame.rfind("??", 0) == 0) continue;
    const SourceLine line{frame.substr(0, colon), std::atoi(frame.c_str() + colon + 1)};
    if (found.file.empty()) found = line;
    if (!of_the_emulator(line.file)) return line;
  }
  return found;
}

void look_up(const Module& module, const std::vector<const void*>& addresses,
             std::map<const void*, SourceLine>& known) {
  std::string command = fmt::format("addr2line -a -i -e '{}'", module.file);
  for (const void* address : addresses) {
    // The call is before the address to which it returns.
    command += fmt::format(" {:#x}", reinterpret_cast<std::uintptr_t>(address) - 1 - module.base);
  }
  const std::string text = run(command + " 2>/dev/null");
  std::size_t next = 0;
  std::vector<std::string> frames;
  const auto finish = [&] {
    if (next > 0) known[addresses[next - 1]] = read_frames(frames);
    frames.clear();
  };
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (line.rfind("0x", 0) == 0 && next < addresses.size()) {
      finish();
      ++next;
    } else {
      frames.push_back(line);
    }
  }
  finish();
}

}  // namespace

std::vector<SourceLine> source_lines(const std::vector<const void*>& addresses) {
  static std::mutex mutex;
  static std::map<const void*, SourceLine> known;
  const std::scoped_lock lock(mutex);
  std::map<std::string, std::pair<Module, std::vector<const void*>>> unknown;
  for (const void* address : addresses) {
    if (!known.try_emplace(address).second) continue;
    const Module module = module_of(address);
    if (module.file.empty()) continue;
    unknown[module.file].first = module;
    unknown[module.file].second.push_back(address);
  }
  constexpr std::size_t kAtOnce = 500;  // addresses on one command line
  for (const auto& [file, asked] : unknown) {
    for (std::size_t i = 0; i < asked.second.size(); i += kAtOnce) {
      const auto begin = asked.second.begin() + static_cast<std::ptrdiff_t>(i);
      const auto left = static_cast<std::size_t>(asked.second.end() - begin);
      look_up(asked.first, {begin, begin + static_cast<std::ptrdiff_t>(std::min(kAtOnce, left))},
              known);
    }
  }
  std::vector<SourceLine> lines;
  for (const void* address : addresses) lines.push_back(known[address]);
  return lines;
}

SourceLine source_line(const void* address) { return source_lines({address}).front(); }

}  // namespace tinygpt::simt
