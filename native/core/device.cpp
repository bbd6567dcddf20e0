#include "core/device.h"

#include <string_view>

#include "core/async_backend.h"

namespace ampgrad {

namespace {

thread_local int8_t current_cuda = 0;

}  // namespace

int8_t current_cuda_device() { return current_cuda; }
void set_current_cuda_device(int8_t index) { current_cuda = index; }

std::string to_string(Device device) {
  if (device.is_cpu()) return "cpu";
  return "cuda:" + std::to_string(device.index);
}

bool parse_device(const char* text, size_t length, Device* out) {
  const std::string_view name(text, length);
  if (name == "cpu") {
    *out = Device{DeviceType::Cpu, 0};
    return true;
  }
  if (name == "cuda") {
    *out = Device{DeviceType::Cuda, current_cuda};
    return true;
  }
  constexpr std::string_view kPrefix = "cuda:";
  if (name.substr(0, kPrefix.size()) != kPrefix) return false;
  const std::string_view digits = name.substr(kPrefix.size());
  if (digits.empty() || digits.size() > 2) return false;
  int index = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return false;
    index = index * 10 + (c - '0');
  }
  *out = Device{DeviceType::Cuda, static_cast<int8_t>(index)};
  return true;
}

}  // namespace ampgrad
