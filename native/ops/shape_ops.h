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

// x itself when it lives there; otherwise a dense copy.
Tensor to_device(const Tensor& x, Device device);
inline Tensor to_host(const Tensor& x) { return to_device(x, Device{}); }
// 0 to n - 1 in int64.
Tensor positions(int64_t n, Device device);
// The first element, wherever the tensor lives. T must be its dtype.
template <class T>
T first_value(const Tensor& x) {
  return x.device().is_cpu() ? *x.data_as<T>()
                             : *to_host(x.alias({1}, {1}, x.offset())).data_as<T>();
}
// The same of a bool or uint8, as a truth value.
inline bool first_truth(const Tensor& x) {
  return x.dtype() == DType::Bool ? first_value<bool>(x) : first_value<uint8_t>(x) != 0;
}

// Python's rule for a slice bound: negative counts from the end, then clamped to [0, size].
int64_t clamp_slice_index(int64_t index, int64_t size);

}  // namespace ampgrad
