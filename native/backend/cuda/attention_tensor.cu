// Attention on Tensor Cores.
#include "backend/cuda/attention_launch.cuh"
#include "backend/cuda/attention_units.h"

namespace ampgrad::cuda {

void attention_tensor_half(bool backward, const AttentionArgs& args) {
  using Tiles = MatrixTiles<Half>;
  backward ? attention_backward<Tiles>(args) : attention_forward<Tiles>(args);
}

void attention_tensor_bfloat16(bool backward, const AttentionArgs& args) {
  using Tiles = MatrixTiles<BFloat16>;
  backward ? attention_backward<Tiles>(args) : attention_forward<Tiles>(args);
}

}  // namespace ampgrad::cuda
