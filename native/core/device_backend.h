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
  // reused, and a destination on the CPU read, when the call returns; with `non_blocking` a copy
  // from or to pinned memory is only queued.
  virtual void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes,
                    bool non_blocking) = 0;
  // Share of the device's memory that this process may hold, in (0, 1].
  virtual void set_memory_fraction(int index, double fraction) = 0;
  // Figures of the allocator beyond MemoryStats, by name.
  virtual std::vector<std::pair<const char*, uint64_t>> memory_details(int index) = 0;
  // Waits for everything queued on the device.
  virtual void synchronize(int index) = 0;

  // Streams of a device by number; 0 is its own. The current one is the calling thread's.
  virtual int64_t next_stream(int index, bool high_priority) = 0;
  virtual int64_t current_stream(int index) = 0;
  virtual void set_current_stream(int index, int64_t stream) = 0;
  virtual bool stream_done(int index, int64_t stream) = 0;
  virtual void synchronize_stream(int index, int64_t stream) = 0;
  // A block of the device's allocator is used by work queued on `stream`.
  virtual void record_stream(int index, void* data, int64_t stream) = 0;
  // Events by number, from 1. A wait for one that was never recorded is none.
  virtual int64_t make_event(int index, bool timing) = 0;
  virtual void destroy_event(int64_t event) noexcept = 0;
  virtual void record_event(int64_t event, int64_t stream) = 0;
  virtual void wait_event(int index, int64_t stream, int64_t event) = 0;
  virtual void synchronize_event(int64_t event) = 0;
  virtual bool event_done(int64_t event) = 0;
  virtual double elapsed_milliseconds(int64_t from, int64_t to) = 0;

  // Host memory that copies reach without waiting; nullptr when there is no more.
  virtual void* allocate_pinned(int index, size_t bytes) = 0;
  virtual void release_pinned(void* data) noexcept = 0;
  virtual bool is_pinned(const void* data) = 0;
};

// The CUDA device that 'cuda' without an index means on the calling thread.
int8_t current_cuda_device();
void set_current_cuda_device(int8_t index);

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
