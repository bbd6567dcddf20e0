// Arithmetic on sizes and strides: element counts with overflow checks, contiguity, broadcasting,
// dimension wrapping and the text form used in messages. Knows nothing of tensors.
#pragma once

#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/small_vector.h"

namespace ampgrad {

using Dims = SmallVector<int64_t, 6>;
using DimsView = Span<int64_t>;

// As in PyTorch, and small enough for 64-bit masks of dimensions.
inline constexpr int kMaxDims = 64;

// "[2, 3]"
std::string to_string(DimsView dims);

namespace detail {
inline MessageBuilder& operator<<(MessageBuilder& m, DimsView dims) { return m << to_string(dims); }
inline MessageBuilder& operator<<(MessageBuilder& m, const Dims& dims) {
  return m << to_string(dims);
}
}  // namespace detail

// Product of the sizes. The sizes must have been validated by check_sizes.
inline int64_t element_count(DimsView sizes) {
  int64_t n = 1;
  for (int64_t s : sizes) n *= s;
  return n;
}

// Rejects negative sizes, more than kMaxDims dimensions and byte counts beyond 2^62.
void check_sizes(const char* op, DimsView sizes, size_t element_size);

Dims contiguous_strides(DimsView sizes);
bool is_contiguous(DimsView sizes, DimsView strides);

// The number of elements between the first and the last addressed one, plus one; 0 when empty.
int64_t storage_extent(DimsView sizes, DimsView strides);

// True when no two indices address the same element (sufficient test, like PyTorch's).
bool is_non_overlapping(DimsView sizes, DimsView strides);

// Maps dim in [-ndim, ndim) to [0, ndim); 0-d tensors accept -1 and 0.
int64_t wrap_dim(const char* op, int64_t dim, size_t ndim);

// Wraps and rejects duplicates. An empty list with empty_is_all stands for every dimension.
uint64_t dim_mask(const char* op, DimsView dims, size_t ndim, bool empty_is_all);

// NumPy broadcasting of two shapes; raises ERR_SHAPE naming op and both shapes.
Dims broadcast_shapes(const char* op, DimsView a, DimsView b);
bool can_broadcast_to(DimsView from, DimsView to);

// Strides that read a tensor of (sizes, strides) as if it had the broader shape `to`.
Dims broadcast_strides(DimsView sizes, DimsView strides, DimsView to);

// Replaces one -1 in `shape` by what makes the element count `numel`; raises ERR_SHAPE.
Dims infer_size(const char* op, DimsView shape, int64_t numel);

// Strides of a view with `new_sizes` over (sizes, strides), if one exists without copying.
bool view_strides(DimsView sizes, DimsView strides, DimsView new_sizes, Dims* out);

}  // namespace ampgrad
