// Matrix products of integers, which cuBLAS does not have: tiles of sums by threads, or a block for
// each sum where the product is a vector. Sums wrap, so that accumulating modulo 2^32 leaves the
// same low bits as 64 would; only int64 needs the wider type.
#include <algorithm>
#include <type_traits>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/reduce.cuh"
#include "backend/cuda/device/tiles.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/gemm.h"

namespace ampgrad::cuda {

namespace {

constexpr int64_t kMaxBatches = 65535;  // of one launch: the grid's third dimension

// C = alpha A B + beta C + bias of batches that are equal steps apart.
struct IntegerProduct {
  int64_t m, n, k;
  const void *a, *b, *bias;
  void* c;
  int64_t a_row, a_col, a_step;
  int64_t b_row, b_col, b_step;
  int64_t c_row, c_step;
  int64_t alpha, beta;
  bool reads_c;
};

template <class T>
using SumOf = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

// Tiles whose sums and factors fit into the shared memory that every block has.
template <class T>
using IntegerTiles = ThreadTiles<SumOf<T>, sizeof(T) == 8 ? 32 : 64>;

// The operands of this block's batch.
template <class T>
struct Batch {
  using Sum = SumOf<T>;
  const IntegerProduct& p;
  const T *a, *b;
  T* c;

  __device__ explicit Batch(const IntegerProduct& product)
      : p(product),
        a(static_cast<const T*>(p.a) + blockIdx.z * p.a_step),
        b(static_cast<const T*>(p.b) + blockIdx.z * p.b_step),
        c(static_cast<T*>(p.c) + blockIdx.z * p.c_step) {}

  __device__ AG_INLINE Sum left(int64_t i, int64_t k) const {
    return i < p.m ? static_cast<Sum>(a[i * p.a_row + k * p.a_col]) : Sum{0};
  }
  __device__ AG_INLINE Sum right(int64_t k, int64_t j) const {
    return j < p.n ? static_cast<Sum>(b[k * p.b_row + j * p.b_col]) : Sum{0};
  }
  __device__ AG_INLINE void store(int64_t i, int64_t j, Sum sum) const {
    Sum v = static_cast<Sum>(p.alpha) * sum;
    if (p.reads_c) v += static_cast<Sum>(p.beta) * static_cast<Sum>(c[i * p.c_row + j]);
    if (p.bias != nullptr) v += static_cast<Sum>(static_cast<const T*>(p.bias)[j]);
    c[i * p.c_row + j] = static_cast<T>(v);
  }
};

template <class T, bool kDenseA, bool kDenseB>
__global__ void __launch_bounds__(IntegerTiles<T>::kThreads)
    integer_tile_kernel(const IntegerProduct p) {
  using Tiles = IntegerTiles<T>;
  using Sum = SumOf<T>;
  constexpr int kSize = Tiles::kSize;
  AG_SHARED_ARRAY(Sum, sums, kSize * Tiles::kLd);
  AG_SHARED_ARRAY(Sum, buffer, Tiles::kBufferBytes / static_cast<int>(sizeof(Sum)));
  const Batch<T> batch(p);
  const int64_t across = (p.n + kSize - 1) / kSize;
  const int64_t i0 = blockIdx.x / across * kSize;
  const int64_t j0 = blockIdx.x % across * kSize;
  const auto left = [&](int i, int k) { return batch.left(i0 + i, k); };
  const auto right = [&](int k, int j) { return batch.right(k, j0 + j); };
  const TileFactor<kDenseA, decltype(left)> rows{left};
  const TileFactor<kDenseB, decltype(right)> columns{right};
  Tiles::multiply(rows, columns, static_cast<int>(p.k), false, sums, buffer);
  for (int t = static_cast<int>(threadIdx.x); t < kSize * kSize; t += Tiles::kThreads) {
    const int64_t i = i0 + t / kSize;
    const int64_t j = j0 + t % kSize;
    if (i < p.m && j < p.n) batch.store(i, j, sums[t / kSize * Tiles::kLd + t % kSize]);
  }
}

// One sum a block, where m or n is 1.
template <class T>
__global__ void __launch_bounds__(kReduceThreads) integer_vector_kernel(const IntegerProduct p) {
  using Sum = SumOf<T>;
  AG_SHARED_ARRAY(Sum, shared, kReduceThreads);
  const Batch<T> batch(p);
  const int64_t i = p.n == 1 ? blockIdx.x : 0;
  const int64_t j = p.n == 1 ? 0 : blockIdx.x;
  Sum sum = 0;
  for (int64_t k = threadIdx.x; k < p.k; k += kReduceThreads) {
    sum += batch.left(i, k) * batch.right(k, j);
  }
  fold_block<SumStep<Sum, false>>(shared, &sum);
  if (threadIdx.x == 0) batch.store(i, j, sum);
}

template <class T>
void multiply_even(const IntegerProduct& p, int64_t batches) {
  const auto depth = static_cast<unsigned>(batches);
  // A block for each sum reads runs of memory; otherwise tiles do.
  const bool runs = (p.n == 1 && p.a_col == 1) || (p.m == 1 && p.b_row == 1);
  if (runs) {
    launch("integer matmul", {dim3(static_cast<unsigned>(p.m * p.n), 1, depth), kReduceThreads},
           integer_vector_kernel<T>, p);
    return;
  }
  constexpr int64_t kSize = IntegerTiles<T>::kSize;
  const int64_t tiles = ((p.m + kSize - 1) / kSize) * ((p.n + kSize - 1) / kSize);
  const bool dense_a = p.a_col == 1;
  const bool dense_b = p.b_row == 1;
  auto* kernel =
      dense_a
          ? (dense_b ? integer_tile_kernel<T, true, true> : integer_tile_kernel<T, true, false>)
          : (dense_b ? integer_tile_kernel<T, false, true> : integer_tile_kernel<T, false, false>);
  launch("integer matmul",
         {dim3(static_cast<unsigned>(tiles), 1, depth), dim3(IntegerTiles<T>::kThreads)}, kernel,
         p);
}

template <class T>
void gemm_integer(const GemmParams& p, const void*) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return;
  check_product_sizes(p);
  const IntegerProduct whole{p.m,
                             p.n,
                             p.k,
                             p.a,
                             p.b,
                             p.bias,
                             p.c,
                             p.a_row,
                             p.a_col,
                             0,
                             p.b_row,
                             p.b_col,
                             0,
                             p.c_row,
                             0,
                             static_cast<int64_t>(p.alpha),
                             static_cast<int64_t>(p.beta),
                             p.beta != 0};
  for_even_runs(p, [&](const BatchRun& run) {
    for (int64_t i = 0; i < run.count; i += kMaxBatches) {
      IntegerProduct part = whole;
      part.a = static_cast<const T*>(p.a) + run.a + i * run.a_step;
      part.b = static_cast<const T*>(p.b) + run.b + i * run.b_step;
      part.c = static_cast<T*>(p.c) + run.c + i * run.c_step;
      part.a_step = run.a_step;
      part.b_step = run.b_step;
      part.c_step = run.c_step;
      multiply_even<T>(part, std::min(run.count - i, kMaxBatches));
    }
  });
}

}  // namespace

void register_gemm_integer(const CudaHost& host) {
  for (OpId op : kProductOps) {
    set_kernel<GemmParams>(host, op, DType::UInt8, gemm_integer<uint8_t>);
    set_kernel<GemmParams>(host, op, DType::Int8, gemm_integer<int8_t>);
    set_kernel<GemmParams>(host, op, DType::Int16, gemm_integer<int16_t>);
    set_kernel<GemmParams>(host, op, DType::Int32, gemm_integer<int32_t>);
    set_kernel<GemmParams>(host, op, DType::Int64, gemm_integer<int64_t>);
  }
}

}  // namespace ampgrad::cuda
