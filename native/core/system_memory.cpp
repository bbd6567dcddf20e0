// Reads /proc/meminfo and the files of control groups (versions 1 and 2). Linux hands out pages it
// does not have and kills the process that touches them, so a large request is compared with these
// figures first: an error can be handled, a kill cannot.
#include "core/system_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace ampgrad {

namespace {

constexpr uint64_t kUnknown = UINT64_MAX;

// The number a file holds; kUnknown for a missing file and for cgroup's word "max".
uint64_t number_in(const std::string& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : kUnknown;
}

// The value of a line "key value" or "key: value kB".
uint64_t field_in(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  uint64_t value = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const size_t digits = line.find_first_of("0123456789", key.size());
    if (digits == std::string::npos) return kUnknown;
    value = std::stoull(line.substr(digits));
    return line.find(" kB") == std::string::npos ? value : value * 1024;
  }
  return kUnknown;
}

struct GroupFiles {
  const char* folder;
  const char* limit;
  const char* usage;
  const char* reclaimable;  // key in memory.stat: file pages that can be dropped
};

constexpr GroupFiles kGroups[] = {
    {"/sys/fs/cgroup/", "memory.max", "memory.current", "inactive_file "},
    {"/sys/fs/cgroup/memory/", "memory.limit_in_bytes", "memory.usage_in_bytes",
     "total_inactive_file "},
};

uint64_t group_limit() {
  uint64_t least = kUnknown;
  for (const GroupFiles& g : kGroups)
    least = std::min(least, number_in(std::string(g.folder) + g.limit));
  return least;
}

uint64_t group_available() {
  uint64_t least = kUnknown;
  for (const GroupFiles& g : kGroups) {
    const std::string folder = g.folder;
    const uint64_t limit = number_in(folder + g.limit);
    uint64_t used = number_in(folder + g.usage);
    if (limit == kUnknown || used == kUnknown) continue;
    const uint64_t files = field_in(folder + "memory.stat", g.reclaimable);
    if (files != kUnknown) used -= std::min(used, files);
    least = std::min(least, limit - std::min(limit, used));
  }
  return least;
}

}  // namespace

uint64_t system_memory_total() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_size = sysconf(_SC_PAGE_SIZE);
  if (pages < 0 || page_size < 0) return 0;
  return std::min(static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_size), group_limit());
}

uint64_t system_memory_available() {
  return std::min(field_in("/proc/meminfo", "MemAvailable:"), group_available());
}

}  // namespace ampgrad
