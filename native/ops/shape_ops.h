// Copy helpers below autograd, shared by the op families: they launch the strided copy kernel and
// record nothing.
#pragma once

#include "core/tensor.h"

namespace ampgrad {

// Copies (converting and broadcasting) `source` into `out`, which must not overlap it.
void copy_into(const Tensor& out, const Tensor& source);
Tensor contiguous_copy(const Tensor& x);
// x itself when it is contiguous.
Tensor as_contiguous(const Tensor& x);
// x itself when it has this dtype.
Tensor as_dtype(const Tensor& x, DType dtype);

// Python's rule for a slice bound: negative counts from the end, then clamped to [0, size].
int64_t clamp_slice_index(int64_t index, int64_t size);

}  // namespace ampgrad
