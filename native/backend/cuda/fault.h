// Indices out of range that kernels have found: noted in pinned memory of the device's context,
// raised as ERR_RANGE where the host waits for the device. Kernels stay asynchronous, memory stays
// whole, and the device can be used afterwards.
#pragma once

#include "backend/cuda/context.h"
#include "backend/cuda/device/index_fault.h"

namespace ampgrad::cuda {

// Call it after work of the device has been waited for.
void raise_fault(DeviceContext& context);

}  // namespace ampgrad::cuda
