// Casts that autocast leaves to the op it calls: the op was given some arguments in float32, which
// it rounds to the dtype of the others as it reads them. Set by AutocastOff (amp/autocast.h).
#pragma once

namespace ampgrad {

class LeftCasts {
 public:
  // Whether the running op was left casts.
  static bool any() { return any_; }

 private:
  friend class AutocastOff;
  static inline thread_local bool any_ = false;
};

}  // namespace ampgrad
