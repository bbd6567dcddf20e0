#include "simt/config.h"

#include <cstdlib>
#include <cstring>

namespace simt {

namespace {

const char* const kOrderNames[] = {"random",        "ascending",  "descending",
                                   "warp-reversed", "warp-ahead", "drawn"};
const char* const kStreamNames[] = {"eager", "lazy", "random"};

long long number(const char* name, long long otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoll(text, nullptr, 0);
}

template <class E, size_t N>
E word(const char* name, const char* const (&names)[N], E otherwise) {
  const char* text = std::getenv(name);
  if (text == nullptr) return otherwise;
  for (size_t i = 0; i < N; ++i) {
    if (std::strcmp(text, names[i]) == 0) return static_cast<E>(i);
  }
  return otherwise;
}

Config from_environment() {
  Config c;
  c.seed = static_cast<uint64_t>(number("AMPGRAD_SIMT_SEED", 0));
  c.order = word("AMPGRAD_SIMT_ORDER", kOrderNames, c.order);
  c.streams = word("AMPGRAD_SIMT_STREAMS", kStreamNames, c.streams);
  c.arch = static_cast<int>(number("AMPGRAD_SIMT_ARCH", c.arch));
  c.devices = static_cast<int>(number("AMPGRAD_SIMT_DEVICES", c.devices));
  c.memory = static_cast<size_t>(number("AMPGRAD_SIMT_MEMORY_MB", 1024)) << 20;
  c.poison = static_cast<int>(number("AMPGRAD_SIMT_POISON", c.poison)) & 0xff;
  c.no_driver = number("AMPGRAD_SIMT_NO_DRIVER", 0) != 0;
  c.fail_allocation = number("AMPGRAD_SIMT_FAIL_ALLOCATION", 0);
  c.fail_launch = number("AMPGRAD_SIMT_FAIL_LAUNCH", 0);
  return c;
}

}  // namespace

Config& config() {
  static Config current = from_environment();
  return current;
}

const char* order_name(Order order) { return kOrderNames[static_cast<int>(order)]; }

}  // namespace simt
