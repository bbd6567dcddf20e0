// Attention without the rows x keys matrix (Milakov and Gimelshein, "Online normalizer calculation
// for softmax", 2018; Dao et al., "FlashAttention", 2022): a block takes a tile of rows and walks
// over the keys. The backward makes the probabilities again from the saved sums, once by keys (for
// the gradients of keys and values) and once by rows (for the queries'): no atomics, one order.
#pragma once

#include "backend/cuda/device/tiles.cuh"
#include "math/softmax-inl.h"

namespace ampgrad::cuda {

struct AttentionArgs {
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  const void* mask = nullptr;
  const int64_t* mask_offsets = nullptr;  // on the device
  int64_t mask_row = 0, mask_col = 0;
  void* out = nullptr;
  void* lse = nullptr;
  const void* grad = nullptr;
  void* grad_q = nullptr;
  void* grad_k = nullptr;
  void* grad_v = nullptr;
  const void* dots = nullptr;  // sums of out * grad of each row
  void* sums = nullptr;        // tiles of sums where shared memory is too small
  int64_t pairs = 0;
  int rows = 0, keys = 0, width = 0, value_width = 0;
  bool causal = false;
  double scale = 1;
};

// One pair of matrices.
template <class Tiles>
struct AttentionPair {
  using S = typename Tiles::Storage;
  using T = typename Tiles::T;
  static constexpr int kSize = Tiles::kSize;
  static constexpr int kLd = Tiles::kLd;

  const AttentionArgs& a;
  const S* q;
  const S* k;
  const S* v;
  const S* grad;
  const T* mask;
  int64_t row0;  // of the pair among all rows
  void* buffer;

  __device__ AttentionPair(const AttentionArgs& args, int64_t pair, void* shared)
      : a(args),
        q(static_cast<const S*>(args.q) + pair * args.rows * args.width),
        k(static_cast<const S*>(args.k) + pair * args.keys * args.width),
        v(static_cast<const S*>(args.v) + pair * args.keys * args.value_width),
        grad(static_cast<const S*>(args.grad) + pair * args.rows * args.value_width),
        mask(args.mask == nullptr ? nullptr
                                  : static_cast<const T*>(args.mask) + args.mask_offsets[pair]),
        row0(pair * args.rows),
        buffer(shared) {}

  // Keys that some row below `end` may look at.
  __device__ int reach(int end) const { return a.causal && end < a.keys ? end : a.keys; }

  __device__ AG_INLINE T score(T product, int row, int key) const {
    const bool seen = row < a.rows && key < a.keys && (!a.causal || key <= row);
    if (!seen) return -INFINITY;
    T x = product * static_cast<T>(a.scale);
    if (mask != nullptr) x += mask[row * a.mask_row + key * a.mask_col];
    return x;
  }

  // Products of rows i0 .. and keys j0 ..
  __device__ void scores(int i0, int j0, T* to) const {
    Tiles::multiply(along_k([&](int m, int e) {
                      return i0 + m < a.rows ? q[int64_t{i0 + m} * a.width + e] : S{};
                    }),
                    along_k([&](int e, int n) {
                      return j0 + n < a.keys ? k[int64_t{j0 + n} * a.width + e] : S{};
                    }),
                    a.width, false, to, buffer);
  }

  // Products of the gradient's rows and the values.
  __device__ void slopes(int i0, int j0, T* to) const {
    const int w = a.value_width;
    Tiles::multiply(
        along_k(
            [&](int m, int e) { return i0 + m < a.rows ? grad[int64_t{i0 + m} * w + e] : S{}; }),
        along_k([&](int e, int n) { return j0 + n < a.keys ? v[int64_t{j0 + n} * w + e] : S{}; }),
        w, false, to, buffer);
  }

  // Products of rows and keys become probabilities, those of gradients and values the slopes of
  // the scores. A tile that holds a row's every key knows the sum that the output, rounded to S,
  // only approximates.
  __device__ void differentiate(int i0, int j0, T* probabilities, T* slopes) const {
    constexpr int kEach = kSize / 32;
    const T* lse = static_cast<const T*>(a.lse) + row0;
    const T* dots = static_cast<const T*>(a.dots) + row0;
    const bool whole = j0 == 0 && reach(i0 + kSize) <= kSize;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    for (int r = static_cast<int>(threadIdx.x) / 32; r < kSize; r += Tiles::kThreads / 32) {
      const int row = i0 + r;
      const bool sees = row < a.rows && lse[row] != static_cast<T>(-INFINITY);
      T p[kEach];
      T dot{0};
      AG_UNROLL
      for (int i = 0; i < kEach; ++i) {
        const int at = r * kLd + lane + i * 32;
        const T x = score(probabilities[at], row, j0 + lane + i * 32);
        p[i] = sees && x != static_cast<T>(-INFINITY) ? math::exp_nonpositive(x - lse[row]) : T{0};
        probabilities[at] = p[i];
        dot += p[i] * slopes[at];
      }
      if (whole) {
        AG_UNROLL
        for (int half = 16; half > 0; half /= 2) dot += __shfl_xor_sync(0xffffffffu, dot, half);
      } else {
        dot = sees ? dots[row] : T{0};
      }
      AG_UNROLL
      for (int i = 0; i < kEach; ++i) {
        const int at = r * kLd + lane + i * 32;
        slopes[at] = sees ? p[i] * (slopes[at] - dot) * static_cast<T>(a.scale) : T{0};
      }
    }
    __syncthreads();
  }
};

// columns of `count` rows of `to`, from tiles of sums side by side.
template <class Tiles, class S, class F>
__device__ void store_tiles(const typename Tiles::T* sums, int first, int count, int width,
                            const F& factor, S* to) {
  constexpr int kTileNumel = Tiles::kSize * Tiles::kLd;
  const int rows = count - first < Tiles::kSize ? count - first : Tiles::kSize;
  for (int i = static_cast<int>(threadIdx.x); i < rows * width; i += Tiles::kThreads) {
    const int row = i / width;
    const int column = i - row * width;
    const int tile = column / Tiles::kSize;
    to[int64_t{first + row} * width + column] =
        cast<S>(sums[tile * kTileNumel + row * Tiles::kLd + column % Tiles::kSize] * factor(row));
  }
}

template <class Tiles>
__device__ void zero_tiles(typename Tiles::T* sums, int tiles) {
  constexpr int kTileNumel = Tiles::kSize * Tiles::kLd;
  for (int i = static_cast<int>(threadIdx.x); i < tiles * kTileNumel; i += Tiles::kThreads) {
    sums[i] = 0;
  }
}

AG_HD AG_INLINE int tiles_of(int n, int size) { return (n + size - 1) / size; }

// A row of scores, by a warp: exponentials relative to the new maximum; returns what the row's
// older sums shrink by.
template <class Tiles>
__device__ typename Tiles::T soften_row(typename Tiles::T* scores, typename Tiles::T* top,
                                        typename Tiles::T* total) {
  using T = typename Tiles::T;
  constexpr unsigned kAll = 0xffffffffu;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  T here = -INFINITY;
  for (int c = lane; c < Tiles::kSize; c += 32) {
    if (scores[c] > here || scores[c] != scores[c]) here = scores[c];
  }
  AG_UNROLL
  for (int half = 16; half > 0; half /= 2) {
    const T other = __shfl_xor_sync(kAll, here, half);
    if (other > here || other != other) here = other;
  }
  const T before = *top;
  const T now = here > before || here != here ? here : before;
  const bool nothing = now == static_cast<T>(-INFINITY);
  T sum{0};
  for (int c = lane; c < Tiles::kSize; c += 32) {
    const T e = nothing ? T{0} : math::exp_nonpositive(scores[c] - now);
    scores[c] = e;
    sum += e;
  }
  AG_UNROLL
  for (int half = 16; half > 0; half /= 2) sum += __shfl_xor_sync(kAll, sum, half);
  const T factor = nothing ? T{1} : math::exp_nonpositive(before - now);
  __syncwarp();
  if (lane == 0) {
    *total = *total * factor + sum;
    *top = now;
  }
  return factor;
}

// Shared memory: the buffer of products, the scores, the tops and totals of rows, and the sums
// where they fit.
template <class Tiles>
__global__ void __launch_bounds__(Tiles::kThreads) attention_forward_kernel(const AttentionArgs a) {
  using S = typename Tiles::Storage;
  using T = typename Tiles::T;
  constexpr int kSize = Tiles::kSize;
  constexpr int kLd = Tiles::kLd;
  constexpr int kTileNumel = kSize * kLd;
  AG_SHARED_DYNAMIC(unsigned char, buffer);
  T* scores = reinterpret_cast<T*>(buffer + Tiles::kBufferBytes);
  T* top = scores + kTileNumel;
  T* total = top + kSize;
  const int tiles = tiles_of(a.value_width, kSize);
  T* sums = a.sums == nullptr ? total + kSize
                              : static_cast<T*>(a.sums) + int64_t{blockIdx.x} * tiles * kTileNumel;
  const int blocks = tiles_of(a.rows, kSize);
  const AttentionPair<Tiles> pair(a, blockIdx.x / blocks, buffer);
  const int i0 = static_cast<int>(blockIdx.x % blocks) * kSize;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  zero_tiles<Tiles>(sums, tiles);
  for (int i = static_cast<int>(threadIdx.x); i < kSize; i += Tiles::kThreads) {
    top[i] = -INFINITY;
    total[i] = 0;
  }
  __syncthreads();
  const int reach = pair.reach(i0 + kSize);
  for (int j0 = 0; j0 < reach; j0 += kSize) {
    pair.scores(i0, j0, scores);
    for (int r = warp; r < kSize; r += Tiles::kThreads / 32) {
      for (int c = lane; c < kSize; c += 32) {
        scores[r * kLd + c] = pair.score(scores[r * kLd + c], i0 + r, j0 + c);
      }
      const T factor = soften_row<Tiles>(scores + r * kLd, top + r, total + r);
      if (factor == T{1}) continue;
      for (int c = lane; c < tiles * kSize; c += 32) {
        sums[c / kSize * kTileNumel + r * kLd + c % kSize] *= factor;
      }
    }
    __syncthreads();
    const int depth = reach - j0 < kSize ? reach - j0 : kSize;
    for (int t = 0; t < tiles; ++t) {
      const S* v = pair.v + int64_t{j0} * a.value_width;
      Tiles::multiply(
          along_k([&](int m, int n) { return scores[m * kLd + n]; }), across_k([&](int n, int c) {
            const int column = t * kSize + c;
            return column < a.value_width ? v[int64_t{n} * a.value_width + column] : S{};
          }),
          depth, true, sums + t * kTileNumel, buffer);
    }
  }
  S* out = static_cast<S*>(a.out) + pair.row0 * a.value_width;
  // A row that sees nothing gives zeros.
  store_tiles<Tiles>(
      sums, i0, a.rows, a.value_width,
      [&](int r) { return total[r] == T{0} ? T{0} : T{1} / total[r]; }, out);
  T* lse = static_cast<T*>(a.lse) + pair.row0;
  for (int r = static_cast<int>(threadIdx.x); r < kSize && i0 + r < a.rows; r += Tiles::kThreads) {
    lse[i0 + r] = total[r] == T{0} ? static_cast<T>(-INFINITY) : top[r] + log(total[r]);
  }
}

// Gradients of a tile of keys and values.
template <class Tiles>
__global__ void __launch_bounds__(Tiles::kThreads) attention_keys_kernel(const AttentionArgs a) {
  using S = typename Tiles::Storage;
  using T = typename Tiles::T;
  constexpr int kSize = Tiles::kSize;
  constexpr int kLd = Tiles::kLd;
  constexpr int kTileNumel = kSize * kLd;
  AG_SHARED_DYNAMIC(unsigned char, buffer);
  T* probabilities = reinterpret_cast<T*>(buffer + Tiles::kBufferBytes);
  T* slopes = probabilities + kTileNumel;
  const int k_tiles = tiles_of(a.width, kSize);
  const int v_tiles = tiles_of(a.value_width, kSize);
  T* dk = a.sums == nullptr
              ? slopes + kTileNumel
              : static_cast<T*>(a.sums) + int64_t{blockIdx.x} * (k_tiles + v_tiles) * kTileNumel;
  T* dv = dk + k_tiles * kTileNumel;
  const int blocks = tiles_of(a.keys, kSize);
  const int64_t number = blockIdx.x / blocks;
  const AttentionPair<Tiles> pair(a, number, buffer);
  const int j0 = static_cast<int>(blockIdx.x % blocks) * kSize;
  zero_tiles<Tiles>(dk, k_tiles + v_tiles);
  __syncthreads();
  for (int i0 = a.causal ? j0 : 0; i0 < a.rows; i0 += kSize) {
    pair.scores(i0, j0, probabilities);
    pair.slopes(i0, j0, slopes);
    pair.differentiate(i0, j0, probabilities, slopes);
    const int depth = a.rows - i0 < kSize ? a.rows - i0 : kSize;
    const auto product = [&](const T* left, const S* right, int width, int tile, T* to) {
      Tiles::multiply(across_k([&](int n, int m) { return left[m * kLd + n]; }),
                      across_k([&](int m, int c) {
                        const int column = tile * kSize + c;
                        return column < width ? right[int64_t{i0 + m} * width + column] : S{};
                      }),
                      depth, true, to + tile * kTileNumel, buffer);
    };
    for (int t = 0; t < v_tiles; ++t) product(probabilities, pair.grad, a.value_width, t, dv);
    for (int t = 0; t < k_tiles; ++t) product(slopes, pair.q, a.width, t, dk);
  }
  const auto one = [](int) { return T{1}; };
  store_tiles<Tiles>(dk, j0, a.keys, a.width, one,
                     static_cast<S*>(a.grad_k) + number * a.keys * a.width);
  store_tiles<Tiles>(dv, j0, a.keys, a.value_width, one,
                     static_cast<S*>(a.grad_v) + number * a.keys * a.value_width);
}

// Gradients of a tile of queries.
template <class Tiles>
__global__ void __launch_bounds__(Tiles::kThreads) attention_rows_kernel(const AttentionArgs a) {
  using S = typename Tiles::Storage;
  using T = typename Tiles::T;
  constexpr int kSize = Tiles::kSize;
  constexpr int kLd = Tiles::kLd;
  constexpr int kTileNumel = kSize * kLd;
  AG_SHARED_DYNAMIC(unsigned char, buffer);
  T* probabilities = reinterpret_cast<T*>(buffer + Tiles::kBufferBytes);
  T* slopes = probabilities + kTileNumel;
  const int tiles = tiles_of(a.width, kSize);
  T* dq = a.sums == nullptr ? slopes + kTileNumel
                            : static_cast<T*>(a.sums) + int64_t{blockIdx.x} * tiles * kTileNumel;
  const int blocks = tiles_of(a.rows, kSize);
  const AttentionPair<Tiles> pair(a, blockIdx.x / blocks, buffer);
  const int i0 = static_cast<int>(blockIdx.x % blocks) * kSize;
  zero_tiles<Tiles>(dq, tiles);
  __syncthreads();
  const int reach = pair.reach(i0 + kSize);
  for (int j0 = 0; j0 < reach; j0 += kSize) {
    pair.scores(i0, j0, probabilities);
    pair.slopes(i0, j0, slopes);
    pair.differentiate(i0, j0, probabilities, slopes);
    const int depth = reach - j0 < kSize ? reach - j0 : kSize;
    for (int t = 0; t < tiles; ++t) {
      Tiles::multiply(along_k([&](int m, int n) { return slopes[m * kLd + n]; }),
                      across_k([&](int n, int c) {
                        const int column = t * kSize + c;
                        return column < a.width ? pair.k[int64_t{j0 + n} * a.width + column] : S{};
                      }),
                      depth, true, dq + t * kTileNumel, buffer);
    }
  }
  store_tiles<Tiles>(
      dq, i0, a.rows, a.width, [](int) { return T{1}; },
      static_cast<S*>(a.grad_q) + pair.row0 * a.width);
}

}  // namespace ampgrad::cuda
