// Keys whose unsigned order is the order of sort (NaN last, -0 equal to 0), and the kernels around
// the sorted rows: a sort of short rows in shared memory, and what is picked from sorted rows.
#pragma once

#include <cuda_runtime.h>

#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/shared.cuh"

namespace ampgrad::cuda {

inline constexpr int kOrderThreads = 256;
inline constexpr int kShortRow = 2048;   // sorted in shared memory
inline constexpr int kShortTile = 1024;  // several rows a block when they are shorter than this

// uint32_t for types of up to 4 bytes.
template <class S>
using KeyOf = std::conditional_t<sizeof(S) == 8, uint64_t, uint32_t>;
template <class S>
inline constexpr int kKeyBits = 8 * static_cast<int>(sizeof(S));

template <class S>
inline constexpr bool kMayBeNaN = std::is_floating_point_v<S> || kIsHalf<S>;

// All bits of the type: no number's key.
template <class S>
inline constexpr KeyOf<S> kLastKey = static_cast<KeyOf<S>>(~KeyOf<S>{0} >>
                                                           (8 * sizeof(KeyOf<S>) - kKeyBits<S>));

template <class S>
AG_HD AG_INLINE KeyOf<S> bits_of(S v) {
  if constexpr (kIsHalf<S>) {
    return v.bits;
  } else if constexpr (std::is_same_v<S, float>) {
    return __builtin_bit_cast(uint32_t, v);
  } else if constexpr (std::is_same_v<S, double>) {
    return __builtin_bit_cast(uint64_t, v);
  } else {
    return static_cast<KeyOf<S>>(v) & kLastKey<S>;
  }
}

template <class S>
AG_HD AG_INLINE KeyOf<S> order_key(S v, bool descending) {
  using Key = KeyOf<S>;
  constexpr Key kSign = Key{1} << (kKeyBits<S> - 1);
  Key key = bits_of(v);
  if constexpr (kMayBeNaN<S>) {
    const OpMath<S> number = cast<OpMath<S>>(v);
    if (number != number) {
      key = kLastKey<S>;
    } else if (number == OpMath<S>{0}) {
      key = kSign;
    } else {
      key = (key & kSign) != 0 ? ~key & kLastKey<S> : key | kSign;
    }
  } else if constexpr (std::is_signed_v<S>) {
    key ^= kSign;
  }
  return descending ? ~key & kLastKey<S> : key;
}

template <class S>
__global__ void __launch_bounds__(kOrderThreads)
    order_keys_kernel(const S* in, int64_t n, bool descending, KeyOf<S>* keys) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    keys[i] = order_key(in[i], descending);
  }
}

// Bitonic sort of rows of up to `padded` (a power of two) elements by (key, position), which is a
// stable order. A block has kShortTile / padded rows at a time, or one.
template <class S>
__global__ void __launch_bounds__(kOrderThreads)
    sort_short_kernel(const S* in, int64_t rows, int size, int padded, bool descending,
                      KeyOf<S>* keys, uint32_t* order) {
  using Key = KeyOf<S>;
  AG_SHARED_ARRAY(Key, key, kShortRow);
  AG_SHARED_ARRAY(uint32_t, at, kShortRow);
  const int together = padded < kShortTile ? kShortTile / padded : 1;
  const int total = together * padded;
  for (int64_t first = int64_t{blockIdx.x} * together; first < rows;
       first += int64_t{gridDim.x} * together) {
    for (int i = static_cast<int>(threadIdx.x); i < total; i += kOrderThreads) {
      const int64_t row = first + i / padded;
      const int column = i % padded;
      const bool inside = row < rows && column < size;
      key[i] = inside ? order_key(in[row * size + column], descending) : ~Key{0};
      at[i] = static_cast<uint32_t>(column);
    }
    for (int run = 2; run <= padded; run *= 2) {
      for (int gap = run / 2; gap > 0; gap /= 2) {
        __syncthreads();
        for (int t = static_cast<int>(threadIdx.x); t < total / 2; t += kOrderThreads) {
          const int i = 2 * t - (t & (gap - 1));
          const int j = i + gap;
          const bool upward = (i & (padded - 1) & run) == 0;
          const bool later = key[i] > key[j] || (key[i] == key[j] && at[i] > at[j]);
          if (later != upward) continue;
          const Key k = key[i];
          key[i] = key[j];
          key[j] = k;
          const uint32_t a = at[i];
          at[i] = at[j];
          at[j] = a;
        }
      }
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < total; i += kOrderThreads) {
      const int64_t row = first + i / padded;
      const int column = i % padded;
      if (row >= rows || column >= size) continue;
      keys[row * size + column] = key[i];
      order[row * size + column] = at[i];
    }
    __syncthreads();
  }
}

struct PickArgs {
  const void* in = nullptr;
  void* values = nullptr;
  int64_t* indices = nullptr;
  int64_t rows = 0, size = 0, k = 0;
};

// The first k of each sorted row; E moves a value.
template <class E>
__global__ void __launch_bounds__(kOrderThreads)
    pick_first_kernel(const PickArgs a, const uint32_t* order) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.rows * a.k; i += step) {
    const int64_t row = i / a.k;
    const int64_t at = order[row * a.size + (i - row * a.k)];
    a.indices[i] = at;
    if (a.values != nullptr) {
      static_cast<E*>(a.values)[i] = static_cast<const E*>(a.in)[row * a.size + at];
    }
  }
}

// First position in a sorted row whose key is not below `key`.
template <class Key>
AG_HD AG_INLINE int64_t first_not_below(const Key* keys, int64_t size, Key key) {
  int64_t low = 0;
  int64_t high = size;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (keys[middle] < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

enum class Pick : uint8_t { Kth, Median, NanMedian };

// One item of each sorted row.
template <class S>
__global__ void __launch_bounds__(kOrderThreads)
    pick_rank_kernel(const PickArgs a, Pick pick, const KeyOf<S>* keys, const uint32_t* order) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t r = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; r < a.rows; r += step) {
    int64_t rank = a.k - 1;
    if (pick != Pick::Kth) {
      const int64_t numbers =
          kMayBeNaN<S> ? first_not_below(keys + r * a.size, a.size, kLastKey<S>) : a.size;
      const bool answers_nan = numbers < a.size && (pick == Pick::Median || numbers == 0);
      rank = answers_nan ? numbers : (numbers - 1) / 2;
    }
    const int64_t at = order[r * a.size + rank];
    a.indices[r] = at;
    if (a.values != nullptr) {
      static_cast<S*>(a.values)[r] = static_cast<const S*>(a.in)[r * a.size + at];
    }
  }
}

// The last item of the first longest run of equal keys; each NaN is a run. A block for each row.
template <class S>
__global__ void __launch_bounds__(kOrderThreads)
    pick_mode_kernel(const PickArgs a, const KeyOf<S>* all_keys, const uint32_t* order) {
  AG_SHARED_ARRAY(int64_t, length, kOrderThreads);
  AG_SHARED_ARRAY(int64_t, place, kOrderThreads);
  const unsigned t = threadIdx.x;
  for (int64_t r = blockIdx.x; r < a.rows; r += gridDim.x) {
    const KeyOf<S>* keys = all_keys + r * a.size;
    int64_t longest = 0;
    int64_t best = 0;
    for (int64_t i = t; i < a.size; i += kOrderThreads) {
      const bool nan = kMayBeNaN<S> && keys[i] == kLastKey<S>;
      if (!nan && i + 1 < a.size && keys[i + 1] == keys[i]) continue;
      const int64_t run = nan ? 1 : i + 1 - first_not_below(keys, a.size, keys[i]);
      if (run > longest) {
        longest = run;
        best = i;
      }
    }
    length[t] = longest;
    place[t] = best;
    for (unsigned half = kOrderThreads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (t >= half) continue;
      const int64_t n = length[t + half];
      if (n > length[t] || (n == length[t] && place[t + half] < place[t])) {
        length[t] = n;
        place[t] = place[t + half];
      }
    }
    if (t == 0) {
      const int64_t at = order[r * a.size + place[0]];
      a.indices[r] = at;
      if (a.values != nullptr) {
        static_cast<S*>(a.values)[r] = static_cast<const S*>(a.in)[r * a.size + at];
      }
    }
    __syncthreads();
  }
}

}  // namespace ampgrad::cuda
