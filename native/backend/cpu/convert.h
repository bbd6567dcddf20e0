// Conversion of contiguous runs between any two dtypes, at memory speed where SIMD has the
// instructions (float16/bfloat16/float32), with PyTorch's rules: float -> integer truncates towards
// zero, anything -> bool is `!= 0`, float64 -> half rounds once.
#pragma once

#include <cstddef>

#include "core/dtype.h"

namespace ampgrad::cpu {

using ConvertFn = void (*)(const void* in, void* out, size_t n);

// `in` and `out` must not overlap.
ConvertFn convert_fn(DType from, DType to);
// As convert_fn, past the caches, for whole cache lines of `out`; nullptr for pairs that have no
// such loop. See stream.h.
ConvertFn stream_convert_fn(DType from, DType to);

// All converters [from][to], for the best instruction set that is enabled at the time of the call.
struct ConvertTable {
  ConvertFn fns[kNumDTypes][kNumDTypes];
};
void fill_convert_table(ConvertTable* table);

}  // namespace ampgrad::cpu
