// Walks the input of any reduction and feeds a policy: contiguous runs when the reduced elements
// of an output lie together, strips of columns when the outputs lie together, gathered buffers
// otherwise; converts other dtypes block by block. Work is cut by shape alone, and partial results
// are combined in order, so the result does not depend on the number of threads.
//
// A policy names Input (what it folds), Acc (partial result) and Result, and provides
//   identity(), runs(p, stride, runs, n, first, acc*), which writes, rows(p, stride, rows, cols,
//   first, acc*), which adds to them, merge(acc, later), finish(acc, params) -> Result, kOrdered
//   (positions matter), and, when kIndices, index(acc). settled(acc): no more elements are needed.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/cpu/convert.h"
#include "backend/cpu/parallel.h"
#include "ops/params.h"

namespace ampgrad::cpu {

// Sizes and strides of a group of dimensions with neighbours merged where memory allows.
struct Extent {
  Dims sizes;
  Dims strides;

  // `any_order`: the order in which elements are visited is free, so the fastest goes last.
  static Extent of(DimsView sizes, DimsView strides, bool any_order);
  int64_t inner_size() const { return sizes.empty() ? 1 : sizes.back(); }
  int64_t inner_stride() const { return strides.empty() ? 1 : strides.back(); }
  // Offset, in elements, of the element with this linear index.
  int64_t offset(int64_t linear) const;
};

// Copies elements [start, start + count) of an extent, in its order, to consecutive memory.
void gather(const char* base, size_t element_size, const Extent& extent, int64_t start,
            int64_t count, void* out);

inline constexpr int64_t kDriverBlock = 4096;     // elements a run
inline constexpr int64_t kDriverChunk = 1 << 16;  // elements a thread's partial result covers
inline constexpr int64_t kDriverColumns = 512;    // width of a strip
inline constexpr int64_t kDriverRows = 16;        // rows converted at a time
inline constexpr int64_t kResultBatch = 256;      // outputs or runs at a time
inline constexpr int64_t kBlockBatch = 16;        // blocks of one output

// The runs of a policy that has run(p, n, acc), which adds to one.
template <class P>
struct RunByRun {
  template <class T, class Acc>
  static void runs(const T* p, int64_t stride, int64_t runs, int64_t n, int64_t, Acc* accs) {
    for (int64_t r = 0; r < runs; ++r) {
      accs[r] = P::identity();
      P::run(p + r * stride, n, &accs[r]);
    }
  }
};

template <class P>
class ReduceDriver {
 public:
  using Input = typename P::Input;
  using Acc = typename P::Acc;
  using Result = typename P::Result;

  explicit ReduceDriver(const ReduceParams& p)
      : p_(p),
        kept_(Extent::of(p.kept_sizes, p.kept_strides, false)),
        reduced_(Extent::of(p.reduced_sizes, p.reduced_strides, !P::kOrdered)),
        element_size_(dtype_size(p.in_dtype)),
        convert_(p.in_dtype == dtype_of<Input> ? nullptr : convert_fn(p.in_dtype, dtype_of<Input>)),
        store_(p.out_dtype == dtype_of<Result> ? nullptr
                                               : convert_fn(dtype_of<Result>, p.out_dtype)) {}

  void operator()() {
    if (p_.kept_numel == 0) return;
    const bool columns = kept_.inner_stride() == 1 && kept_.inner_size() >= 8 &&
                         p_.reduced_numel > 1 && reduced_.inner_stride() != 1;
    if (columns) {
      reduce_columns();
    } else {
      reduce_runs();
    }
  }

 private:
  const char* at(int64_t offset) const {
    return static_cast<const char*>(p_.in) + offset * static_cast<int64_t>(element_size_);
  }

  // Results of consecutive outputs go out together, converted if need be.
  void store(int64_t first, const Result* values, int64_t n) const {
    char* out = static_cast<char*>(p_.out);
    if (store_ != nullptr) {
      store_(values, out + first * static_cast<int64_t>(dtype_size(p_.out_dtype)),
             static_cast<size_t>(n));
    } else {
      std::memcpy(out + first * static_cast<int64_t>(sizeof(Result)), values,
                  static_cast<size_t>(n) * sizeof(Result));
    }
  }

  void finish(int64_t first, const Acc* accs, int64_t n) const {
    Result values[kResultBatch];
    for (int64_t i = 0; i < n; i += kResultBatch) {
      const int64_t count = std::min(kResultBatch, n - i);
      for (int64_t j = 0; j < count; ++j) {
        values[j] = P::finish(accs[i + j], p_);
        if constexpr (P::kIndices) p_.indices[first + i + j] = P::index(accs[i + j]);
      }
      if (p_.out != nullptr) store(first + i, values, count);
    }
  }

  // --- Outputs one by one, each from runs of its elements.

  // Folds reduced elements [begin, end) of the output at `offset`.
  void fold_run(int64_t offset, int64_t begin, int64_t end, Acc* acc) const {
    const int64_t inner = reduced_.inner_size();
    const bool direct = reduced_.inner_stride() == 1 && (reduced_.sizes.size() <= 1 || inner >= 64);
    if (direct && convert_ == nullptr) {
      fold_direct(offset, begin, end, acc);
      return;
    }
    alignas(64) Input block[kDriverBlock];
    alignas(64) char raw[kDriverBlock * 8];
    for (int64_t i = begin; i < end;) {
      int64_t n = std::min(kDriverBlock, end - i);
      if (direct) {
        const int64_t place = reduced_.sizes.empty() ? 0 : i % inner;
        n = std::min(n, inner - place);
        convert_(at(offset + reduced_.offset(i)), block, static_cast<size_t>(n));
      } else if (convert_ == nullptr) {
        gather(at(offset), element_size_, reduced_, i, n, block);
      } else {
        gather(at(offset), element_size_, reduced_, i, n, raw);
        convert_(raw, block, static_cast<size_t>(n));
      }
      fold(block, 1, n, i, acc);
      i += n;
    }
  }

  // Up to kBlockBatch runs of n elements, one after the other.
  static void fold(const Input* p, int64_t runs, int64_t n, int64_t first, Acc* acc) {
    Acc parts[kBlockBatch];
    P::runs(p, n, runs, n, first, parts);
    for (int64_t r = 0; r < runs; ++r) P::merge(acc, parts[r]);
  }

  void fold_direct(int64_t offset, int64_t begin, int64_t end, Acc* acc) const {
    const int64_t inner = reduced_.inner_size();
    for (int64_t i = begin; i < end;) {
      if constexpr (requires { P::settled(*acc); }) {
        if (P::settled(*acc)) return;
      }
      const int64_t place = reduced_.sizes.empty() ? 0 : i % inner;
      const int64_t left = std::min(end - i, inner - place);
      const int64_t n = std::min(kDriverBlock, left);
      const int64_t runs = P::kOrdered ? 1 : std::min(kBlockBatch, left / n);
      fold(reinterpret_cast<const Input*>(at(offset + reduced_.offset(i))), runs, n, i, acc);
      i += runs * n;
    }
  }

  void reduce_runs() {
    const int64_t n = p_.reduced_numel;
    const int64_t chunks =
        p_.kept_numel < 64 && n >= 2 * kDriverChunk ? (n + kDriverChunk - 1) / kDriverChunk : 1;
    if (chunks > 1) {
      reduce_runs_in_chunks(chunks);
      return;
    }
    const int64_t grain = std::max<int64_t>(1, kDriverChunk / 2 / std::max<int64_t>(n, 1));
    parallel_for(p_.kept_numel, grain, [&](int64_t begin, int64_t end) {
      Acc accs[kResultBatch];
      for (int64_t k = begin; k < end;) {
        const int64_t count = fold_outputs(k, std::min(kResultBatch, end - k), accs);
        finish(k, accs, count);
        k += count;
      }
    });
  }

  // Outputs [k, k + count), or as many of them as could be folded together: runs that lie in memory
  // as they are wanted, at equal distances.
  int64_t fold_outputs(int64_t k, int64_t count, Acc* accs) const {
    const int64_t n = p_.reduced_numel;
    if (n > 0 && n <= kDriverBlock && convert_ == nullptr && reduced_.sizes.size() <= 1 &&
        reduced_.inner_stride() == 1) {
      count = std::min(count, kept_.inner_size() - k % kept_.inner_size());
      P::runs(reinterpret_cast<const Input*>(at(kept_.offset(k))), kept_.inner_stride(), count, n,
              0, accs);
      return count;
    }
    for (int64_t j = 0; j < count; ++j) {
      accs[j] = P::identity();
      fold_run(kept_.offset(k + j), 0, n, &accs[j]);
    }
    return count;
  }

  void reduce_runs_in_chunks(int64_t chunks) {
    std::vector<Acc> partial(static_cast<size_t>(p_.kept_numel * chunks), P::identity());
    parallel_for(p_.kept_numel * chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t first = item % chunks * kDriverChunk;
        fold_run(kept_.offset(item / chunks), first,
                 std::min(p_.reduced_numel, first + kDriverChunk),
                 &partial[static_cast<size_t>(item)]);
      }
    });
    for (int64_t k = 0; k < p_.kept_numel; ++k) {
      Acc total = partial[static_cast<size_t>(k * chunks)];
      for (int64_t c = 1; c < chunks; ++c) {
        P::merge(&total, partial[static_cast<size_t>(k * chunks + c)]);
      }
      finish(k, &total, 1);
    }
  }

  // --- Outputs a strip at a time: neighbours in memory, reduced row by row.

  // Folds reduced elements [begin, end) of `cols` neighbouring outputs.
  void fold_strip(int64_t offset, int64_t cols, int64_t begin, int64_t end, Acc* accs) const {
    const int64_t inner = reduced_.inner_size();
    const int64_t stride = reduced_.inner_stride();
    alignas(64) Input block[kDriverColumns * kDriverRows];
    for (int64_t r = begin; r < end;) {
      int64_t rows = std::min(end - r, inner - r % inner);
      const int64_t start = offset + reduced_.offset(r);
      if (convert_ == nullptr) {
        P::rows(reinterpret_cast<const Input*>(at(start)), stride, rows, cols, r, accs);
      } else {
        rows = std::min(rows, kDriverRows);
        for (int64_t i = 0; i < rows; ++i) {
          convert_(at(start + i * stride), block + i * cols, static_cast<size_t>(cols));
        }
        P::rows(block, cols, rows, cols, r, accs);
      }
      r += rows;
    }
  }

  void reduce_columns() {
    const int64_t width = kept_.inner_size();
    const int64_t strips = (width + kDriverColumns - 1) / kDriverColumns;
    const int64_t items = p_.kept_numel / width * strips;
    const int64_t n = p_.reduced_numel;
    const int64_t strip_width = std::min(width, kDriverColumns);
    const int64_t chunk = std::max<int64_t>(1, kDriverChunk / strip_width);
    const int64_t chunks = items < 64 && n >= 2 * chunk ? (n + chunk - 1) / chunk : 1;
    std::vector<Acc> partial;
    if (chunks > 1) {
      partial.assign(static_cast<size_t>(items * chunks * kDriverColumns), P::identity());
    }
    const int64_t work = strip_width * std::min(n, chunks > 1 ? chunk : n);
    const int64_t grain = std::max<int64_t>(1, kDriverChunk / 2 / std::max<int64_t>(work, 1));
    parallel_for(items * chunks, grain, [&](int64_t begin, int64_t end) {
      Acc local[kDriverColumns];
      for (int64_t item = begin; item < end; ++item) {
        const int64_t strip = item / chunks;
        const int64_t first = strip / strips * width + strip % strips * kDriverColumns;
        const int64_t cols = std::min(kDriverColumns, width - strip % strips * kDriverColumns);
        const int64_t row = item % chunks * chunk;
        Acc* accs = chunks > 1 ? &partial[static_cast<size_t>(item * kDriverColumns)] : local;
        if (chunks == 1) std::fill_n(local, cols, P::identity());
        fold_strip(kept_.offset(first), cols, row, chunks > 1 ? std::min(n, row + chunk) : n, accs);
        if (chunks == 1) finish(first, local, cols);
      }
    });
    if (chunks > 1) finish_columns(partial, items, chunks, strips, width);
  }

  void finish_columns(std::vector<Acc>& partial, int64_t items, int64_t chunks, int64_t strips,
                      int64_t width) const {
    for (int64_t strip = 0; strip < items; ++strip) {
      const int64_t first = strip / strips * width + strip % strips * kDriverColumns;
      const int64_t cols = std::min(kDriverColumns, width - strip % strips * kDriverColumns);
      Acc* total = &partial[static_cast<size_t>(strip * chunks * kDriverColumns)];
      for (int64_t c = 1; c < chunks; ++c) {
        for (int64_t j = 0; j < cols; ++j) P::merge(&total[j], total[c * kDriverColumns + j]);
      }
      finish(first, total, cols);
    }
  }

  const ReduceParams& p_;
  Extent kept_;
  Extent reduced_;
  size_t element_size_;
  ConvertFn convert_;
  ConvertFn store_;
};

template <class P>
void reduce_kernel(const ReduceParams& params, const void*) {
  ReduceDriver<P> driver(params);
  driver();
}

}  // namespace ampgrad::cpu
