// Anomaly detection: while it is on, nodes remember where the program recorded them and the engine
// looks at what every derivative returns. Thread-local, like the grad mode.
#pragma once

#include <functional>
#include <string>

#include "autograd/node.h"

namespace ampgrad {

class AnomalyMode {
 public:
  static bool enabled() { return enabled_; }
  static bool checks_nan() { return check_nan_; }
  // `capture` describes the place of the program that is being executed.
  static void enable(bool check_nan, std::function<std::string()> capture);
  static void disable();

  // Notes on the node where it was recorded.
  static void note_origin(Node& node);

 private:
  static inline thread_local bool enabled_ = false;
  static inline thread_local bool check_nan_ = true;
};

// node.apply under anomaly detection: raises if a gradient is NaN, and says in every error where
// the op was called.
TensorList apply_watched(Node& node, TensorList&& grads);

}  // namespace ampgrad
