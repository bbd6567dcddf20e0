// The search for infinities and NaN, by the bits of exponents.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace ampgrad::cpu {

// Whether n contiguous numbers of a floating point dtype are all finite.
bool all_finite(const void* data, int64_t n, DType dtype);

}  // namespace ampgrad::cpu
