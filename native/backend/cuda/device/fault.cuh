// An index that a kernel finds out of range is left out, noted for the host, and raised when the
// host next waits for the device (fault.h). The first of several stays.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "backend/cuda/device/index_fault.h"

namespace ampgrad::cuda {

__device__ inline void report_index(IndexFault* fault, const char* op, int64_t value, int dim,
                                    int64_t size) {
  if (atomicCAS(&fault->claimed, 0u, 1u) != 0) return;
  fault->dim = dim;
  fault->value = value;
  fault->size = size;
  fault->op = op;
}

}  // namespace ampgrad::cuda
