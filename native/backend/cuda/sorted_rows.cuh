// Rows in sorted order, in device memory for the time of a few launches: the keys and the position
// that each had. Stable.
#pragma once

#include <algorithm>
#include <bit>

#include "backend/cuda/check.h"
#include "backend/cuda/device/order.cuh"
#include "backend/cuda/radix.h"
#include "backend/cuda/scratch.h"

namespace ampgrad::cuda {

template <class S>
class SortedRows {
 public:
  using Key = KeyOf<S>;

  SortedRows(const char* name, const S* in, int64_t rows, int64_t size, bool descending)
      : scratch_(static_cast<size_t>(rows * size) * (sizeof(Key) + sizeof(uint32_t)) *
                 (size > kShortRow ? 2 : 1)) {
    const int64_t n = rows * size;
    RadixBuffers<Key> b;
    b.keys = scratch_.as<Key>();
    if (size <= kShortRow) {
      b.order = reinterpret_cast<uint32_t*>(b.keys + n);
      sort_short(name, in, rows, size, descending, b);
    } else {
      b.keys2 = b.keys + n;
      b.order = reinterpret_cast<uint32_t*>(b.keys2 + n);
      b.order2 = b.order + n;
      launch(name, {grid_for(n, kOrderThreads), kOrderThreads}, order_keys_kernel<S>, in, n,
             descending, b.keys);
      radix_sort(name, &b, rows, size, kKeyBits<S>);
    }
    keys_ = b.keys;
    order_ = b.order;
  }

  const Key* keys() const { return keys_; }
  const uint32_t* order() const { return order_; }

 private:
  static void sort_short(const char* name, const S* in, int64_t rows, int64_t size, bool descending,
                         const RadixBuffers<Key>& b) {
    const auto padded = static_cast<int>(std::bit_ceil(static_cast<uint64_t>(size)));
    const int64_t together = std::max(1, kShortTile / padded);
    const auto blocks =
        static_cast<unsigned>(std::min<int64_t>((rows + together - 1) / together, 1 << 20));
    launch(name, {dim3(blocks), kOrderThreads}, sort_short_kernel<S>, in, rows,
           static_cast<int>(size), padded, descending, b.keys, b.order);
  }

  Scratch scratch_;
  Key* keys_;
  uint32_t* order_;
};

}  // namespace ampgrad::cuda
