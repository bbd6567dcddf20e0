// What the SIMD units of the matrix product offer to its driver (gemm.cpp), per Highway target.
// Also the scratch memory they pack into.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/params.h"

namespace ampgrad::cpu {

// y[i] = alpha * sum_p matrix(i, p) x[p] + beta * y[i] + bias[i]; strides in elements. One of
// the two strides of the matrix is 1.
struct GemvArgs {
  int64_t rows = 0, k = 0;
  const void* matrix = nullptr;
  int64_t row_stride = 0, k_stride = 0;
  const void* x = nullptr;  // k values of the accumulator type, contiguous
  void* y = nullptr;
  int64_t y_stride = 1;
  const void* bias = nullptr;
  int64_t bias_stride = 1;
  double alpha = 1, beta = 0;
  // Where the bare sums go instead of y, for columns that are a part of a matrix's: `rows` values
  // of the accumulator type.
  void* sums = nullptr;
};

struct GemmKernels {
  // One product on the calling thread; reads no batch field.
  void (*tile)(const GemmParams& params) = nullptr;
  // The same with GemmParams::widened; only of half dtypes.
  void (*tile_widened)(const GemmParams& params) = nullptr;
  void (*gemv)(const GemvArgs& args) = nullptr;
  // y from the sums of parts of the columns, `stride` values apart.
  void (*gemv_finish)(const GemvArgs& args, const void* sums, int64_t parts,
                      int64_t stride) = nullptr;
  // out[i] = x[i * stride], converted to the accumulator type.
  void (*widen)(const void* x, int64_t stride, int64_t n, void* out) = nullptr;
  int64_t rows = 0, cols = 0;  // size of the register tile
  bool rounds_b = false;       // `tile` takes GemmParams::b_rounded
};

GemmKernels gemm_kernels_f32();
GemmKernels gemm_kernels_f64();
GemmKernels gemm_kernels_f16();
GemmKernels gemm_kernels_bf16();

// Register tiles of bfloat16 pairs: like the float tiles over packed panels, but every element is
// two neighbours in k, and a step adds both products. fn[rows - 1][vectors - 1].
inline constexpr int kDotRows = 14;
struct Bf16DotTable {
  void (*fn[kDotRows][2])(int64_t steps, const float* a, const float* b, float* out,
                          int64_t out_row, bool add);
};
// nullptr where the machine has no such instructions.
const Bf16DotTable* bf16_dot_table();

// All integer dtypes and bool, one product on the calling thread.
void gemm_integer(const GemmParams& params);

// Buffers of the calling thread, 64-byte aligned, kept for the next call and grown as needed.
// A slot's pointer is valid until the same slot is asked for again.
enum class GemmSlot { A, B, Accumulator, Vector, Image, Shared };
inline constexpr int kNumGemmSlots = 6;
void* gemm_scratch(GemmSlot slot, size_t bytes);

// Bytes of a packed block of A: it stays in the second-level cache while panels of B pass.
int64_t gemm_block_bytes();

}  // namespace ampgrad::cpu
