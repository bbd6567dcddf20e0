// Allocation, copies and fills of the emulated runtime. Every range is checked when the call is
// made: it must lie inside one allocation on the right side. Pageable host memory is read at the
// call and written before the call returns; pinned memory is touched when the copy runs.
#include <algorithm>
#include <cstring>
#include <vector>

#include "simt/memory.h"
#include "simt/runtime.h"

using simt::device_memory;
using simt::note;
using simt::runtime;
using simt::scheduler;

namespace {

bool injected_failure() {
  int64_t& countdown = simt::config().fail_allocation;
  return countdown > 0 && --countdown == 0;
}

bool is_device(const void* p, size_t bytes) { return device_memory().find(p, bytes) != nullptr; }

// An address of device memory, in or out of an allocation.
bool in_device_range(const void* p) { return !device_memory().describe(p).empty(); }

cudaError_t check_kind(const void* to, const void* from, size_t bytes, cudaMemcpyKind* kind) {
  if (*kind == cudaMemcpyDefault) {
    *kind = in_device_range(to)
                ? (in_device_range(from) ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice)
                : (in_device_range(from) ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost);
  }
  const bool to_device = *kind == cudaMemcpyHostToDevice || *kind == cudaMemcpyDeviceToDevice;
  const bool from_device = *kind == cudaMemcpyDeviceToHost || *kind == cudaMemcpyDeviceToDevice;
  if (*kind < cudaMemcpyHostToHost || *kind > cudaMemcpyDefault) {
    return cudaErrorInvalidMemcpyDirection;
  }
  if (to_device != in_device_range(to) || from_device != in_device_range(from)) {
    return cudaErrorInvalidValue;
  }
  if (to_device && !is_device(to, bytes)) return cudaErrorInvalidValue;
  if (from_device && !is_device(from, bytes)) return cudaErrorInvalidValue;
  return cudaSuccess;
}

// A block that is freed while a copy waits for it must not be written.
std::string copy_now(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if ((to_device && !is_device(to, bytes)) || (from_device && !is_device(from, bytes))) {
    return "illegal access: a copy of " + std::to_string(bytes) +
           " bytes uses device memory that has been freed";
  }
  memmove(to, from, bytes);
  return {};
}

void queue_copy(const simt::StreamRef& s, void* to, const void* from, size_t bytes,
                cudaMemcpyKind kind) {
  const bool reads_host = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyHostToHost;
  if (reads_host && !device_memory().is_pinned(from, bytes)) {
    const char* begin = static_cast<const char*>(from);
    std::vector<char> staged(begin, begin + bytes);
    scheduler().enqueue(s, [to, bytes, kind, staged = std::move(staged)] {
      return copy_now(to, staged.data(), bytes, kind);
    });
    return;
  }
  scheduler().enqueue(s, [=] { return copy_now(to, from, bytes, kind); });
}

cudaError_t copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                 const simt::StreamRef& s, bool wait) {
  if (!s) return note(cudaErrorInvalidResourceHandle);
  if (bytes == 0) return cudaSuccess;
  if (const cudaError_t e = check_kind(to, from, bytes, &kind); e != cudaSuccess) return note(e);
  const bool writes_host = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyHostToHost;
  const bool pinned = writes_host && device_memory().is_pinned(to, bytes);
  // Whoever reads the destination too early finds poison.
  if (pinned && !wait) memset(to, simt::config().poison, bytes);
  queue_copy(s, to, from, bytes, kind);
  if (wait || (writes_host && !pinned)) scheduler().finish(simt::Scheduler::mark(s));
  return note(simt::sticky_error());
}

}  // namespace

cudaError_t cudaMalloc(void** out, size_t bytes) {
  SIMT_ENTER();
  if (out == nullptr) return note(cudaErrorInvalidValue);
  *out = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (injected_failure()) return note(cudaErrorMemoryAllocation);
  *out = device_memory().allocate(simt::current_device(), bytes, simt::config().memory);
  return note(*out == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}

// Waits for the device, as the real one does.
cudaError_t cudaFree(void* data) {
  SIMT_ENTER();
  if (data == nullptr) return cudaSuccess;
  const simt::Allocation* a = device_memory().find(data, 1);
  if (a == nullptr || a->data != data) return note(cudaErrorInvalidValue);
  scheduler().finish_device(a->device);
  device_memory().release(data);
  return note(simt::sticky_error());
}

cudaError_t cudaHostAlloc(void** out, size_t bytes, unsigned) {
  SIMT_ENTER();
  if (out == nullptr || bytes == 0) return note(cudaErrorInvalidValue);
  *out = injected_failure() ? nullptr : device_memory().allocate_host(bytes);
  return note(*out == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}

cudaError_t cudaFreeHost(void* data) {
  SIMT_ENTER();
  if (data == nullptr) return cudaSuccess;
  for (int d = 0; d < simt::config().devices; ++d) scheduler().finish_device(d);
  return note(device_memory().release_host(data) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  SIMT_ENTER();
  *total = simt::config().memory;
  *free = *total - std::min(*total, device_memory().used(simt::current_device()));
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* out, const void* pointer) {
  SIMT_ENTER();
  void* p = const_cast<void*>(pointer);
  *out = {cudaMemoryTypeUnregistered, -2, nullptr, p};
  if (const simt::Allocation* a = device_memory().find(pointer, 1)) {
    *out = {cudaMemoryTypeDevice, a->device, p, nullptr};
  } else if (device_memory().is_pinned(pointer, 1)) {
    *out = {cudaMemoryTypeHost, 0, p, p};
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  SIMT_ENTER();
  return copy(to, from, bytes, kind, runtime().stream(nullptr), kind != cudaMemcpyDeviceToDevice);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  SIMT_ENTER();
  return copy(to, from, bytes, kind, runtime().stream(stream), false);
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device,
                                size_t bytes, cudaStream_t stream) {
  SIMT_ENTER();
  const simt::Allocation* a = device_memory().find(to, bytes);
  const simt::Allocation* b = device_memory().find(from, bytes);
  const bool right = bytes == 0 || (a != nullptr && b != nullptr && a->device == to_device &&
                                    b->device == from_device);
  if (!right) return note(cudaErrorInvalidValue);
  return copy(to, from, bytes, cudaMemcpyDeviceToDevice, runtime().stream(stream), false);
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  SIMT_ENTER();
  const simt::StreamRef s = runtime().stream(stream);
  if (!s) return note(cudaErrorInvalidResourceHandle);
  if (bytes == 0) return cudaSuccess;
  if (!is_device(to, bytes)) return note(cudaErrorInvalidValue);
  scheduler().enqueue(s, [=]() -> std::string {
    if (!is_device(to, bytes)) return "illegal access: a fill uses memory that has been freed";
    memset(to, value, bytes);
    return {};
  });
  return note(simt::sticky_error());
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return cudaMemsetAsync(to, value, bytes, nullptr);
}
