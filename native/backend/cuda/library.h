// The border between the engine and the library that holds everything of CUDA. The addon opens the
// library at run time and hands it a CudaHost; the library fills in its kernels through it and
// gives back its DeviceBackend. Both sides are built from one tree: `abi` tells when they are not.
#pragma once

#include "core/device.h"
#include "core/dtype.h"
#include "core/matmul_flags.h"
#include "ops/op_id.h"

namespace ampgrad {

class DeviceBackend;

struct CudaHost {
  uint32_t abi = 0;
  void (*set_kernel)(OpId op, DType dtype, void (*fn)(), const void* data) = nullptr;
  // Memory of a device by the engine's ladder: it collects garbage before it gives up.
  void* (*allocate)(int device, size_t bytes) = nullptr;
  const MatmulFlags* matmul = nullptr;
};

// Changes with everything that crosses the border in memory.
constexpr uint32_t cuda_abi() {
  return 1u + 64u * static_cast<uint32_t>(kNumOps) + static_cast<uint32_t>(sizeof(Device)) + 3;
}

}  // namespace ampgrad

// nullptr and *backend set, or why the library cannot work here (text of the library's).
extern "C" __attribute__((visibility("default"))) const char* ampgrad_cuda_open(
    const ampgrad::CudaHost* host, ampgrad::DeviceBackend** backend);
