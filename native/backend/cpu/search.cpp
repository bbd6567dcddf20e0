// Searching and picking on the CPU: binary search, coordinates of true elements, gather and
// scatter-add. Scatters run in the order of the index, so sums do not depend on threads.
#include <algorithm>
#include <type_traits>

#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "backend/cpu/scalar_cast.h"
#include "core/error.h"
#include "ops/kernels.h"
#include "ops/order_params.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 12;

template <class S>
auto read(S v) {
  if constexpr (std::is_same_v<S, Half> || std::is_same_v<S, BFloat16>) {
    return to_float(v);
  } else {
    return v;
  }
}

// First position whose element is not below (right: is above) the value; NaN goes to the end.
template <class S>
void search_kernel(const SearchParams& p, const void*) {
  const S* sorted = static_cast<const S*>(p.sorted);
  const S* values = static_cast<const S*>(p.values);
  parallel_for(p.rows * p.num_values, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = p.shared_row ? 0 : i / p.num_values * p.size;
      const auto value = read(values[i]);
      int64_t low = 0;
      int64_t high = p.size;
      while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const int64_t at = p.sorter == nullptr ? middle : p.sorter[row + middle];
        const auto element = read(sorted[row + at]);
        if (p.right ? !(element > value) : !(element >= value)) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      p.out[i] = low;
    }
  });
}

void nonzero_kernel(const NonzeroParams& p, const void*) {
  const size_t ndim = p.sizes.size();
  int64_t* out = p.out;
  for (int64_t i = 0; i < p.numel; ++i) {
    if (!p.mask[i]) continue;
    int64_t rest = i;
    for (size_t d = ndim; d-- > 0;) {
      out[d] = rest % p.sizes[d];
      rest /= p.sizes[d];
    }
    out += ndim;
  }
}

// Walks the index in order and hands over offsets without the indexed dimension, and the position.
template <class Visit>
void walk(const GatherParams& p, int64_t begin, int64_t end, const Visit& visit) {
  const size_t ndim = p.sizes.size();
  Dims at(ndim);
  int64_t rest = begin;
  for (size_t d = ndim; d-- > 0;) {
    at[d] = rest % p.sizes[d];
    rest /= p.sizes[d];
  }
  const size_t dim = static_cast<size_t>(p.dim);
  for (int64_t i = begin; i < end; ++i) {
    int64_t in = 0;
    int64_t out = 0;
    for (size_t d = 0; d < ndim; ++d) {
      in += at[d] * p.in_strides[d];
      out += at[d] * p.out_strides[d];
    }
    const int64_t index = p.index[i];
    AG_CHECK(index >= 0 && index < p.limit, Range, "index ", index,
             " is out of bounds for dimension ", static_cast<int64_t>(p.dim), " with size ",
             p.limit);
    visit(in, out, index, at[dim]);
    for (size_t d = ndim; d-- > 0;) {
      if (++at[d] < p.sizes[d]) break;
      at[d] = 0;
    }
  }
}

template <class Bits>
void gather_kernel(const GatherParams& p, const void*) {
  const Bits* in = static_cast<const Bits*>(p.in);
  Bits* out = static_cast<Bits*>(p.out);
  const int64_t stride = p.in_strides[static_cast<size_t>(p.dim)];
  parallel_for(element_count(p.sizes), kGrain, [&](int64_t begin, int64_t end) {
    walk(p, begin, end, [&](int64_t from, int64_t to, int64_t index, int64_t place) {
      out[to] = in[from + (index - place) * stride];
    });
  });
}

template <class S>
S sum_of(S a, S b) {
  if constexpr (std::is_same_v<S, Half> || std::is_same_v<S, BFloat16>) {
    return from_double<S>(static_cast<double>(to_float(a)) + static_cast<double>(to_float(b)));
  } else if constexpr (std::is_same_v<S, bool>) {
    return a || b;
  } else if constexpr (std::is_integral_v<S>) {
    return static_cast<S>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  } else {
    return a + b;
  }
}

// Slices before the indexed dimension never meet: they may run at the same time.
template <class S>
void scatter_add_kernel(const GatherParams& p, const void*) {
  const S* in = static_cast<const S*>(p.in);
  S* out = static_cast<S*>(p.out);
  const int64_t stride = p.out_strides[static_cast<size_t>(p.dim)];
  int64_t slices = 1;
  for (int d = 0; d < p.dim; ++d) slices *= p.sizes[static_cast<size_t>(d)];
  const int64_t length = element_count(p.sizes) / std::max<int64_t>(slices, 1);
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(length, 1));
  parallel_for(slices, grain, [&](int64_t begin, int64_t end) {
    walk(p, begin * length, end * length,
         [&](int64_t from, int64_t to, int64_t index, int64_t place) {
           S& target = out[to + (index - place) * stride];
           target = sum_of(target, in[from]);
         });
  });
}

template <class S>
constexpr KernelFn<GatherParams> gather_of() {
  if constexpr (sizeof(S) == 1) return gather_kernel<uint8_t>;
  if constexpr (sizeof(S) == 2) return gather_kernel<uint16_t>;
  if constexpr (sizeof(S) == 4) return gather_kernel<uint32_t>;
  return gather_kernel<uint64_t>;
}

}  // namespace

void register_search() {
  KernelTable::set<NonzeroParams>(OpId::nonzero, DeviceType::Cpu, DType::Bool, nonzero_kernel);
#define AG_SEARCH_CELLS(name, S, text)                                                         \
  if constexpr (!std::is_same_v<S, bool>) {                                                    \
    KernelTable::set<SearchParams>(OpId::searchsorted, DeviceType::Cpu, DType::name,           \
                                   search_kernel<S>);                                          \
  }                                                                                            \
  KernelTable::set<GatherParams>(OpId::gather, DeviceType::Cpu, DType::name, gather_of<S>());  \
  KernelTable::set<GatherParams>(OpId::scatterAdd, DeviceType::Cpu, DType::name,               \
                                 scatter_add_kernel<S>);
  AG_FOR_EACH_DTYPE(AG_SEARCH_CELLS)
#undef AG_SEARCH_CELLS
}

}  // namespace ampgrad::cpu
