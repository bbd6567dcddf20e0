// The driver of the matrix product: picks kernels by dtype, sends vectors to the vector kernels,
// splits batches, rows and columns over the pool (never k, so that results do not depend on the
// number of threads), and owns the per-thread scratch memory.
#include "backend/cpu/gemm.h"

#include <algorithm>
#include <cstdlib>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include "backend/cpu/ceil_div.h"
#include "backend/cpu/convert.h"
#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/parallel.h"
#include "core/error.h"
#include "core/system_block.h"

namespace ampgrad::cpu {

namespace {

// Multiply-adds that are worth a thread's wake-up, and bytes of a memory-bound product.
constexpr int64_t kParallelWork = 200'000;
constexpr int64_t kParallelVectorWork = 100'000;

// Bounds of a packed block of A. Larger ones were not faster.
constexpr int64_t kLeastBlock = 192 << 10;
constexpr int64_t kMostBlock = 400 << 10;

// Bytes; 0 where the system does not say.
int64_t second_level_cache() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  return std::max<int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE), 0);
#else
  return 0;
#endif
}

struct ScratchBuffers {
  void* data[kNumGemmSlots] = {};
  size_t size[kNumGemmSlots] = {};
  ~ScratchBuffers() {
    for (void* block : data) std::free(block);
  }
};
thread_local ScratchBuffers tls_scratch;

size_t accumulator_size(DType dtype) {
  return dtype == DType::Float64 ? sizeof(double) : sizeof(float);
}
const void* advance(const void* base, int64_t elements, DType dtype) {
  return base == nullptr
             ? nullptr
             : static_cast<const char*>(base) + elements * static_cast<int64_t>(dtype_size(dtype));
}
void* advance(void* base, int64_t elements, DType dtype) {
  return static_cast<char*>(base) + elements * static_cast<int64_t>(dtype_size(dtype));
}

DType result_dtype(const GemmParams& p) { return p.widened ? DType::Float32 : p.dtype; }
DType b_dtype(const GemmParams& p) { return p.b_rounded ? DType::Float32 : p.dtype; }

GemmParams batch_of(const GemmParams& p, int64_t index) {
  GemmParams one = p;
  one.batch = 1;
  one.a_offsets = one.b_offsets = one.c_offsets = nullptr;
  if (p.a_offsets != nullptr) one.a = advance(p.a, p.a_offsets[index], p.dtype);
  if (p.b_offsets != nullptr) one.b = advance(p.b, p.b_offsets[index], b_dtype(p));
  if (p.c_offsets != nullptr) one.c = advance(p.c, p.c_offsets[index], result_dtype(p));
  return one;
}

GemmParams tile_of(const GemmParams& p, int64_t i, int64_t rows, int64_t j, int64_t cols) {
  GemmParams tile = p;
  tile.m = rows;
  tile.n = cols;
  tile.a = advance(p.a, i * p.a_row, p.dtype);
  tile.b = advance(p.b, j * p.b_col, b_dtype(p));
  tile.c = advance(p.c, i * p.c_row + j, result_dtype(p));
  tile.bias = advance(p.bias, j, p.dtype);
  if (p.epilogue.inner != nullptr) {
    tile.epilogue.inner = advance(p.epilogue.inner, i * p.epilogue.inner_row + j, p.dtype);
  }
  return tile;
}

GemmKernels kernels_for(DType dtype) {
  switch (dtype) {
    case DType::Float32:
      return gemm_kernels_f32();
    case DType::Float64:
      return gemm_kernels_f64();
    case DType::Float16:
      return gemm_kernels_f16();
    case DType::BFloat16:
      return gemm_kernels_bf16();
    default:
      return {gemm_integer, nullptr, nullptr, nullptr, nullptr, 1, 64};
  }
}

// How one product is cut into equal tiles, in units of register tiles.
struct Grid {
  int64_t rows = 1, cols = 1;            // tiles
  int64_t tile_rows = 0, tile_cols = 0;  // size of a tile
};

// Each tile packs its own part of A and B: the grid with the least packing is taken.
Grid choose_grid(const GemmParams& p, const GemmKernels& kernels, int64_t parts) {
  const int64_t units_m = ceil_div(p.m, kernels.rows);
  const int64_t units_n = ceil_div(p.n, kernels.cols);
  Grid best;
  double best_cost = -1;
  for (int64_t rows = 1; rows <= std::min(parts, units_m); ++rows) {
    const int64_t cols = std::min(ceil_div(parts, rows), units_n);
    const int64_t tile_rows = ceil_div(units_m, rows) * kernels.rows;
    const int64_t tile_cols = ceil_div(units_n, cols) * kernels.cols;
    // A tile's time: its multiply-adds, and the packing of its operands at about 8 each.
    const double m = static_cast<double>(std::min(tile_rows, p.m));
    const double n = static_cast<double>(std::min(tile_cols, p.n));
    const double rounds = static_cast<double>(ceil_div(rows * cols, parts));
    const double cost = rounds * (m * n + 8 * (m + n));
    if (best_cost < 0 || cost < best_cost) {
      best_cost = cost;
      best = {ceil_div(p.m, tile_rows), ceil_div(p.n, tile_cols), tile_rows, tile_cols};
    }
  }
  return best;
}

void matrix_product(const GemmParams& p, const GemmKernels& kernels) {
  const auto tile = p.widened ? kernels.tile_widened : kernels.tile;
  AG_ASSERT(tile != nullptr);
  const int64_t work = std::max<int64_t>(p.m * p.n * p.k, 1);
  const int64_t total = work * p.batch;
  const int threads = in_parallel_region() ? 1 : num_threads();
  if (threads == 1 || total < 2 * kParallelWork) {
    for (int64_t i = 0; i < p.batch; ++i) tile(batch_of(p, i));
    return;
  }
  int64_t parts = 1;
  if (p.batch % threads != 0 && p.batch < 4 * threads) {
    parts = std::min<int64_t>(ceil_div(threads, p.batch), ceil_div(work, kParallelWork));
  }
  const Grid grid = choose_grid(p, kernels, parts);
  const int64_t tiles = grid.rows * grid.cols;
  const int64_t grain = std::max<int64_t>(kParallelWork / std::max<int64_t>(work / tiles, 1), 1);
  parallel_for(p.batch * tiles, grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const GemmParams one = batch_of(p, t / tiles);
      const int64_t i = t % tiles / grid.cols * grid.tile_rows;
      const int64_t j = t % tiles % grid.cols * grid.tile_cols;
      tile(
          tile_of(one, i, std::min(grid.tile_rows, p.m - i), j, std::min(grid.tile_cols, p.n - j)));
    }
  });
}

// Short columns are summed in parts, which threads share: pieces of columns would be too short to
// be fetched well. How many parts depends on the sizes alone, so that results don't depend on
// threads.
int64_t column_parts(const GemvArgs& g) {
  constexpr int64_t kShortColumn = 2048;
  constexpr int64_t kPartColumns = 96;
  constexpr int64_t kMostParts = 16;
  if (g.k_stride == 1 || g.rows > kShortColumn || g.rows * g.k < kParallelVectorWork) return 1;
  return std::clamp<int64_t>(g.k / kPartColumns, 1, kMostParts);
}

void sum_column_parts(const GemvArgs& g, int64_t parts, DType dtype, const GemmKernels& kernels) {
  const auto acc_size = static_cast<int64_t>(accumulator_size(dtype));
  void* sums = gemm_scratch(GemmSlot::Shared, static_cast<size_t>(parts * g.rows * acc_size));
  const int64_t grain = std::max<int64_t>(kParallelVectorWork * parts / (g.rows * g.k), 1);
  parallel_for(parts, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i * g.k / parts;
      GemvArgs part = g;
      part.k = (i + 1) * g.k / parts - first;
      part.x = static_cast<const char*>(g.x) + first * acc_size;
      part.matrix = advance(g.matrix, first * g.k_stride, dtype);
      part.sums = static_cast<char*>(sums) + i * g.rows * acc_size;
      kernels.gemv(part);
    }
  });
  kernels.gemv_finish(g, sums, parts, g.rows);
}

// y = A x with A (m x k); a row vector times a matrix is the transposed matrix times it.
void vector_product(const GemmParams& p, const GemmKernels& kernels) {
  AG_ASSERT(kernels.gemv != nullptr && kernels.widen != nullptr);
  GemvArgs g;
  g.k = p.k;
  g.alpha = p.alpha;
  g.beta = p.beta;
  const bool column = p.n == 1;
  const int64_t x_stride = column ? p.b_row : p.a_col;
  g.rows = column ? p.m : p.n;
  g.row_stride = column ? p.a_row : p.b_col;
  g.k_stride = column ? p.a_col : p.b_row;
  g.y_stride = column ? p.c_row : 1;
  g.bias_stride = column ? 0 : 1;
  void* x = gemm_scratch(GemmSlot::Vector, static_cast<size_t>(p.k) * accumulator_size(p.dtype));
  g.x = x;
  g.bias = p.bias;
  const int64_t column_groups = column_parts(g);
  for (int64_t b = 0; b < p.batch; ++b) {
    const GemmParams one = batch_of(p, b);
    kernels.widen(column ? one.b : one.a, x_stride, p.k, x);
    g.matrix = column ? one.a : one.b;
    g.y = one.c;
    if (column_groups > 1) {
      sum_column_parts(g, column_groups, p.dtype, kernels);
      continue;
    }
    int64_t grain = std::max<int64_t>(kParallelVectorWork / p.k, 16);
    // Summing columns, a thread reads pieces of them: the longer, the better.
    if (g.k_stride != 1) grain = std::max(grain, ceil_div(g.rows, num_threads()));
    parallel_for(g.rows, grain, [&](int64_t begin, int64_t end) {
      GemvArgs part = g;
      part.rows = end - begin;
      part.matrix = advance(g.matrix, begin * g.row_stride, p.dtype);
      part.y = advance(g.y, begin * g.y_stride, p.dtype);
      part.bias = advance(g.bias, begin * g.bias_stride, p.dtype);
      kernels.gemv(part);
    });
  }
}

bool is_vector_product(const GemmParams& p) {
  if (!is_floating(p.dtype) || p.widened || p.b_rounded) return false;
  if (p.n == 1) return p.a_row == 1 || p.a_col == 1;
  return p.m == 1 && (p.b_row == 1 || p.b_col == 1);
}

// Rounds B into scratch memory, for kernels that don't do so as they read it.
void round_b(GemmParams* p) {
  AG_ASSERT(p->batch == 1 && (p->b_row == 1 || p->b_col == 1));
  const bool columns = p->b_row == 1;
  const int64_t runs = columns ? p->n : p->k;
  const int64_t length = columns ? p->k : p->n;
  const int64_t stride = columns ? p->b_col : p->b_row;
  void* half =
      gemm_scratch(GemmSlot::Vector, static_cast<size_t>(runs * length) * dtype_size(p->dtype));
  const ConvertFn convert = convert_fn(DType::Float32, p->dtype);
  const int64_t grain = std::max<int64_t>(kParallelVectorWork / length, 1);
  parallel_for(runs, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      convert(advance(p->b, r * stride, DType::Float32), advance(half, r * length, p->dtype),
              static_cast<size_t>(length));
    }
  });
  p->b = half;
  (columns ? p->b_col : p->b_row) = length;
  p->b_rounded = false;
}

// Register tiles apply activations as they store C. Slopes and sums are left to the caller, and so
// is what follows the short products of vectors.
void settle_epilogue(GemmParams* p, bool vectors) {
  GemmEpilogue& e = p->epilogue;
  if (!e.wanted()) return;
  *e.fused = !vectors && !e.backward && e.sums_of == GemmSums::None && is_floating(p->dtype);
  if (*e.fused) return;
  if (e.inner != nullptr && !e.backward) {
    p->c = e.inner;
    p->c_row = e.inner_row;
  }
  e = {};
}

}  // namespace

void* gemm_scratch(GemmSlot slot, size_t bytes) {
  const auto s = static_cast<size_t>(slot);
  ScratchBuffers& buffers = tls_scratch;
  if (buffers.size[s] < bytes) {
    std::free(buffers.data[s]);
    buffers.data[s] = nullptr;
    buffers.size[s] = 0;
    // Panels are read line by line from all over a block: in small pages that costs more than the
    // rest of a huge one.
    const size_t unit = bytes > kHugePage / 2 ? kHugePage : 64;
    bytes = (bytes + unit - 1) / unit * unit;
    buffers.data[s] = system_allocate(bytes);
    AG_CHECK(buffers.data[s] != nullptr, OutOfMemory, "matmul: no memory for a buffer of ",
             static_cast<uint64_t>(bytes), " bytes");
    buffers.size[s] = bytes;
  }
  return buffers.data[s];
}

int64_t gemm_block_bytes() {
  static const int64_t bytes = std::clamp(second_level_cache() / 5 * 4, kLeastBlock, kMostBlock);
  return bytes;
}

void gemm(const GemmParams& params) {
  GemmParams p = params;
  if (p.epilogue.wanted()) *p.epilogue.fused = false;
  if (p.m == 0 || p.n == 0 || p.batch == 0) return;
  const GemmKernels kernels = kernels_for(p.dtype);
  if (p.k == 0) {
    // An empty sum is the product with one column and one row of zeros.
    static constexpr double kZero = 0;
    p.k = 1;
    p.a = p.b = &kZero;
    p.a_row = p.a_col = p.b_row = p.b_col = 0;
    p.a_offsets = p.b_offsets = nullptr;
  }
  if (p.b_rounded && !kernels.rounds_b) round_b(&p);
  const bool vectors = is_vector_product(p);
  settle_epilogue(&p, vectors);
  if (vectors) {
    vector_product(p, kernels);
  } else {
    matrix_product(p, kernels);
  }
}

}  // namespace ampgrad::cpu
