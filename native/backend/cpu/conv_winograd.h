// Winograd's minimal filtering F(2x2, 3x3): 16 instead of 36 products for 2 x 2 neighbouring pixels
// of a 3 x 3 convolution with stride 1. Tiles of 4 x 4 pixels and the weights are transformed, 16
// matrix products (one for each point of a tile) sum over the channels, and their results are
// transformed back. All factors are 0, 1/2 and 1, so that errors stay those of a direct sum.
#pragma once

#include "ops/conv_params.h"

namespace ampgrad::cpu {

inline constexpr int64_t kWinogradPoints = 16;

// One group, read as a correlation: result(row, y, x) = sum over channels c and taps i, j < 3 of
// weight(row, c, i, j) * source(c, y + i - before[0], x + j - before[1]).
struct WinogradShape {
  int64_t channels = 0, rows = 0;
  int64_t size[2] = {0, 0};  // height and width of the source
  int64_t out[2] = {0, 0};   // and of the result
  int64_t before[2] = {0, 0};
  int64_t tiles[2] = {0, 0};
  int64_t weight_row = 0, weight_channel = 0;  // distances in the weights
  bool mirrored = false;                       // the last tap comes first
  int64_t source_sample = 0, out_sample = 0;   // distances of samples
};

// Tiles [first, first + count), counted row by row through consecutive samples; at most `cols` of
// WinogradKernels.
struct TileRange {
  int64_t first = 0, count = 0;
};

// Rows of tiles, counted in the same way.
struct TileRows {
  int64_t first = 0, count = 0;
};

// Pointers are those of a group. `Acc` is the type products are summed in.
struct WinogradKernels {
  // A panel of rows of the transformed weights: point by point, channel by channel.
  void (*weights)(const WinogradShape& shape, const void* weights, int64_t panel,
                  void* packed) = nullptr;
  // Channels [first, end) of transformed tiles: point by point, channel by channel.
  void (*tiles)(const WinogradShape& shape, const void* source, TileRange range, int64_t first,
                int64_t end, void* packed) = nullptr;
  // Products of a panel with tiles, transformed into the result. False where one is not finite:
  // transforms spread infinities and NaN over a tile.
  bool (*product)(const WinogradShape& shape, const void* weights, const void* tiles, int64_t panel,
                  TileRange range, const void* bias, void* out) = nullptr;
  // The weight gradient, whose products sum over tiles. Panels hold `cols` channels of the source
  // or `rows` channels of the gradient side by side: point by point, tile by tile.
  void (*source_panel)(const WinogradShape& shape, const void* source, TileRows range,
                       int64_t first_channel, void* packed) = nullptr;
  void (*grad_panel)(const WinogradShape& shape, const void* grad, TileRows range, int64_t panel,
                     void* packed) = nullptr;
  // One point: sums[row * cols + channel] (+)= products of the rows of a gradient panel with the
  // channels of a source panel.
  void (*sum)(const WinogradShape& shape, int64_t point, int64_t tiles, int64_t panel,
              const void* grad_panel, const void* source_panel, bool add, void* sums) = nullptr;
  // A row of the gradient, `cols` channels from the first one on, from the row's sums of all
  // points, `point` elements apart. False as above.
  bool (*write)(const WinogradShape& shape, const void* sums, int64_t point, int64_t row,
                int64_t first_channel, void* weights) = nullptr;
  // The same with ConvParams::widened; only of half dtypes.
  bool (*write_widened)(const WinogradShape& shape, const void* sums, int64_t point, int64_t row,
                        int64_t first_channel, void* weights) = nullptr;
  int64_t rows = 0, cols = 0;  // of a panel
  // Elements of Acc in panels of some tiles.
  int64_t source_numel(int64_t tiles) const { return kWinogradPoints * (tiles + 1) * cols; }
  int64_t grad_numel(int64_t tiles) const { return kWinogradPoints * (tiles * rows + cols); }
  // Elements of Acc in a panel of weights and in a block of tiles.
  int64_t panel_numel(int64_t channels) const { return kWinogradPoints * (channels * rows + cols); }
  int64_t block_numel(int64_t channels) const { return kWinogradPoints * (channels + 1) * cols; }
};

// Null functions for dtypes without these kernels.
WinogradKernels winograd_kernels(DType dtype);

// False, with an unfinished result, where the caller must compute it term by term: for other
// convolutions, those that would not gain, and results that are not finite. `pairs` says that the
// caller multiplies pairs of bfloat16 numbers, at twice the rate of floats.
bool winograd_forward(const ConvParams& p, bool pairs);
bool winograd_input_grad(const ConvParams& p, bool pairs);
bool winograd_weight_grad(const ConvParams& p, bool pairs);

}  // namespace ampgrad::cpu
