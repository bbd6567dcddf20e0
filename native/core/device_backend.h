// What the engine asks of a device other than the CPU besides kernels: memory, copies, and a word
// about why there is none. The backend of a kind of device is set once, by whoever found it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/allocator.h"

namespace ampgrad {

struct DeviceProperties {
  std::string name;
  int major = 0, minor = 0;
  int multiprocessors = 0;
  uint64_t total_memory = 0;
  uint64_t free_memory = 0;
};

class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;
  virtual int device_count() = 0;
  virtual DeviceProperties properties(int index) = 0;
  virtual Allocator& allocator(int index) = 0;
  // The calling thread's next kernels run on this device.
  virtual void enter(int index) = 0;
  // Bytes between two places of which at least one is on this kind of device. The source may be
  // reused, and a destination on the CPU read, when the call returns.
  virtual void copy(void* to, Device to_device, const void* from, Device from_device,
                    size_t bytes) = 0;
  // Share of the device's memory that this process may hold, in (0, 1].
  virtual void set_memory_fraction(int index, double fraction) = 0;
  // Figures of the allocator beyond MemoryStats, by name.
  virtual std::vector<std::pair<const char*, uint64_t>> memory_details(int index) = 0;
  // Waits for everything queued on the device.
  virtual void synchronize(int index) = 0;
};

// `find` runs when CUDA is first asked for; it calls one of the two below.
void set_cuda_finder(void (*find)());
void set_cuda_backend(DeviceBackend* backend);
void set_cuda_unavailable(std::string reason);
// nullptr: there is none, for the reason below.
DeviceBackend* cuda_backend();
const std::string& cuda_unavailable_reason();

// The backend of `device`, which is not the CPU; raises ERR_DEVICE when the device does not exist.
DeviceBackend& backend_for(Device device);

}  // namespace ampgrad
