// What the SIMD units of the convolution offer to its driver (conv.cpp), per Highway target. `Acc`
// below is the type products are summed in: float, or double for float64.
#pragma once

#include "backend/cpu/conv_plan.h"

namespace ampgrad::cpu {

// Pixels [begin, end) of a phase, counted through consecutive samples, for some panels of rows
// (channels of the result) of one group.
struct ConvTask {
  const ConvPlan* plan = nullptr;
  const ConvPhase* phase = nullptr;
  const void* image = nullptr;    // Acc, prepared
  const void* weights = nullptr;  // Acc, packed
  const void* bias = nullptr;     // of the group; may be null
  void* out = nullptr;            // of the group and first sample
  int64_t image_sample = 0;       // distances of samples
  int64_t out_sample = 0;
  bool one_sample = true;
  int64_t begin = 0, end = 0;
  int64_t first_panel = 0, end_panel = 0;
};

// A part of the weight gradient: sums[t * sums_stride + k] += sum over the pixels of all samples of
// image(tap t, pixel) * grad(k, pixel), k in [first, first + count).
struct ConvWeightTask {
  const ConvPhase* phase = nullptr;
  const int64_t* taps = nullptr;  // of the image, `num_taps` of them
  int64_t num_taps = 0;
  const void* image = nullptr;  // Acc
  int64_t samples = 1, image_sample = 0;
  const void* grad = nullptr;  // Acc: panels of y channels as packed by pack_grad, or plain rows
  int64_t first = 0, count = 0;
  void* sums = nullptr;  // Acc
  int64_t sums_stride = 0;
};

struct ConvKernels {
  // Channels [first, end) of `source` into `image` (which stands for channel 0).
  void (*prepare)(const ConvImage& layout, const void* source, int64_t first, int64_t end,
                  void* image) = nullptr;
  // Panels [first, end) of the weights of a phase; the panels of a plan are weight_panels(rows).
  void (*pack_weights)(const ConvPlan& plan, const ConvPhase& phase, const void* weights,
                       int64_t first, int64_t end, void* packed) = nullptr;
  void (*compute)(const ConvTask& task) = nullptr;
  // The panel of `cols` channels from `first` on of the gradient [channels, pixels] of one sample,
  // pixel by pixel.
  void (*pack_grad)(const void* grad, int64_t channels, int64_t pixels, int64_t first,
                    void* panel) = nullptr;
  void (*weight_grad)(const ConvWeightTask& task) = nullptr;
  // The same from plain rows of the gradient, for groups of a few channels.
  void (*weight_grad_rows)(const ConvWeightTask& task) = nullptr;
  void (*widen)(const void* from, int64_t n, void* to) = nullptr;
  // to[k * terms + t] = from[t * stride + k] for k < count, at most kNarrowRows.
  void (*narrow)(const void* from, int64_t stride, int64_t terms, int64_t count,
                 void* to) = nullptr;
  // The same with ConvParams::widened; only of half dtypes.
  void (*narrow_widened)(const void* from, int64_t stride, int64_t terms, int64_t count,
                         void* to) = nullptr;
  int64_t rows = 0, cols = 0;  // size of the register tile
  // For pairs of bfloat16 numbers, where the processor multiplies them: an image as it is, panels
  // of the gradient by pairs of pixels (line by line, a lone last pixel with 0), and the sums.
  bool pairs = false;
  void (*prepare_raw)(const ConvImage& layout, const void* source, int64_t first, int64_t end,
                      void* image) = nullptr;
  void (*pack_grad_pairs)(const ConvPhase& phase, const void* grad, int64_t channels, int64_t first,
                          void* panel) = nullptr;
  void (*weight_grad_pairs)(const ConvWeightTask& task) = nullptr;
};

// Pairs of pixels that are neighbours in the image, perhaps with one more pixel at the end.
struct PairSegment {
  int64_t base = 0, pairs = 0;
  bool lone = false;
};

// sums[r * sums_stride + k] += image pairs at tap r * gradient pairs, fn[taps - 1]; nullptr where
// the machine has no such instructions.
struct Bf16WeightTable {
  void (*fn[14])(const uint16_t* image, const int64_t* taps, const PairSegment* segments,
                 int64_t count, const float* grad, float* sums, int64_t sums_stride);
};
const Bf16WeightTable* bf16_weight_table();

// Elements that may be read (and are never used) beyond an image or a panel.
inline constexpr int64_t kConvSlack = 128;
// Rows of a weight gradient written at once.
inline constexpr int64_t kNarrowRows = 16;

ConvKernels conv_kernels_f32();
ConvKernels conv_kernels_f64();
ConvKernels conv_kernels_f16();
ConvKernels conv_kernels_bf16();

}  // namespace ampgrad::cpu
