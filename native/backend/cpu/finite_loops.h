// The search for infinities and NaN, by the bits of exponents, alone and while gradients are
// scaled.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace ampgrad::cpu {

// Whether n contiguous numbers of a floating point dtype are all finite.
bool all_finite(const void* data, int64_t n, DType dtype);
// Multiplies n contiguous numbers by a factor; whether they were all finite.
bool scale_finite(void* data, int64_t n, DType dtype, float factor);

}  // namespace ampgrad::cpu
