// Numbers that configure a functor of native/math (slopes, bounds, alpha, decimals ...). Plain data
// that travels from the op layer to host and device kernels.
#pragma once

#include <cstdint>

namespace ampgrad {

struct Attrs {
  double d[4] = {0, 0, 0, 0};
  int64_t i[4] = {0, 0, 0, 0};
};

}  // namespace ampgrad
