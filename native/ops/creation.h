// What other op families need of creation: allocation with checked sizes, and fills below autograd.
#pragma once

#include <optional>

#include "ops/value.h"

namespace ampgrad {

// Uninitialised contiguous memory; rejects negative and overflowing sizes in the name of `op`.
Tensor new_tensor(const char* op, DimsView sizes, DType dtype, std::optional<Device> device);

// The largest finite value of a floating point dtype.
double largest_finite(DType dtype);

// Can `value` be stored in `dtype` without overflow (truncation of a fraction is fine)?
bool scalar_fits(Scalar value, DType dtype);
// Raises ERR_VALUE naming op, argument, value and dtype when it can't.
void check_scalar_fits(const char* op, const char* argument, Scalar value, DType dtype);

// Writes one value everywhere; no autograd, no version.
void fill_tensor(const Tensor& t, Scalar value);

}  // namespace ampgrad
