#include "backend/cuda/radix.h"

#include <algorithm>
#include <utility>

#include "backend/cuda/check.h"
#include "backend/cuda/device/radix.cuh"
#include "backend/cuda/scratch.h"

namespace ampgrad::cuda {

template <class Key>
void radix_sort(const char* name, RadixBuffers<Key>* b, int64_t rows, int64_t size, int bits) {
  if (rows == 0 || size == 0) return;
  RadixArgs<Key> a;
  a.size = size;
  a.tiles = (size + kRadixTile - 1) / kRadixTile;
  AG_CHECK(size <= int64_t{UINT32_MAX} && rows * std::max<int64_t>(a.tiles, kDigits) <= INT32_MAX,
           Range, name, ": too many elements to sort on a device: ", rows, " rows of ", size);
  const Scratch scratch(static_cast<size_t>(rows * kDigits * (a.tiles + 1)) * sizeof(uint32_t));
  a.counts = scratch.as<uint32_t>();
  a.totals = a.counts + rows * kDigits * a.tiles;
  const LaunchShape tiles{dim3(static_cast<unsigned>(rows * a.tiles)), kBlockThreads};
  const LaunchShape digits{dim3(static_cast<unsigned>(rows * kDigits / kBlockWarps)),
                           kBlockThreads};
  bool first = true;
  for (a.shift = 0; a.shift < std::max(bits, 1); a.shift += 8) {
    a.keys = b->keys;
    a.order = first ? nullptr : b->order;
    a.keys_out = b->keys2;
    a.order_out = b->order2;
    launch(name, tiles, radix_count_kernel<Key>, a);
    launch(name, digits, radix_scan_kernel<Key>, a);
    launch(name, tiles, radix_scatter_kernel<Key>, a);
    std::swap(b->keys, b->keys2);
    std::swap(b->order, b->order2);
    first = false;
  }
}

template void radix_sort(const char*, RadixBuffers<uint32_t>*, int64_t, int64_t, int);
template void radix_sort(const char*, RadixBuffers<uint64_t>*, int64_t, int64_t, int);

}  // namespace ampgrad::cuda
