// What the optimizer functors of optim-inl.h and the loops around them share.
#pragma once

namespace ampgrad::math {

// Prepared factors a functor may use, and states a tensor may have (per element; scalar).
inline constexpr int kOptimFactors = 9;
inline constexpr int kOptimStates = 3;
inline constexpr int kOptimScalars = 3;

// Choices that are the same for all elements of a tensor.
struct OptimFlags {
  bool decay = false;      // weight decay is not zero
  bool decoupled = false;  // decay shrinks the parameter instead of joining the gradient
  bool nesterov = false;
  bool amsgrad = false;
  bool centered = false;
  bool variant = false;  // set by prepare: momentum is on, the rate is rectified, ...
};

}  // namespace ampgrad::math
