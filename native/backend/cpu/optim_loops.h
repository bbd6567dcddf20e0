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

struct OptimLoops {
  OptimLoop float32[kNumOptimKinds];
  OptimLoop float64[kNumOptimKinds];
};

void fill_optim_loops(OptimLoops* loops);

}  // namespace ampgrad::cpu
