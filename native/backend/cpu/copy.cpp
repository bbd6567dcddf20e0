// See copy.h. Runs of memory go through memcpy or a converter, transposes through square tiles that
// keep both sides in the cache, everything else element by element in the order of the output.
#include "backend/cpu/copy.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/convert.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/scalar_cast.h"
#include "backend/cpu/stream.h"
#include "backend/cpu/strided.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kCopyGrain = 24576;  // elements worth a thread
constexpr int64_t kTile = 32;
constexpr int64_t kBlock = 1024;
constexpr int64_t kLongRun = 32;
constexpr int64_t kStreamedRun = 1024;  // bytes; of shorter runs too few lines are whole

struct Copy {
  StridedSpace space;
  const char* in;
  char* out;
  int64_t in_size;
  int64_t out_size;
  ConvertFn convert;           // also moves equal dtypes
  ConvertFn stream = nullptr;  // whole lines past the caches; nullptr: through a buffer
  bool same_dtype;
  bool streamed;  // past the caches
};

void convert_streamed(const Copy& c, const char* source, char* target, int64_t n) {
  const auto run = [&](ConvertFn convert, int64_t count) {
    convert(source, target, static_cast<size_t>(count));
    source += count * c.in_size;
    target += count * c.out_size;
    n -= count;
  };
  run(c.convert, std::min(n, bytes_to_line(target) / c.out_size));
  run(c.stream, n - n % (kStreamLine / c.out_size));
  run(c.convert, n);
}

void copy_streamed(const Copy& c, const char* source, char* target, int64_t n) {
  if (c.same_dtype) return stream_copy(target, source, static_cast<size_t>(n * c.in_size));
  if (c.stream != nullptr) return convert_streamed(c, source, target, n);
  alignas(64) char buffer[kStreamRun];
  const int64_t most = static_cast<int64_t>(kStreamRun) / c.out_size;
  for (int64_t i = 0; i < n; i += most) {
    const int64_t count = std::min(most, n - i);
    c.convert(source + i * c.in_size, buffer, static_cast<size_t>(count));
    stream_copy(target + i * c.out_size, buffer, static_cast<size_t>(count * c.out_size));
  }
}

// Both sides step by one element in the innermost dimension.
void copy_runs(const Copy& c, int64_t begin, int64_t end) {
  StridedCursor from(c.space, 1, begin);
  StridedCursor to(c.space, 0, begin);
  for (int64_t at = begin; at < end;) {
    const int64_t run = std::min(to.run(), end - at);
    const char* source = c.in + from.offset * c.in_size;
    char* target = c.out + to.offset * c.out_size;
    if (c.streamed) {
      copy_streamed(c, source, target, run);
    } else if (c.same_dtype) {
      std::memcpy(target, source, static_cast<size_t>(run * c.in_size));
    } else {
      c.convert(source, target, static_cast<size_t>(run));
    }
    at += run;
    if (at < end) {
      from.advance(run);
      to.advance(run);
    }
  }
  if (c.streamed) end_stream();
}

void copy_blocks(const Copy& c, int64_t begin, int64_t end) {
  alignas(64) char packed[kBlock * 8];
  alignas(64) char converted[kBlock * 8];
  for (int64_t at = begin; at < end; at += kBlock) {
    const int64_t count = std::min(kBlock, end - at);
    gather(c.space, 1, c.in, static_cast<size_t>(c.in_size), at, count, packed);
    const char* ready = packed;
    if (!c.same_dtype) {
      c.convert(packed, converted, static_cast<size_t>(count));
      ready = converted;
    }
    scatter(c.space, 0, c.out, static_cast<size_t>(c.out_size), at, count, ready);
  }
}

constexpr int64_t kSquare = 16;

// to[r * out_row + c] = square[c][r]
template <class T>
void store_square(const T (&square)[kSquare][kSquare], T* to, int64_t out_row) {
#if defined(__GNUC__)
  if constexpr (sizeof(T) == 4) {
    using V = uint32_t __attribute__((vector_size(16)));
    for (int64_t r = 0; r < kSquare; r += 4) {
      for (int64_t c = 0; c < kSquare; c += 4) {
        V v[4];
        for (int64_t i = 0; i < 4; ++i) std::memcpy(&v[i], &square[c + i][r], sizeof(V));
        const V a = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5);
        const V b = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
        const V d = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
        const V e = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
        const V out[4] = {
            __builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
            __builtin_shufflevector(d, e, 0, 1, 4, 5), __builtin_shufflevector(d, e, 2, 3, 6, 7)};
        for (int64_t i = 0; i < 4; ++i) {
          std::memcpy(to + (r + i) * out_row + c, &out[i], sizeof(V));
        }
      }
    }
    return;
  }
#endif
  for (int64_t r = 0; r < kSquare; ++r) {
    for (int64_t c = 0; c < kSquare; ++c) to[r * out_row + c] = square[c][r];
  }
}

// out[r * out_row + c] = in[r + c * in_col]. Whole squares pass through a buffer, so that a line of
// either side is read or written at once: lines a power of two apart share their cache sets and
// would push each other out.
template <class T>
void transpose_tile(const T* in, int64_t in_col, T* out, int64_t out_row, int64_t rows,
                    int64_t cols) {
  alignas(64) T square[kSquare][kSquare];
  for (int64_t c0 = 0; c0 < cols; c0 += kSquare) {
    for (int64_t r0 = 0; r0 < rows; r0 += kSquare) {
      const T* from = in + r0 + c0 * in_col;
      T* to = out + r0 * out_row + c0;
      if (r0 + kSquare > rows || c0 + kSquare > cols) {
        for (int64_t r = 0; r < std::min(kSquare, rows - r0); ++r) {
          for (int64_t c = 0; c < std::min(kSquare, cols - c0); ++c) {
            to[r * out_row + c] = from[r + c * in_col];
          }
        }
        continue;
      }
      for (int64_t c = 0; c < kSquare; ++c) {
        std::memcpy(square[c], from + c * in_col, sizeof(square[c]));
        __builtin_prefetch(from + (c + kTile) * in_col);
      }
      store_square(square, to, out_row);
    }
  }
}

void transpose_sized(int64_t size, const char* in, int64_t in_col, char* out, int64_t out_row,
                     int64_t rows, int64_t cols) {
  const auto run = [&]<class T>(T) {
    transpose_tile(reinterpret_cast<const T*>(in), in_col, reinterpret_cast<T*>(out), out_row, rows,
                   cols);
  };
  if (size == 1) return run(uint8_t{});
  if (size == 2) return run(uint16_t{});
  if (size == 4) return run(uint32_t{});
  run(uint64_t{});
}

// The dimension that the input walks by one element while the output's innermost one is another;
// -1: not a transpose worth tiling.
int transposed_dim(const Copy& c) {
  const StridedSpace& s = c.space;
  if (!c.same_dtype || s.ndim < 2 || s.inner_stride(0) != 1 || s.inner_stride(1) == 1) return -1;
  if (s.inner_size() < 4) return -1;
  for (int d = 0; d + 1 < s.ndim; ++d) {
    if (s.strides[1][d] == 1 && s.sizes[d] >= 4) return d;
  }
  return -1;
}

// The transposed dimension moves next to the innermost one; work items are strips of kTile rows.
void copy_transposed(Copy& c, int dim) {
  StridedSpace& s = c.space;
  const int row_dim = s.ndim - 2;
  for (int d = dim; d < row_dim; ++d) {
    std::swap(s.sizes[d], s.sizes[d + 1]);
    for (int j = 0; j < 2; ++j) std::swap(s.strides[j][d], s.strides[j][d + 1]);
  }
  const int64_t rows = s.sizes[row_dim];
  const int64_t cols = s.inner_size();
  const int64_t out_row = s.strides[0][row_dim];
  const int64_t in_col = s.inner_stride(1);
  const int64_t strips = (rows + kTile - 1) / kTile;
  const int64_t outer = s.numel / (rows * cols);
  const int64_t grain = std::max<int64_t>(1, kCopyGrain / (kTile * cols));
  parallel_for(outer * strips, grain, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first = item % strips * kTile;
      const int64_t element = item / strips * rows * cols;
      const int64_t in_at = StridedCursor(s, 1, element).offset + first;
      const int64_t out_at = StridedCursor(s, 0, element).offset + first * out_row;
      for (int64_t col = 0; col < cols; col += kTile) {
        transpose_sized(c.in_size, c.in + (in_at + col * in_col) * c.in_size, in_col,
                        c.out + (out_at + col) * c.out_size, out_row, std::min(kTile, rows - first),
                        std::min(kTile, cols - col));
      }
    }
  });
}

// The storage of a number operand.
const void* store_scalar(Scalar v, DType* dtype, void* room) {
  *dtype = v.is_float() ? DType::Float64 : DType::Int64;
  const double d = v.to_double();
  const int64_t i = v.to_int();
  std::memcpy(room, v.is_float() ? static_cast<const void*>(&d) : &i, 8);
  return room;
}

}  // namespace

void copy_strided(const ElementwiseParams& params, const void*) {
  if (params.numel == 0) return;
  Copy c;
  simplify(params, &c.space);
  DType from = params.in[0].dtype;
  const void* in = params.in[0].data;
  alignas(8) char number[8];
  if (in == nullptr) in = store_scalar(params.scalars[0], &from, number);
  c.in = static_cast<const char*>(in);
  c.out = static_cast<char*>(params.out.data);
  c.in_size = static_cast<int64_t>(dtype_size(from));
  c.out_size = static_cast<int64_t>(dtype_size(params.out.dtype));
  c.convert = convert_fn(from, params.out.dtype);
  c.same_dtype = from == params.out.dtype;
  if (const int dim = transposed_dim(c); dim >= 0) return copy_transposed(c, dim);
  const StridedSpace& s = c.space;
  c.streamed = params.numel * c.out_size >= kStreamBytes &&
               (s.ndim == 1 || s.inner_size() * c.out_size >= kStreamedRun);
  if (c.streamed) c.stream = stream_convert_fn(from, params.out.dtype);
  const bool runs = s.inner_stride(0) == 1 && s.inner_stride(1) == 1 &&
                    (s.ndim == 1 || s.inner_size() >= kLongRun);
  const auto work = [&](int64_t begin, int64_t end) {
    runs ? copy_runs(c, begin, end) : copy_blocks(c, begin, end);
  };
  if (params.numel <= kCopyGrain) {
    work(0, params.numel);
  } else {
    parallel_for(params.numel, kCopyGrain, work);
  }
}

}  // namespace ampgrad::cpu
