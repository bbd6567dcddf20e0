// Vectorised loops over a contiguous run of one tensor's elements, one per optimizer and compute
// type.
#pragma once

#include <cstdint>

#include "math/optim.h"

namespace ampgrad::cpu {

// The functors of math/optim-inl.h, by the name without "Step".
#define AG_FOR_EACH_OPTIM(X) \
  X(Sgd)                     \
  X(Adam) X(Rmsprop) X(Adagrad) X(Adadelta) X(Adamax) X(Nadam) X(Radam) X(Rprop) X(Asgd) X(Lion)

enum class OptimKind : uint8_t {
#define AG_ENUM(name) name,
  AG_FOR_EACH_OPTIM(AG_ENUM)
#undef AG_ENUM
      kCount
};

inline constexpr int kNumOptimKinds = static_cast<int>(OptimKind::kCount);

// All pointers are of the compute type. States that the variant does not use are null.
struct OptimRun {
  void* param = nullptr;
  const void* grad = nullptr;
  void* states[math::kOptimStates] = {};
  int64_t n = 0;
  const double* factors = nullptr;
  double grad_factor = 1;
  math::OptimFlags flags;
};

using OptimLoop = void (*)(const OptimRun& run);

// x[i] = clamp(x[i] * scale, low, high)
template <class T>
using ScaleLoop = void (*)(T* x, int64_t n, T scale, T low, T high);

// Adafactor on a run of one row: the estimated mean square of element i is row * col[i].
template <class T>
struct FactoredRun {
  const T* grad = nullptr;
  const T* col = nullptr;
  T row = 1;
  T floor = 0;
  int64_t n = 0;
};
// out[i] = the update of element i
template <class T>
using FactoredUpdate = void (*)(const FactoredRun<T>& run, T* out);
// p[i] = keep * p[i] + rate * update[i]
template <class T>
using FactoredApply = void (*)(const FactoredRun<T>& run, T* p, T keep, T rate);

template <class T>
struct OptimLoopsOf {
  OptimLoop steps[kNumOptimKinds];
  ScaleLoop<T> scale;
  FactoredUpdate<T> factored_update;
  FactoredApply<T> factored_apply;
};

struct OptimLoops {
  OptimLoopsOf<float> float32;
  OptimLoopsOf<double> float64;
};

void fill_optim_loops(OptimLoops* loops);

// The loops for the instruction set in use, filled once.
const OptimLoops& optim_loops();
template <class T>
const OptimLoopsOf<T>& optim_loops_of() {
  if constexpr (sizeof(T) == 4) {
    return optim_loops().float32;
  } else {
    return optim_loops().float64;
  }
}

}  // namespace ampgrad::cpu
