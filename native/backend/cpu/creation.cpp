// Fills and sequences on the CPU: zero bytes by memset, values by vectorised stores, strided
// targets run by run.
#include <algorithm>
#include <cstring>

#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "backend/cpu/scalar_cast.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kFillGrain = 1 << 16;

template <class T>
bool is_zero_bits(T value) {
  const T zero{};
  return std::memcmp(&value, &zero, sizeof(T)) == 0;
}

template <class T>
void fill_run(T* out, int64_t n, T value) {
  if (is_zero_bits(value)) {
    std::memset(static_cast<void*>(out), 0, static_cast<size_t>(n) * sizeof(T));
  } else {
    std::fill_n(out, n, value);
  }
}

template <class T>
void fill_strided(const FillParams& p, size_t dim, T* out, T value) {
  const int64_t n = p.sizes[dim];
  const int64_t stride = p.strides[dim];
  if (dim + 1 < p.sizes.size()) {
    for (int64_t i = 0; i < n; ++i) fill_strided(p, dim + 1, out + i * stride, value);
  } else if (stride == 1) {
    fill_run(out, n, value);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i * stride] = value;
  }
}

template <class T>
void fill_kernel(const FillParams& p, const void*) {
  T* out = static_cast<T*>(p.data);
  const T value = scalar_to<T>(p.value);
  if (!is_contiguous(p.sizes, p.strides)) {
    fill_strided(p, 0, out, value);
    return;
  }
  parallel_for(p.numel, kFillGrain,
               [&](int64_t begin, int64_t end) { fill_run(out + begin, end - begin, value); });
}

// Integers count in wrapping 64-bit arithmetic (the op layer has checked both ends); numbers in
// double, rounded once.
template <class T>
void arange_kernel(const SequenceParams& p, const void*) {
  T* out = static_cast<T*>(p.out);
  if constexpr (std::is_integral_v<T>) {
    if (!p.start.is_float() && !p.step.is_float()) {
      const uint64_t start = static_cast<uint64_t>(p.start.to_int());
      const uint64_t step = static_cast<uint64_t>(p.step.to_int());
      for (int64_t i = 0; i < p.numel; ++i) {
        out[i] = static_cast<T>(start + static_cast<uint64_t>(i) * step);
      }
      return;
    }
    // PyTorch truncates start and step of an integer dtype first.
    const int64_t start = p.start.to_int();
    const int64_t step = p.step.to_int();
    for (int64_t i = 0; i < p.numel; ++i) out[i] = static_cast<T>(start + i * step);
  } else {
    const double start = p.start.to_double();
    const double step = p.step.to_double();
    for (int64_t i = 0; i < p.numel; ++i) {
      out[i] = from_double<T>(start + static_cast<double>(i) * step);
    }
  }
}

// From both ends, so that the second half meets `end` exactly and the points are symmetric. Half
// types round every step, as PyTorch does: their points are multiples of a rounded step.
template <class T>
void linspace_kernel(const SequenceParams& p, const void*) {
  T* out = static_cast<T*>(p.out);
  const double start = p.start.to_double();
  const double end = p.end.to_double();
  const int64_t n = p.numel;
  constexpr bool kHalf = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
  const auto round = [](double v) {
    if constexpr (kHalf) return static_cast<double>(to_float(from_double<T>(v)));
    return v;
  };
  const double first = round(start);
  const double last = round(end);
  const double step = n > 1 ? round(round(last - first) / static_cast<double>(n - 1)) : 0;
  const int64_t half = n / 2;
  for (int64_t i = 0; i < n; ++i) {
    const double v = i < half || n == 1
                         ? first + round(round(static_cast<double>(i)) * step)
                         : last - round(round(static_cast<double>(n - 1 - i)) * step);
    out[i] = from_double<T>(v);
  }
}

}  // namespace

void register_creation() {
#define AG_SET(name, type, text) \
  KernelTable::set<FillParams>(OpId::fill_, DeviceType::Cpu, DType::name, fill_kernel<type>);
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
#define AG_SET(name, type, text)                                                   \
  if constexpr (DType::name != DType::Bool) {                                      \
    KernelTable::set<SequenceParams>(OpId::arange, DeviceType::Cpu, DType::name,   \
                                     arange_kernel<type>);                         \
    KernelTable::set<SequenceParams>(OpId::linspace, DeviceType::Cpu, DType::name, \
                                     linspace_kernel<type>);                       \
  }
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cpu
