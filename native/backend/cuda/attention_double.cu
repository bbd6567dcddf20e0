// Attention by threads in double.
#include "backend/cuda/attention_launch.cuh"
#include "backend/cuda/attention_units.h"

namespace ampgrad::cuda {

void attention_double(bool backward, const AttentionArgs& args) {
  using Tiles = ThreadTiles<double, 32>;
  backward ? attention_backward<Tiles>(args) : attention_forward<Tiles>(args);
}

}  // namespace ampgrad::cuda
