// The launches of convolution kernels, one unit for each kind, and when each is right.
#pragma once

#include "backend/cuda/device/conv.cuh"

namespace ampgrad::cuda {

// Blocks of 64 x 64 results by threads, by type of arithmetic.
void conv_tiles_single(ConvMap map, const char* name, const ConvArgs& args);
void conv_tiles_bfloat16(ConvMap map, const char* name, const ConvArgs& args);
void conv_tiles_double(ConvMap map, const char* name, const ConvArgs& args);
void conv_tiles_long(ConvMap map, const char* name, const ConvArgs& args);
// The same on Tensor Cores.
void conv_tensor_half(ConvMap map, const char* name, const ConvArgs& args);
void conv_tensor_bfloat16(ConvMap map, const char* name, const ConvArgs& args);
// A thread for each result, or for weights a block.
void conv_direct(DType dtype, ConvMap map, const char* name, const ConvArgs& args);

// By cuBLASLt, one group, forward and input gradient: kernels of one tap, and others through
// columns (float32 and float64), of which conv_columns_items items are made at a time; 0: too many.
void conv_pointwise(DType dtype, ConvMap map, const char* name, const ConvArgs& args,
                    int64_t items);
int64_t conv_columns_items(DType dtype, const ConvArgs& args, int64_t items);
void conv_columns(DType dtype, ConvMap map, const char* name, const ConvArgs& args, int64_t items);

// Blocks over n, m, and groups and parts.
dim3 conv_grid(const ConvArgs& args);

}  // namespace ampgrad::cuda
