// Attention by threads in float, and of bfloat16 on devices without its Tensor Cores.
#include "backend/cuda/attention_launch.cuh"
#include "backend/cuda/attention_units.h"

namespace ampgrad::cuda {

void attention_single(bool backward, const AttentionArgs& args) {
  using Tiles = ThreadTiles<float, 64>;
  backward ? attention_backward<Tiles>(args) : attention_forward<Tiles>(args);
}

void attention_bfloat16(bool backward, const AttentionArgs& args) {
  using Tiles = ThreadTiles<BFloat16, 64>;
  backward ? attention_backward<Tiles>(args) : attention_forward<Tiles>(args);
}

}  // namespace ampgrad::cuda
