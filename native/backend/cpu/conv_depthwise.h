// Convolutions of every channel with three lines of three weights of its own, in steps of one and
// as wide as their source: read from where the source lies, without a copy that has zeros around
// it.
#pragma once

#include "ops/conv_params.h"

namespace ampgrad::cpu {

// One channel of one sample: result(h, w) = bias + sum over i, j < 3 of
// weights[3 * i + j] * source(h + i - before, w + j - 1).
struct DepthwiseChannel {
  const void* source = nullptr;
  void* result = nullptr;
  const void* zeros = nullptr;  // a line of the source
  int64_t size = 0;             // lines of the source
  int64_t lines = 0;            // of the result
  int64_t width = 0;            // at least the kernels' lanes
  int64_t before = 0;           // lines of zeros in front of the source
};

struct DepthwiseKernels {
  int64_t lanes = 0;
  // Nine weights and the bias.
  void (*multiply)(const DepthwiseChannel& channel, const float* weights) = nullptr;
  // sums[3 * i + j] += sum over h, w of result(h, w) * source(h + i - before, w + j - 1)
  void (*weight_grad)(const DepthwiseChannel& channel, double* sums) = nullptr;
};

// Each does the work and answers true, or false where these kernels do not serve.
bool depthwise_forward(const ConvParams& p);
bool depthwise_input_grad(const ConvParams& p);
bool depthwise_weight_grad(const ConvParams& p);

}  // namespace ampgrad::cpu
