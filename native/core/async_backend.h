// What a backend whose devices compute on their own time offers beyond DeviceBackend: streams,
// events and host memory that copies need not wait for. CUDA's backend is one. Also the CUDA device
// that is current.
#pragma once

#include "core/device_backend.h"

namespace ampgrad {

class AsyncBackend : public DeviceBackend {
 public:
  // As copy(), but a copy from or to pinned memory is only queued.
  virtual void copy_queued(void* to, Device to_device, const void* from, Device from_device,
                           size_t bytes) = 0;

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

// The backend of `device`, which is not the CPU; raises ERR_DEVICE when the device does not exist.
AsyncBackend& async_backend_for(Device device);
// nullptr: there is none.
AsyncBackend* async_backend();

// The CUDA device that 'cuda' without an index means on the calling thread.
int8_t current_cuda_device();
void set_current_cuda_device(int8_t index);

}  // namespace ampgrad
