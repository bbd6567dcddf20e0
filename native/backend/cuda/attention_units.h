// The units of attention's kernels, one for each kind of tiles.
#pragma once

#include "backend/cuda/attention.cuh"

namespace ampgrad::cuda {

using AttentionLaunch = void (*)(bool backward, const AttentionArgs& args);
void attention_single(bool backward, const AttentionArgs& args);
void attention_bfloat16(bool backward, const AttentionArgs& args);
void attention_double(bool backward, const AttentionArgs& args);
// On Tensor Cores.
void attention_tensor_half(bool backward, const AttentionArgs& args);
void attention_tensor_bfloat16(bool backward, const AttentionArgs& args);

}  // namespace ampgrad::cuda
