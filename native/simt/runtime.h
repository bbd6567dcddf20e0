// State of the emulated CUDA runtime shared by the parts of its API: the current device and last
// error of each host thread, the streams and events behind handles, the error that made the device
// unusable. Every entry point of the API holds api_mutex() through Call.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "simt/api.h"
#include "simt/control.h"
#include "simt/stream.h"

namespace simt {

struct Runtime {
  std::map<cudaStream_t, StreamRef> streams;
  std::map<cudaEvent_t, Event> events;
  std::map<const void*, int> shared_limits;  // of kernels that opted in to more
  std::set<std::pair<int, int>> peers;
  uint64_t next_handle = 16;
  uint64_t launches = 0;
  Random random;

  // The stream behind a handle; nullptr for a handle that is none.
  StreamRef stream(cudaStream_t handle);
};

Runtime& runtime();

// Of the calling thread.
int& current_device();
cudaError_t& last_error();

// Remembers an error for cudaGetLastError and returns it.
cudaError_t note(cudaError_t error);

// Holds the lock of the API during one call, and says whether the call can do anything.
class Call {
 public:
  Call() : lock_(api_mutex()) {}
  // cudaSuccess, or why no call can succeed: no driver, no device, or a failure that stays.
  cudaError_t usable() const;

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

// cudaSuccess, or the error that the failure of a kernel has left behind.
cudaError_t sticky_error();

}  // namespace simt

#define SIMT_ENTER()     \
  const simt::Call call; \
  if (const cudaError_t e = call.usable(); e != cudaSuccess) return simt::note(e)
