// Binary search on the CPU.
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

}  // namespace

void register_search() {
#define AG_SEARCH_CELL(name, S, text)                                                \
  if constexpr (!std::is_same_v<S, bool>) {                                          \
    KernelTable::set<SearchParams>(OpId::searchsorted, DeviceType::Cpu, DType::name, \
                                   search_kernel<S>);                                \
  }
  AG_FOR_EACH_DTYPE(AG_SEARCH_CELL)
#undef AG_SEARCH_CELL
}

}  // namespace ampgrad::cpu
