// Norm and scaling of whole lists of tensors. Lists are cut into chunks of a fixed size, so that
// threads share the work evenly and a norm does not depend on their number.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "backend/cpu/convert.h"
#include "backend/cpu/optim_loops.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/register.h"
#include "math/power_norm.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kChunk = 1 << 16;       // elements of a piece of work
constexpr int64_t kBlock = kReduceBlock;  // elements a buffer holds

struct Chunk {
  int64_t tensor;
  int64_t begin;
  int64_t count;
};

std::vector<Chunk> chunks_of(const MultiTensorParams& p) {
  std::vector<Chunk> chunks;
  for (int64_t i = 0; i < p.num_tensors; ++i) {
    for (int64_t at = 0; at < p.tensors[i].numel; at += kChunk) {
      chunks.push_back({i, at, std::min(kChunk, p.tensors[i].numel - at)});
    }
  }
  return chunks;
}

void* element(const MultiTensor& t, int64_t i) {
  return static_cast<char*>(t.data) + i * static_cast<int64_t>(dtype_size(t.dtype));
}

// Folds runs of numbers for a norm.
class Norm : public math::PowerNorm {
 public:
  explicit Norm(double order) : PowerNorm{order} {}

  // 0 < n <= kBlock. `scratch` holds as many.
  template <class T>
  double fold(const T* x, int64_t n, T* scratch) const {
    if (ord == 2) return sum_squares_run(x, n, 0.0);
    if (ord == kInfinity) {
      const double high = static_cast<double>(max_run(x, n));
      const double low = -static_cast<double>(min_run(x, n));
      return combine(combine(high, low), 0.0);
    }
    if (ord == 1 || ord == -kInfinity) {
      for (int64_t i = 0; i < n; ++i) scratch[i] = std::abs(x[i]);
      return ord == 1 ? sum_run(scratch, n) : static_cast<double>(min_run(scratch, n));
    }
    double total = 0;
    for (int64_t i = 0; i < n; ++i) total += of_one(static_cast<double>(x[i]));
    return total;
  }
};

template <class T>
double fold_chunk(const Norm& norm, const MultiTensor& t, const Chunk& c, T* buffer) {
  const bool convert = t.dtype != dtype_of<T>;
  double total = norm.start();
  int64_t at = 0;
  if (norm.ord == 2 && !convert) {
    // Whole blocks at once, which are read in several places in turn.
    double sums[kChunk / kBlock];
    const int64_t blocks = c.count / kBlock;
    sum_squares_runs(static_cast<const T*>(element(t, c.begin)), kBlock, blocks, kBlock, 0.0, sums);
    for (int64_t b = 0; b < blocks; ++b) total += sums[b];
    at = blocks * kBlock;
  }
  for (; at < c.count; at += kBlock) {
    const int64_t n = std::min(kBlock, c.count - at);
    const void* from = element(t, c.begin + at);
    if (convert) convert_fn(t.dtype, dtype_of<T>)(from, buffer, static_cast<size_t>(n));
    const T* x = convert ? buffer : static_cast<const T*>(from);
    total = norm.combine(total, norm.fold(x, n, buffer + kBlock));
  }
  return total;
}

void norm_kernel(const MultiTensorParams& p, const void*) {
  const Norm norm(p.ord);
  const std::vector<Chunk> chunks = chunks_of(p);
  std::vector<double> folds(chunks.size());
  const auto work = [&](int64_t begin, int64_t end) {
    std::unique_ptr<double[]> buffer(new double[2 * kBlock]);
    for (int64_t i = begin; i < end; ++i) {
      const size_t k = static_cast<size_t>(i);
      const MultiTensor& t = p.tensors[chunks[k].tensor];
      folds[k] = t.dtype == DType::Float64
                     ? fold_chunk(norm, t, chunks[k], buffer.get())
                     : fold_chunk(norm, t, chunks[k], reinterpret_cast<float*>(buffer.get()));
    }
  };
  parallel_for(static_cast<int64_t>(chunks.size()), 1, work);
  double total = norm.start();
  for (size_t k = 0; k < chunks.size();) {
    double one = norm.start();
    const int64_t tensor = chunks[k].tensor;
    for (; k < chunks.size() && chunks[k].tensor == tensor; ++k) {
      one = norm.combine(one, folds[k]);
    }
    total = norm.combine(total, norm.of_one(norm.finish(one)));
  }
  const double result = norm.finish(total);
  if (p.out_dtype == DType::Float64) {
    *static_cast<double*>(p.out) = result;
  } else {
    *static_cast<float*>(p.out) = static_cast<float>(result);
  }
}

template <class T>
void scale_chunk(const MultiTensorParams& p, double scale, const MultiTensor& t, const Chunk& c,
                 T* buffer) {
  const auto run = [&](T* x, int64_t n) {
    optim_loops_of<T>().scale(x, n, static_cast<T>(scale), static_cast<T>(p.min),
                              static_cast<T>(p.max));
  };
  if (t.dtype == dtype_of<T>) {
    run(static_cast<T*>(element(t, c.begin)), c.count);
    return;
  }
  for (int64_t at = 0; at < c.count; at += kBlock) {
    const int64_t n = std::min(kBlock, c.count - at);
    void* data = element(t, c.begin + at);
    convert_fn(t.dtype, dtype_of<T>)(data, buffer, static_cast<size_t>(n));
    run(buffer, n);
    convert_fn(dtype_of<T>, t.dtype)(buffer, data, static_cast<size_t>(n));
  }
}

void scale_kernel(const MultiTensorParams& p, const void*) {
  double scale = 1;
  if (p.scale != nullptr) convert_fn(p.scale_dtype, DType::Float64)(p.scale, &scale, 1);
  const std::vector<Chunk> chunks = chunks_of(p);
  const auto work = [&](int64_t begin, int64_t end) {
    std::unique_ptr<float[]> buffer(new float[kBlock]);
    for (int64_t i = begin; i < end; ++i) {
      const Chunk& c = chunks[static_cast<size_t>(i)];
      const MultiTensor& t = p.tensors[c.tensor];
      if (t.dtype == DType::Float64) {
        scale_chunk<double>(p, scale, t, c, nullptr);
      } else {
        scale_chunk<float>(p, scale, t, c, buffer.get());
      }
    }
  };
  parallel_for(static_cast<int64_t>(chunks.size()), 1, work);
}

}  // namespace

void register_multi_tensor() {
  for (DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    KernelTable::set<MultiTensorParams>(OpId::multiTensorNorm, DeviceType::Cpu, dtype, norm_kernel);
    KernelTable::set<MultiTensorParams>(OpId::multiTensorScale_, DeviceType::Cpu, dtype,
                                        scale_kernel);
  }
}

}  // namespace ampgrad::cpu
