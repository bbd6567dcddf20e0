// Reduction kernels of the CPU: a policy for each op (see reduce_driver.h) and their registration.
// Inputs are folded in float (float16, bfloat16, float32), double or int64; sums of floats are kept
// in double between blocks.
#include "math/reduce.h"
#include "backend/cpu/reduce_driver.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/register.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

// Below this a plain loop beats the set-up of vector lanes.
constexpr int64_t kShortRun = 16;

template <class T, bool kMean>
struct Sum {
  using Input = T;
  using Acc = std::conditional_t<std::is_same_v<T, int64_t>, int64_t, double>;
  using Result = T;
  static constexpr bool kOrdered = false;
  static constexpr bool kIndices = false;

  static Acc identity() { return 0; }
  static void runs(const T* p, int64_t stride, int64_t runs, int64_t n, int64_t, Acc* accs) {
    if (n > kShortRun) {
      sum_runs(p, stride, runs, n, accs);
      return;
    }
    for (int64_t r = 0; r < runs; ++r) {
      accs[r] = 0;
      for (int64_t i = 0; i < n; ++i) add(&accs[r], static_cast<Acc>(p[r * stride + i]));
    }
  }
  static void rows(const T* p, int64_t stride, int64_t rows, int64_t cols, int64_t, Acc* accs) {
    sum_rows(p, stride, rows, cols, accs);
  }
  static void merge(Acc* a, Acc b) { add(a, b); }
  static Result finish(Acc acc, const ReduceParams& p) {
    if constexpr (kMean) return static_cast<T>(acc / static_cast<Acc>(p.reduced_numel));
    return static_cast<T>(acc);
  }

 private:
  static void add(Acc* a, Acc b) { *a = math::wrapping_sum(*a, b); }
};

template <bool kMax, class T>
void best_of_runs(const T* p, int64_t stride, int64_t runs, int64_t n, T* best) {
  if (n > kShortRun) {
    if (kMax) {
      max_runs(p, stride, runs, n, best);
    } else {
      min_runs(p, stride, runs, n, best);
    }
    return;
  }
  for (int64_t r = 0; r < runs; ++r) {
    const T* run = p + r * stride;
    best[r] = run[0];
    for (int64_t i = 1; i < n; ++i) best[r] = math::beats<kMax>(run[i], best[r]) ? run[i] : best[r];
  }
}

template <class T, bool kMax>
struct Extreme {
  using Input = T;
  struct Acc {
    T value;
    bool any;
  };
  using Result = T;
  static constexpr bool kOrdered = false;
  static constexpr bool kIndices = false;

  static Acc identity() { return {T{0}, false}; }
  static void runs(const T* p, int64_t stride, int64_t runs, int64_t n, int64_t, Acc* accs) {
    T best[kResultBatch];
    best_of_runs<kMax>(p, stride, runs, n, best);
    for (int64_t r = 0; r < runs; ++r) accs[r] = {best[r], true};
  }
  static void rows(const T* p, int64_t stride, int64_t rows, int64_t cols, int64_t, Acc* accs) {
    T best[kDriverColumns];
    for (int64_t c = 0; c < cols; ++c) best[c] = accs[c].any ? accs[c].value : p[c];
    if (kMax) {
      max_rows(p, stride, rows, cols, best);
    } else {
      min_rows(p, stride, rows, cols, best);
    }
    for (int64_t c = 0; c < cols; ++c) accs[c] = {best[c], true};
  }
  static void merge(Acc* a, const Acc& b) {
    if (!b.any) return;
    if (!a->any || math::beats<kMax>(b.value, a->value)) *a = b;
  }
  static Result finish(const Acc& acc, const ReduceParams&) { return acc.value; }
};

// Extreme with the position of its first occurrence.
template <class T, bool kMax>
struct ArgExtreme {
  using Input = T;
  struct Acc {
    T value;
    int64_t index;  // -1: nothing yet
  };
  using Result = T;
  static constexpr bool kOrdered = true;
  static constexpr bool kIndices = true;

  static Acc identity() { return {T{0}, -1}; }
  // The extremes of a few runs, then their places while the runs are in the first-level cache.
  static void runs(const T* p, int64_t stride, int64_t runs, int64_t n, int64_t first, Acc* accs) {
    constexpr int64_t kCached = 4096;
    const int64_t few = std::clamp<int64_t>(kCached / std::max<int64_t>(n, 1), 1, kResultBatch);
    T best[kResultBatch];
    for (int64_t r = 0; r < runs; r += few) {
      const int64_t count = std::min(few, runs - r);
      best_of_runs<kMax>(p + r * stride, stride, count, n, best);
      for (int64_t k = 0; k < count; ++k) {
        const T* run = p + (r + k) * stride;
        const int64_t at = find_run(run, n, best[k]);
        accs[r + k] = {run[at], first + at};
      }
    }
  }
  static void rows(const T* p, int64_t stride, int64_t rows, int64_t cols, int64_t first,
                   Acc* accs) {
    T best[kDriverColumns];
    int64_t index[kDriverColumns];
    for (int64_t c = 0; c < cols; ++c) {
      best[c] = accs[c].index < 0 ? p[c] : accs[c].value;
      index[c] = accs[c].index < 0 ? first : accs[c].index;
    }
    for (int64_t r = 0; r < rows; ++r) {
      const T* row = p + r * stride;
      for (int64_t c = 0; c < cols; ++c) {
        const bool better = math::beats<kMax>(row[c], best[c]);
        best[c] = better ? row[c] : best[c];
        index[c] = better ? first + r : index[c];
      }
    }
    for (int64_t c = 0; c < cols; ++c) accs[c] = {best[c], index[c]};
  }
  static void merge(Acc* a, const Acc& b) {
    if (b.index >= 0) offer(a, b.value, b.index);
  }
  static Result finish(const Acc& acc, const ReduceParams&) { return acc.value; }
  static int64_t index(const Acc& acc) { return acc.index; }

 private:
  static void offer(Acc* acc, T value, int64_t index) {
    if (acc->index < 0 || math::beats<kMax>(value, acc->value)) *acc = {value, index};
  }
};

// all / any over bools.
template <bool kAll>
struct Logical : RunByRun<Logical<kAll>> {
  using Input = bool;
  using Acc = uint8_t;
  using Result = bool;
  static constexpr bool kOrdered = false;
  static constexpr bool kIndices = false;

  static Acc identity() { return kAll; }
  static bool settled(Acc acc) { return static_cast<bool>(acc) != kAll; }
  static void run(const bool* p, int64_t n, Acc* acc) {
    if (std::memchr(p, kAll ? 0 : 1, static_cast<size_t>(n)) != nullptr) *acc = !kAll;
  }
  static void rows(const bool* p, int64_t stride, int64_t rows, int64_t cols, int64_t, Acc* accs) {
    for (int64_t r = 0; r < rows; ++r) {
      const bool* row = p + r * stride;
      for (int64_t c = 0; c < cols; ++c) {
        const uint8_t v = static_cast<uint8_t>(row[c]);
        accs[c] = kAll ? static_cast<uint8_t>(accs[c] & v) : static_cast<uint8_t>(accs[c] | v);
      }
    }
  }
  static void merge(Acc* a, Acc b) {
    *a = kAll ? static_cast<uint8_t>(*a & b) : static_cast<uint8_t>(*a | b);
  }
  static Result finish(Acc acc, const ReduceParams&) { return acc != 0; }
};

using ReduceFn = KernelFn<ReduceParams>;

// The cell's dtype is that of the input; what is folded is its opmath type (int64 for integers).
void set(OpId op, DTypeSet dtypes, ReduceFn single, ReduceFn wide, ReduceFn integer) {
  for (int i = 0; i < kNumDTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    if (!dtypes.has(dtype)) continue;
    ReduceFn fn = integer;
    if (is_floating(dtype)) fn = dtype == DType::Float64 ? wide : single;
    KernelTable::set<ReduceParams>(op, DeviceType::Cpu, dtype, fn);
  }
}

template <template <class, bool> class P, bool kFlag>
void set_all(OpId op) {
  set(op, dtypes::kAll, reduce_kernel<P<float, kFlag>>, reduce_kernel<P<double, kFlag>>,
      reduce_kernel<P<int64_t, kFlag>>);
}

}  // namespace

void register_reduce() {
  set_all<Sum, false>(OpId::sum);
  set(OpId::mean, dtypes::kFloat, reduce_kernel<Sum<float, true>>, reduce_kernel<Sum<double, true>>,
      nullptr);
  set_all<Extreme, true>(OpId::amax);
  set_all<Extreme, false>(OpId::amin);
  for (OpId op : {OpId::maxDim, OpId::argmax}) set_all<ArgExtreme, true>(op);
  for (OpId op : {OpId::minDim, OpId::argmin}) set_all<ArgExtreme, false>(op);
  const ReduceFn all = reduce_kernel<Logical<true>>;
  const ReduceFn any = reduce_kernel<Logical<false>>;
  set(OpId::all, dtypes::kAll, all, all, all);
  set(OpId::any, dtypes::kAll, any, any, any);
}

}  // namespace ampgrad::cpu
