// Per-device state of the backend: the stream that work goes to, the allocator, what GEMM needs.
// Also the device that the calling thread has entered. Nothing here is ever destroyed: CUDA must
// not be called while a process ends.
#pragma once

#include <cuda_runtime.h>

#include "backend/cuda/allocator.h"
#include "backend/cuda/library.h"
#include "core/device_backend.h"
#include "ops/kernels.h"

namespace ampgrad::cuda {

struct IndexFault;

struct DeviceContext {
  int index = 0;
  cudaStream_t stream = nullptr;
  cudaDeviceProp properties;
  CachingAllocator* allocator = nullptr;
  IndexFault* fault = nullptr;
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
void set_current_stream(int index, cudaStream_t stream);

// Kernels, by family (register.cpp lists them). Called with the host of the library.
template <class Params>
void set_kernel(const CudaHost& host, OpId op, DType dtype, KernelFn<Params> fn,
                const void* data = nullptr) {
  host.set_kernel(op, dtype, reinterpret_cast<void (*)()>(fn), data);
}

}  // namespace ampgrad::cuda
