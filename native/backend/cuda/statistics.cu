// Products, variances and Euclidean norms over dimensions.
#include <cmath>

#include "backend/cuda/families.h"
#include "backend/cuda/reduce_launch.cuh"

namespace ampgrad::cuda {

namespace {

// Floats multiply in double, so that only the result can overflow; integers wrap.
template <class T>
struct ProductStep {
  using Input = T;
  using Acc = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
  static AG_HD Acc identity() { return 1; }
  static AG_HD void add(Acc* a, T v, int64_t) { *a *= static_cast<Acc>(v); }
  static AG_HD void merge(Acc* a, Acc b) { *a *= b; }
  static AG_HD T value(Acc a, const ReduceArgs&) { return static_cast<T>(a); }
  static AG_HD int64_t index(Acc) { return 0; }
};

// Count, mean and sum of squared deviations, joined as in math::merge_moments but in T.
template <class T, bool kRoot>
struct VarianceStep {
  using Input = T;
  struct Acc {
    int64_t count;
    T mean;
    T m2;
  };
  static AG_HD Acc identity() { return {0, T{0}, T{0}}; }
  static AG_HD void add(Acc* a, T v, int64_t) {
    ++a->count;
    const T delta = v - a->mean;
    a->mean += delta / static_cast<T>(a->count);
    a->m2 += delta * (v - a->mean);
  }
  static AG_HD void merge(Acc* a, const Acc& b) {
    if (b.count == 0) return;
    const int64_t count = a->count + b.count;
    const T delta = b.mean - a->mean;
    const T share = static_cast<T>(b.count) / static_cast<T>(count);
    a->mean += delta * share;
    a->m2 += b.m2 + delta * delta * static_cast<T>(a->count) * share;
    a->count = count;
  }
  static AG_HD T value(const Acc& a, const ReduceArgs& r) {
    const double rest = static_cast<double>(a.count) - r.attr;
    const double v = static_cast<double>(a.m2) / (rest > 0 ? rest : 0);
    return static_cast<T>(kRoot ? ::sqrt(v) : v);
  }
  static AG_HD int64_t index(const Acc&) { return 0; }
};

template <class T>
struct EuclideanStep {
  using Input = T;
  using Acc = T;
  static AG_HD Acc identity() { return 0; }
  static AG_HD void add(Acc* a, T v, int64_t) { *a += v * v; }
  static AG_HD void merge(Acc* a, Acc b) { *a += b; }
  static AG_HD T value(Acc a, const ReduceArgs&) {
    return static_cast<T>(::sqrt(static_cast<double>(a)));
  }
  static AG_HD int64_t index(Acc) { return 0; }
};

}  // namespace

void register_statistics(const CudaHost& host) {
  set_reduce(host, OpId::prod, "prod", dtypes::kAll, reduce<ProductStep<float>>,
             reduce<ProductStep<double>>, reduce<ProductStep<int64_t>>);
  set_reduce(host, OpId::var, "var", dtypes::kFloat, reduce<VarianceStep<float, false>>,
             reduce<VarianceStep<double, false>>, nullptr);
  set_reduce(host, OpId::std, "std", dtypes::kFloat, reduce<VarianceStep<float, true>>,
             reduce<VarianceStep<double, true>>, nullptr);
  set_reduce(host, OpId::vectorNorm, "vectorNorm", dtypes::kFloat, reduce<EuclideanStep<float>>,
             reduce<EuclideanStep<double>>, nullptr);
}

}  // namespace ampgrad::cuda
