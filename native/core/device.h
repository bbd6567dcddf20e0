// Where a tensor lives: 'cpu', 'cuda' or 'cuda:1'. A plain value, compared by both fields.
#pragma once

#include <cstdint>
#include <string>

namespace ampgrad {

enum class DeviceType : uint8_t { Cpu, Cuda };
inline constexpr int kNumDeviceTypes = 2;

struct Device {
  DeviceType type = DeviceType::Cpu;
  int8_t index = 0;

  constexpr bool is_cpu() const { return type == DeviceType::Cpu; }
  constexpr bool operator==(const Device&) const = default;
};

constexpr const char* device_type_name(DeviceType type) {
  return type == DeviceType::Cpu ? "cpu" : "cuda";
}

// "cpu" or "cuda:0"
std::string to_string(Device device);

// Accepts "cpu", "cuda", "cuda:<index>"; returns false otherwise.
bool parse_device(const char* text, size_t length, Device* out);

}  // namespace ampgrad
