// Copies between devices that need not be waited for, and the host memory they need.
#pragma once

#include "core/tensor.h"

namespace ampgrad {

// As copy_into (shape_ops.h), but a copy from or to pinned memory is only queued.
void copy_into_queued(const Tensor& out, const Tensor& source);
// Uninitialised host memory that copies to and from devices reach without waiting.
Tensor empty_pinned(DimsView sizes, DType dtype);
bool is_pinned(const Tensor& x);

}  // namespace ampgrad
