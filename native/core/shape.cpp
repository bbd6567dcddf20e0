#include "core/shape.h"

#include <algorithm>

namespace ampgrad {

std::string to_string(DimsView dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i != 0) text += ", ";
    text += std::to_string(dims[i]);
  }
  return text + "]";
}

void check_sizes(const char* op, DimsView sizes, size_t element_size) {
  AG_CHECK(sizes.size() <= kMaxDims, Shape, op, ": at most ", kMaxDims,
           " dimensions are supported, got ", static_cast<int64_t>(sizes.size()));
  constexpr int64_t kLimit = int64_t{1} << 62;
  int64_t bytes = static_cast<int64_t>(element_size);
  for (int64_t s : sizes) {
    AG_CHECK(s >= 0, Range, op, ": sizes must not be negative, got shape ", sizes);
  }
  for (int64_t s : sizes) {
    // A later zero makes the tensor empty, but each partial product is still used as a stride.
    if (s == 0) continue;
    AG_CHECK(bytes <= kLimit / s, Range, op, ": the number of bytes of shape ", sizes,
             " overflows");
    bytes *= s;
  }
}

Dims contiguous_strides(DimsView sizes) {
  Dims strides(sizes.size());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<int64_t>(sizes[i], 1);
  }
  return strides;
}

bool is_contiguous(DimsView sizes, DimsView strides) {
  int64_t expected = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] == 0) return true;
    if (sizes[i] == 1) continue;
    if (strides[i] != expected) {
      // Not yet known to be non-contiguous: an outer size of 0 makes everything contiguous.
      for (size_t j = 0; j < i; ++j) {
        if (sizes[j] == 0) return true;
      }
      return false;
    }
    expected *= sizes[i];
  }
  return true;
}

int64_t storage_extent(DimsView sizes, DimsView strides) {
  int64_t last = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) return 0;
    last += (sizes[i] - 1) * strides[i];
  }
  return last + 1;
}

bool is_non_overlapping(DimsView sizes, DimsView strides) {
  SmallVector<size_t, 6> order;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) return true;
    if (sizes[i] > 1) order.push_back(i);
  }
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return strides[a] < strides[b]; });
  int64_t extent = 1;
  for (size_t i : order) {
    if (strides[i] < extent) return false;
    extent = strides[i] * (sizes[i] - 1) + extent;
  }
  return true;
}

int64_t wrap_dim(const char* op, int64_t dim, size_t ndim) {
  const int64_t n = ndim == 0 ? 1 : static_cast<int64_t>(ndim);
  AG_CHECK(dim >= -n && dim < n, Range, op,
           ": argument 'dim' is out of range, Dimension out of range (expected to be in range of [",
           -n, ", ", n - 1, "], but got ", dim, ")");
  return dim < 0 ? dim + n : dim;
}

uint64_t dim_mask(const char* op, DimsView dims, size_t ndim, bool empty_is_all) {
  if (dims.empty() && empty_is_all) {
    return ndim >= 64 ? ~uint64_t{0} : (uint64_t{1} << ndim) - 1;
  }
  uint64_t mask = 0;
  for (int64_t dim : dims) {
    const int64_t d = wrap_dim(op, dim, ndim);
    const uint64_t bit = uint64_t{1} << d;
    AG_CHECK((mask & bit) == 0, Value, op, ": dim ", d,
             " appears multiple times in the list of dims ", dims);
    mask |= bit;
  }
  return ndim == 0 ? 0 : mask;
}

Dims broadcast_shapes(const char* op, DimsView a, DimsView b) {
  const size_t n = std::max(a.size(), b.size());
  Dims out(n);
  for (size_t i = 0; i < n; ++i) {
    const int64_t sa = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t sb = i < b.size() ? b[b.size() - 1 - i] : 1;
    AG_CHECK(sa == sb || sa == 1 || sb == 1, Shape, op, ": shapes ", a, " and ", b,
             " cannot be broadcast: The size of tensor a (", sa,
             ") must match the size of tensor b (", sb, ") at non-singleton dimension ",
             static_cast<int64_t>(n - 1 - i));
    out[n - 1 - i] = sa == 1 ? sb : sa;
  }
  return out;
}

bool can_broadcast_to(DimsView from, DimsView to) {
  if (from.size() > to.size()) return false;
  const size_t lead = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] != to[lead + i] && from[i] != 1) return false;
  }
  return true;
}

Dims broadcast_strides(DimsView sizes, DimsView strides, DimsView to) {
  Dims out(to.size(), 0);
  const size_t lead = to.size() - sizes.size();
  for (size_t i = 0; i < sizes.size(); ++i) {
    out[lead + i] = sizes[i] == 1 && to[lead + i] != 1 ? 0 : strides[i];
  }
  return out;
}

Dims infer_size(const char* op, DimsView shape, int64_t numel) {
  Dims out(shape);
  int64_t known = 1;
  int64_t inferred = -1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1) {
      AG_CHECK(inferred < 0, Value, op, ": only one dimension can be inferred (-1), got shape ",
               shape);
      inferred = static_cast<int64_t>(i);
      continue;
    }
    AG_CHECK(shape[i] >= 0, Range, op, ": invalid shape dimension ", shape[i], " in ", shape);
    AG_CHECK(shape[i] == 0 || known <= (int64_t{1} << 62) / shape[i], Range, op, ": shape ", shape,
             " overflows");
    known *= shape[i];
  }
  if (inferred >= 0) {
    AG_CHECK(known != 0, Shape, op, ": cannot reshape tensor of ", numel, " elements into shape ",
             shape, " because the unspecified dimension size -1 can be any value and is ambiguous");
    AG_CHECK(numel % known == 0, Shape, op, ": shape '", shape, "' is invalid for input of size ",
             numel);
    out[static_cast<size_t>(inferred)] = numel / known;
  } else {
    AG_CHECK(known == numel, Shape, op, ": shape '", shape, "' is invalid for input of size ",
             numel);
  }
  return out;
}

bool view_strides(DimsView sizes, DimsView strides, DimsView new_sizes, Dims* out) {
  const int64_t numel = element_count(sizes);
  if (numel == 0 || sizes.empty()) {
    *out = contiguous_strides(new_sizes);
    return true;
  }
  out->resize(new_sizes.size());
  // Walk both shapes from the back, matching chunks of old dimensions that lie densely.
  size_t v = new_sizes.size();
  int64_t chunk_base = strides.back();
  int64_t tensor_numel = 1;
  int64_t view_numel = 1;
  for (size_t d = sizes.size(); d-- > 0;) {
    tensor_numel *= sizes[d];
    const bool chunk_ends =
        d == 0 || (sizes[d - 1] != 1 && strides[d - 1] != tensor_numel * chunk_base);
    if (!chunk_ends) continue;
    while (v > 0 && (view_numel < tensor_numel || new_sizes[v - 1] == 1)) {
      (*out)[v - 1] = view_numel * chunk_base;
      view_numel *= new_sizes[v - 1];
      --v;
    }
    if (view_numel != tensor_numel) return false;
    if (d > 0) {
      chunk_base = strides[d - 1];
      tensor_numel = 1;
      view_numel = 1;
    }
  }
  return v == 0;
}

}  // namespace ampgrad
