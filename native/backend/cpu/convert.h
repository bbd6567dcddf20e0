// Conversion of contiguous runs between any two dtypes, at memory speed where SIMD has the
// instructions (float16/bfloat16/float32), with PyTorch's rules: float -> integer truncates towards
// zero, anything -> bool is `!= 0`, float64 -> half rounds once.
#pragma once

#include <cstddef>

#include "core/dtype.h"

namespace ampgrad::cpu {

using ConvertFn = void (*)(const void* in, void* out, size_t n);

ConvertFn convert_fn(DType from, DType to);

}  // namespace ampgrad::cpu
