// The geometry of a convolution as an implicit matrix product, the same for every instruction set.
// An image is copied once with zeros around it and its columns sorted by their index modulo the
// stride; then the operand of the product at (tap, pixel) lies at taps[tap] + base(pixel), and
// neighbouring pixels of an output row are neighbours in memory.
#pragma once

#include <vector>

#include "ops/conv_params.h"

namespace ampgrad::cpu {

// One group of channels of one sample, as prepared for the product.
struct ConvImage {
  int64_t channels = 0;  // elements of the image: channels, or pairs of them
  int64_t source_channels = 0;
  bool paired = false;            // an element holds two neighbouring channels, bfloat16 both
  int64_t size[3] = {1, 1, 1};    // of the source
  int64_t before[3] = {0, 0, 0};  // zeros in front of it
  int64_t padded[3] = {1, 1, 1};
  int64_t step = 1;                         // columns are sorted by their index modulo this
  int64_t quotient = 1;                     // columns of one residue
  int64_t row = 1, plane = 1, channel = 1;  // distances in elements
  bool copied = true;                       // false: the source itself serves
  std::vector<uint8_t> rows_used;           // of padded[1]
  std::vector<uint8_t> residues_used;       // of step

  int64_t numel() const { return channels * channel; }
  int64_t source_channel() const { return size[0] * size[1] * size[2]; }
};

// Output pixels that use the same taps. Pixel (d, h, w) has base d * jump[0] + h * jump[1] + w and
// goes to out_offset + d * out_stride[0] + h * out_stride[1] + w * out_stride[2].
struct ConvPhase {
  int64_t out[3] = {0, 0, 0};
  int64_t jump[2] = {0, 0};
  int64_t out_offset = 0;
  int64_t out_stride[3] = {0, 0, 1};
  std::vector<int64_t> taps;     // of the image, one per term of the sum
  std::vector<int64_t> weights;  // offset of the term's weight for row 0
  int64_t max_tap = 0;

  int64_t pixels() const { return out[0] * out[1] * out[2]; }
  // Of neighbours in a line; a lone last pixel counts as one.
  int64_t pairs() const { return out[0] * out[1] * ((out[2] + 1) / 2); }
  int64_t terms() const { return static_cast<int64_t>(taps.size()); }
  // Are the pixels, in order, neighbours in the result?
  bool flat() const {
    return out_stride[2] == 1 && (out[1] == 1 || out_stride[1] == out[2]) &&
           (out[0] == 1 || out_stride[0] == out[1] * out[2]);
  }
};

struct ConvPlan {
  ConvImage image;
  std::vector<ConvPhase> phases;
  int64_t rows = 0;           // channels of the result, per group
  int64_t weight_row = 0;     // distance of two rows' weights
  int64_t weight_pair = 0;    // and of the weights of two channels of the image
  int64_t result_pixels = 0;  // of one channel of the result
};

// y from x. Terms of a plan of pairs stand for the products of two channels.
ConvPlan plan_forward(const ConvParams& p, bool paired = false);
// x from y: one phase for each residue of x's index modulo the stride.
ConvPlan plan_input_grad(const ConvParams& p, bool paired = false);

}  // namespace ampgrad::cpu
