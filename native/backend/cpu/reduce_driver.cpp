#include "backend/cpu/reduce_driver.h"

#include <numeric>

namespace ampgrad::cpu {

Extent Extent::of(DimsView sizes, DimsView strides, bool any_order) {
  SmallVector<size_t, 6> order;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] != 1) order.push_back(i);
  }
  if (any_order) {
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return strides[a] > strides[b]; });
  }
  Extent e;
  for (size_t i : order) {
    if (!e.sizes.empty() && e.strides.back() == strides[i] * sizes[i]) {
      e.sizes.back() *= sizes[i];
      e.strides.back() = strides[i];
    } else {
      e.sizes.push_back(sizes[i]);
      e.strides.push_back(strides[i]);
    }
  }
  return e;
}

int64_t Extent::offset(int64_t linear) const {
  int64_t offset = 0;
  for (size_t d = sizes.size(); d-- > 1;) {
    offset += linear % sizes[d] * strides[d];
    linear /= sizes[d];
  }
  return sizes.empty() ? 0 : offset + linear * strides[0];
}

namespace {

template <class Bits>
void gather_bits(const char* base, const Extent& extent, int64_t start, int64_t count, void* to) {
  const Bits* in = reinterpret_cast<const Bits*>(base);
  Bits* out = static_cast<Bits*>(to);
  const int64_t inner = extent.inner_size();
  const int64_t stride = extent.inner_stride();
  for (int64_t i = start; i < start + count;) {
    const int64_t n = std::min(start + count - i, inner - i % inner);
    const Bits* from = in + extent.offset(i);
    for (int64_t j = 0; j < n; ++j) out[j] = from[j * stride];
    out += n;
    i += n;
  }
}

}  // namespace

void gather(const char* base, size_t element_size, const Extent& extent, int64_t start,
            int64_t count, void* out) {
  switch (element_size) {
    case 1:
      return gather_bits<uint8_t>(base, extent, start, count, out);
    case 2:
      return gather_bits<uint16_t>(base, extent, start, count, out);
    case 4:
      return gather_bits<uint32_t>(base, extent, start, count, out);
    default:
      return gather_bits<uint64_t>(base, extent, start, count, out);
  }
}

}  // namespace ampgrad::cpu
