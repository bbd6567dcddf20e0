// Errors of CUDA as the engine's, and the one way to launch a kernel. A launch names its kernel:
// the name stands in errors and in the emulator's reports.
#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "core/error.h"

namespace ampgrad::cuda {

// Raises ERR_CUDA unless `error` is success. An error that a kernel left behind is fatal for the
// device: CUDA can only be used again in a new process.
void check(cudaError_t error, const char* what);

// A grid-stride launch over n items: enough blocks to fill the device, not more.
dim3 grid_for(int64_t n, int threads);

struct LaunchShape {
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;
};

cudaStream_t current_stream();
void note_kernel(const char* name);

template <class... Params, class... Args>
void launch(const char* name, const LaunchShape& shape, void (*kernel)(Params...), Args&&... args) {
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = current_stream();
  note_kernel(name);
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Args>(args)...), name);
}

}  // namespace ampgrad::cuda
