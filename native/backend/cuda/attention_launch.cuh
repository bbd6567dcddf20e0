// The launches of attention's kernels for one kind of tiles: how much shared memory they take, and
// where sums go that do not fit.
#pragma once

#include "backend/cuda/attention.cuh"
#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/scratch.h"
#include "ops/attention_params.h"

namespace ampgrad::cuda {

// `sums` tiles of sums besides `fixed` bytes: in shared memory, or in a scratch of their own.
template <class Tiles>
void launch_attention(const char* name, void (*kernel)(AttentionArgs), AttentionArgs a,
                      int64_t blocks, size_t fixed, int sums) {
  using T = typename Tiles::T;
  if (blocks == 0) return;
  AG_CHECK(blocks <= INT32_MAX, Shape, name, ": too many pairs of matrices for one launch");
  const size_t bytes = static_cast<size_t>(sums) * Tiles::kSize * Tiles::kLd * sizeof(T);
  const size_t limit = current_context().properties.sharedMemPerBlockOptin;
  const bool fits = fixed + bytes <= limit;
  const Scratch scratch(fits ? 0 : static_cast<size_t>(blocks) * bytes);
  a.sums = scratch.template as<void>();
  const size_t shared = fixed + (fits ? bytes : 0);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared)),
        name);
  const LaunchShape shape{dim3(static_cast<unsigned>(blocks)), Tiles::kThreads, shared};
  launch(name, shape, kernel, a);
}

template <class Tiles>
void attention_forward(const AttentionArgs& a) {
  constexpr int kSize = Tiles::kSize;
  const size_t fixed =
      Tiles::kBufferBytes + (kSize * Tiles::kLd + 2 * kSize) * sizeof(typename Tiles::T);
  launch_attention<Tiles>("nativeAttention", attention_forward_kernel<Tiles>, a,
                          a.pairs * tiles_of(a.rows, kSize), fixed, tiles_of(a.value_width, kSize));
}

template <class Tiles>
void attention_backward(const AttentionArgs& a) {
  constexpr int kSize = Tiles::kSize;
  const size_t fixed = Tiles::kBufferBytes + 2 * kSize * Tiles::kLd * sizeof(typename Tiles::T);
  const int tiles = tiles_of(a.width, kSize);
  launch_attention<Tiles>("attentionBackward", attention_keys_kernel<Tiles>, a,
                          a.pairs * tiles_of(a.keys, kSize), fixed,
                          tiles + tiles_of(a.value_width, kSize));
  launch_attention<Tiles>("attentionBackward", attention_rows_kernel<Tiles>, a,
                          a.pairs * tiles_of(a.rows, kSize), fixed, tiles);
}

}  // namespace ampgrad::cuda
