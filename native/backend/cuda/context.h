// Per-device state of the backend: the stream that work goes to, the allocator, what GEMM needs.
// Also the device that the calling thread has entered. Nothing here is ever destroyed: CUDA must
// not be called while a process ends.
#pragma once

#include <cuda_runtime.h>

#include <atomic>

#include "backend/cuda/library.h"

namespace ampgrad::cuda {

class CachingAllocator;
struct IndexFault;

struct DeviceContext {
  int index = 0;
  cudaStream_t stream = nullptr;
  cudaDeviceProp properties;
  CachingAllocator* allocator = nullptr;
  IndexFault* fault = nullptr;
  // How often values came to the host, and how often the host waited for work of the device.
  std::atomic<uint64_t> copies_to_host{0};
  std::atomic<uint64_t> host_waits{0};
};

int device_count();
// What the addon lends the library; set once, when the library is opened.
void set_host(const CudaHost& host);
const CudaHost& host();
DeviceContext& device_context(int index);
// Of the device this thread has entered.
DeviceContext& current_context();
void enter_device(int index);
// The calling thread's stream of a device: the device's own until another is set.
cudaStream_t stream_on(int index);
// Gives memory of host().allocate back.
void release_memory(int device, void* data, size_t bytes);
// Queues a copy to host memory on the current stream of the device this thread has entered.
void copy_to_host(void* to, const void* from, size_t bytes);
// The host waits for what is queued on a stream of the device this thread has entered.
void wait_for(cudaStream_t stream);
void set_current_stream(int index, cudaStream_t stream);

// Kernels, by family (register.cpp lists them). Called with the host of the library.
template <class Params>
void set_kernel(const CudaHost& host, OpId op, DType dtype, KernelFn<Params> fn,
                const void* data = nullptr) {
  host.set_kernel(op, dtype, reinterpret_cast<void (*)()>(fn), data);
}

}  // namespace ampgrad::cuda
