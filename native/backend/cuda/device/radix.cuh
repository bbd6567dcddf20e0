// Kernels of the stable radix sort (radix.h): 8 bits a pass. Each block counts the digits of its
// tile; the counts of a digit are summed over the tiles before; then each block writes its tile.
// Equal digits keep their order because warps own consecutive pieces of the tile and count matches
// of the lanes before.
#pragma once

#include "backend/cuda/device/block.cuh"

namespace ampgrad::cuda {

inline constexpr int kRadixItems = 8;
inline constexpr int kRadixTile = kBlockThreads * kRadixItems;
inline constexpr int kDigits = 256;

// Rows of `size` keys, each sorted by itself. Block b has tile b % tiles of row b / tiles.
template <class Key>
struct RadixArgs {
  const Key* keys = nullptr;
  const uint32_t* order = nullptr;  // nullptr: the positions themselves
  Key* keys_out = nullptr;
  uint32_t* order_out = nullptr;
  int64_t size = 0;
  int64_t tiles = 0;
  int shift = 0;
  uint32_t* counts = nullptr;  // [rows, digits, tiles]
  uint32_t* totals = nullptr;  // [rows, digits]
};

template <class Key>
__global__ void __launch_bounds__(kBlockThreads) radix_count_kernel(const RadixArgs<Key> a) {
  AG_SHARED_ARRAY(uint32_t, count, kDigits);
  count[threadIdx.x] = 0;
  __syncthreads();
  const int64_t row = blockIdx.x / a.tiles;
  const int64_t tile = blockIdx.x - row * a.tiles;
  AG_UNROLL
  for (int i = 0; i < kRadixItems; ++i) {
    const int64_t at = tile * kRadixTile + i * kBlockThreads + threadIdx.x;
    if (at >= a.size) continue;
    const auto digit = static_cast<unsigned>(a.keys[row * a.size + at] >> a.shift) % kDigits;
    atomicAdd(&count[digit], 1u);
  }
  __syncthreads();
  a.counts[(row * kDigits + threadIdx.x) * a.tiles + tile] = count[threadIdx.x];
}

// A warp for each digit of a row.
template <class Key>
__global__ void __launch_bounds__(kBlockThreads) radix_scan_kernel(const RadixArgs<Key> a) {
  const unsigned lane = threadIdx.x % 32;
  const int64_t digit = int64_t{blockIdx.x} * kBlockWarps + threadIdx.x / 32;
  uint32_t* counts = a.counts + digit * a.tiles;
  uint32_t sum = 0;
  for (int64_t first = 0; first < a.tiles; first += 32) {
    const int64_t i = first + lane;
    const uint32_t own = i < a.tiles ? counts[i] : 0;
    uint32_t upto = own;
    AG_UNROLL
    for (unsigned d = 1; d < 32; d *= 2) {
      const uint32_t before = __shfl_up_sync(kFullMask, upto, d);
      if (lane >= d) upto += before;
    }
    if (i < a.tiles) counts[i] = sum + upto - own;
    sum += __shfl_sync(kFullMask, upto, 31);
  }
  if (lane == 0) a.totals[digit] = sum;
}

template <class Key>
__global__ void __launch_bounds__(kBlockThreads) radix_scatter_kernel(const RadixArgs<Key> a) {
  constexpr int kColumns = kDigits + 1;  // the last counts lanes behind the row's end
  AG_SHARED_ARRAY(uint32_t, seen, kBlockWarps * kColumns);
  AG_SHARED_ARRAY(uint32_t, shared, kBlockWarps);
  for (unsigned i = threadIdx.x; i < kBlockWarps * kColumns; i += kBlockThreads) seen[i] = 0;
  __syncthreads();
  const unsigned lane = threadIdx.x % 32;
  const unsigned warp = threadIdx.x / 32;
  const int64_t row = blockIdx.x / a.tiles;
  const int64_t tile = blockIdx.x - row * a.tiles;
  const int64_t first = tile * kRadixTile + int64_t{warp} * 32 * kRadixItems + lane;
  uint32_t* own = seen + warp * kColumns;
  Key key[kRadixItems];
  uint32_t rank[kRadixItems];
  AG_UNROLL
  for (int i = 0; i < kRadixItems; ++i) {
    const int64_t at = first + i * 32;
    const bool inside = at < a.size;
    key[i] = inside ? a.keys[row * a.size + at] : Key{0};
    const unsigned digit =
        inside ? static_cast<unsigned>(key[i] >> a.shift) % kDigits : unsigned{kDigits};
    const unsigned same = __match_any_sync(kFullMask, digit);
    const unsigned before = same & ((1u << lane) - 1);
    rank[i] = own[digit] + static_cast<uint32_t>(__popc(before));
    __syncwarp();
    if (before == 0) own[digit] += static_cast<uint32_t>(__popc(same));
    __syncwarp();
  }
  __syncthreads();
  // Thread d makes the counts of digit d into the places where each warp's begin.
  const unsigned d = threadIdx.x;
  uint32_t all = 0;
  const uint32_t smaller = block_exclusive_sum(a.totals[row * kDigits + d], shared, &all);
  uint32_t place = smaller + a.counts[(row * kDigits + d) * a.tiles + tile];
  AG_UNROLL
  for (int w = 0; w < kBlockWarps; ++w) {
    const uint32_t n = seen[w * kColumns + d];
    seen[w * kColumns + d] = place;
    place += n;
  }
  __syncthreads();
  AG_UNROLL
  for (int i = 0; i < kRadixItems; ++i) {
    const int64_t at = first + i * 32;
    if (at >= a.size) continue;
    const unsigned digit = static_cast<unsigned>(key[i] >> a.shift) % kDigits;
    const int64_t to = row * a.size + own[digit] + rank[i];
    a.keys_out[to] = key[i];
    a.order_out[to] = a.order == nullptr ? static_cast<uint32_t>(at) : a.order[row * a.size + at];
  }
}

}  // namespace ampgrad::cuda
