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
  static void run(const T* p, int64_t n, int64_t, Acc* acc) {
    if (n > kShortRun) {
      add(acc, sum_run(p, n));
      return;
    }
    Acc total = 0;
    for (int64_t i = 0; i < n; ++i) add(&total, static_cast<Acc>(p[i]));
    add(acc, total);
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
  static void run(const T* p, int64_t n, int64_t, Acc* acc) {
    if (n <= 0) return;
    T best = p[0];
    if (n > kShortRun) {
      best = kMax ? max_run(p, n) : min_run(p, n);
    } else {
      for (int64_t i = 1; i < n; ++i) best = math::beats<kMax>(p[i], best) ? p[i] : best;
    }
    merge(acc, {best, true});
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
  static void run(const T* p, int64_t n, int64_t first, Acc* acc) {
    if (n <= kShortRun) {
      for (int64_t i = 0; i < n; ++i) offer(acc, p[i], first + i);
      return;
    }
    const T best = kMax ? max_run(p, n) : min_run(p, n);
    if (acc->index >= 0 && !math::beats<kMax>(best, acc->value)) return;
    const int64_t i = find_run(p, n, best);
    *acc = {p[i], first + i};
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

// all / any over bools; the run stops mattering once the answer is known.
template <bool kAll>
struct Logical {
  using Input = bool;
  using Acc = uint8_t;
  using Result = bool;
  static constexpr bool kOrdered = false;
  static constexpr bool kIndices = false;

  static Acc identity() { return kAll; }
  static void run(const bool* p, int64_t n, int64_t, Acc* acc) {
    if (static_cast<bool>(*acc) != kAll) return;
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
