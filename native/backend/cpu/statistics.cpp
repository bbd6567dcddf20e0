// Reduction kernels of products, variances and Euclidean norms: policies for reduce_driver.h,
// folded in double (int64 for integers).
#include <cmath>

#include "backend/cpu/reduce_driver.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/register.h"
#include "math/reduce.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

template <class T>
struct Product : RunByRun<Product<T>> {
  using Input = T;
  using Acc = std::conditional_t<std::is_same_v<T, int64_t>, uint64_t, double>;
  using Result = T;
  static constexpr bool kOrdered = false;
  static constexpr bool kIndices = false;

  static Acc identity() { return 1; }
  static void run(const T* p, int64_t n, Acc* acc) {
    Acc total = *acc;
    for (int64_t i = 0; i < n; ++i) total *= static_cast<Acc>(p[i]);
    *acc = total;
  }
  static void rows(const T* p, int64_t stride, int64_t rows, int64_t cols, int64_t, Acc* accs) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) accs[c] *= static_cast<Acc>(p[r * stride + c]);
    }
  }
  static void merge(Acc* a, Acc b) { *a *= b; }
  static Result finish(Acc acc, const ReduceParams&) { return static_cast<T>(acc); }
};

// Two passes over a block that is in cache, blocks joined by their moments. attrs.d[0] is what is
// taken off the count.
template <class T, bool kRoot>
struct Variance : RunByRun<Variance<T, kRoot>> {
  using Input = T;
  using Acc = math::Moments;
  using Result = T;
  static constexpr bool kOrdered = false;
  static constexpr bool kIndices = false;

  static Acc identity() { return {}; }
  static void run(const T* p, int64_t n, Acc* acc) {
    if (n > 0) math::merge_moments(acc, run_moments(p, n));
  }
  static void rows(const T* p, int64_t stride, int64_t rows, int64_t cols, int64_t, Acc* accs) {
    const double count = static_cast<double>(rows);
    double mean[kDriverColumns];
    double m2[kDriverColumns];
    std::fill_n(mean, cols, 0.0);
    std::fill_n(m2, cols, 0.0);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) mean[c] += static_cast<double>(p[r * stride + c]);
    }
    for (int64_t c = 0; c < cols; ++c) mean[c] /= count;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        const double d = static_cast<double>(p[r * stride + c]) - mean[c];
        m2[c] += d * d;
      }
    }
    for (int64_t c = 0; c < cols; ++c) math::merge_moments(&accs[c], {count, mean[c], m2[c]});
  }
  static void merge(Acc* a, const Acc& b) { math::merge_moments(a, b); }
  static Result finish(const Acc& acc, const ReduceParams& p) {
    const double value = acc.m2 / std::max(0.0, acc.count - p.attrs.d[0]);
    return static_cast<T>(kRoot ? std::sqrt(value) : value);
  }
};

template <class T>
struct EuclideanNorm {
  using Input = T;
  using Acc = double;
  using Result = T;
  static constexpr bool kOrdered = false;
  static constexpr bool kIndices = false;

  static Acc identity() { return 0; }
  static void runs(const T* p, int64_t stride, int64_t runs, int64_t n, int64_t, Acc* accs) {
    sum_squares_runs(p, stride, runs, n, 0, accs);
  }
  static void rows(const T* p, int64_t stride, int64_t rows, int64_t cols, int64_t, Acc* accs) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        const double v = static_cast<double>(p[r * stride + c]);
        accs[c] += v * v;
      }
    }
  }
  static void merge(Acc* a, Acc b) { *a += b; }
  static Result finish(Acc acc, const ReduceParams&) { return static_cast<T>(std::sqrt(acc)); }
};

void set(OpId op, DTypeSet dtypes, KernelFn<ReduceParams> single, KernelFn<ReduceParams> wide,
         KernelFn<ReduceParams> integer) {
  for (int i = 0; i < kNumDTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    if (!dtypes.has(dtype)) continue;
    KernelFn<ReduceParams> fn = integer;
    if (is_floating(dtype)) fn = dtype == DType::Float64 ? wide : single;
    KernelTable::set<ReduceParams>(op, DeviceType::Cpu, dtype, fn);
  }
}

}  // namespace

void register_statistics() {
  set(OpId::prod, dtypes::kAll, reduce_kernel<Product<float>>, reduce_kernel<Product<double>>,
      reduce_kernel<Product<int64_t>>);
  set(OpId::var, dtypes::kFloat, reduce_kernel<Variance<float, false>>,
      reduce_kernel<Variance<double, false>>, nullptr);
  set(OpId::std, dtypes::kFloat, reduce_kernel<Variance<float, true>>,
      reduce_kernel<Variance<double, true>>, nullptr);
  set(OpId::vectorNorm, dtypes::kFloat, reduce_kernel<EuclideanNorm<float>>,
      reduce_kernel<EuclideanNorm<double>>, nullptr);
}

}  // namespace ampgrad::cpu
