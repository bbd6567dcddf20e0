// The driver of Winograd's convolutions. With many tiles the weights are transformed once and
// blocks of tiles are shared out; with few, all tiles are transformed once and panels of weights
// are shared out, each transformed where it is used. Both take the same steps for every result.
#include "backend/cpu/conv_winograd.h"

#include <algorithm>
#include <atomic>

#include "backend/cpu/ceil_div.h"
#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/parallel.h"

namespace ampgrad::cpu {

namespace {

// With fewer the transforms, of pixels and of weights, take longer than they save.
constexpr int64_t kLeastChannels = 16;
constexpr int64_t kLeastChannelsPairs = 64;
constexpr int64_t kLeastTiles = 16;
constexpr int64_t kTileBytes = 16 << 20;  // transformed tiles held at once
constexpr int64_t kParallelWork = 200'000;
constexpr auto kAcc = static_cast<int64_t>(sizeof(float));

char* advance(void* base, int64_t bytes) { return static_cast<char*>(base) + bytes; }
const char* advance(const void* base, int64_t bytes) {
  return static_cast<const char*>(base) + bytes;
}

int64_t grain(int64_t work) { return std::max<int64_t>(1, kParallelWork / work); }

class Filter {
 public:
  Filter(const ConvParams& p, const WinogradShape& shape, const void* source, void* result)
      : p_(p),
        s_(shape),
        kernels_(winograd_kernels(p.dtype)),
        source_(source),
        result_(result),
        size_(static_cast<int64_t>(dtype_size(p.dtype))),
        panels_(ceil_div(shape.rows, kernels_.rows)),
        tiles_(p.batch * shape.tiles[0] * shape.tiles[1]),
        blocks_(ceil_div(tiles_, kernels_.cols)),
        panel_bytes_(kernels_.panel_numel(shape.channels) * kAcc),
        block_bytes_(kernels_.block_numel(shape.channels) * kAcc) {}

  bool run() {
    const bool few = tiles_ < s_.rows || blocks_ < 2 * num_threads();
    for (int64_t g = 0; g < p_.groups && finite_; ++g) {
      group_ = g;
      if (few) {
        share_panels();
      } else {
        share_tiles();
      }
    }
    return finite_;
  }

 private:
  static void* scratch(GemmSlot slot, int64_t bytes) {
    return gemm_scratch(slot, static_cast<size_t>(bytes));
  }

  TileRange range(int64_t block) const {
    const int64_t first = block * kernels_.cols;
    return {first, std::min(kernels_.cols, tiles_ - first)};
  }

  void pack_weights(int64_t panel, void* to) const {
    const int64_t at = group_ * p_.x_channels * p_.y_channels * 9;
    kernels_.weights(s_, advance(p_.w, at * size_), panel, to);
  }

  void transform_tiles(int64_t block, int64_t first, int64_t end, void* to) const {
    const int64_t at = group_ * s_.channels * s_.size[0] * s_.size[1];
    kernels_.tiles(s_, advance(source_, at * size_), range(block), first, end, to);
  }

  void multiply(const void* weights, const void* tiles, int64_t panel, int64_t block) {
    const void* bias = p_.bias == nullptr ? nullptr : advance(p_.bias, group_ * s_.rows * size_);
    void* out = advance(result_, group_ * s_.rows * s_.out[0] * s_.out[1] * size_);
    if (!kernels_.product(s_, weights, tiles, panel, range(block), bias, out)) {
      finite_.store(false, std::memory_order_relaxed);
    }
  }

  void share_tiles() {
    void* weights = scratch(GemmSlot::A, panels_ * panel_bytes_);
    parallel_for(panels_, grain(s_.channels * kernels_.rows * 4), [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) pack_weights(q, advance(weights, q * panel_bytes_));
    });
    parallel_for(blocks_, grain(s_.channels * s_.rows * kernels_.cols * kWinogradPoints),
                 [&](int64_t begin, int64_t end) {
                   void* tiles = scratch(GemmSlot::B, block_bytes_);
                   for (int64_t b = begin; b < end; ++b) {
                     transform_tiles(b, 0, s_.channels, tiles);
                     for (int64_t q = 0; q < panels_; ++q) {
                       multiply(advance(weights, q * panel_bytes_), tiles, q, b);
                     }
                   }
                 });
  }

  void share_panels() {
    const int64_t held = std::clamp<int64_t>(kTileBytes / block_bytes_, 1, blocks_);
    void* tiles = scratch(GemmSlot::Shared, held * block_bytes_);
    for (int64_t first = 0; first < blocks_; first += held) {
      const int64_t count = std::min(held, blocks_ - first);
      constexpr int64_t kChannels = 16;  // transformed by a thread at a time
      const int64_t parts = ceil_div(s_.channels, kChannels);
      parallel_for(count * parts, grain(kChannels * kernels_.cols * 16),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       const int64_t c = i % parts * kChannels;
                       transform_tiles(first + i / parts, c, std::min(c + kChannels, s_.channels),
                                       advance(tiles, i / parts * block_bytes_));
                     }
                   });
      parallel_for(panels_, grain(s_.channels * kernels_.rows * kernels_.cols * 16 * count),
                   [&](int64_t begin, int64_t end) {
                     void* weights = scratch(GemmSlot::B, panel_bytes_);
                     for (int64_t q = begin; q < end; ++q) {
                       pack_weights(q, weights);
                       for (int64_t b = 0; b < count; ++b) {
                         multiply(weights, advance(tiles, b * block_bytes_), q, first + b);
                       }
                     }
                   });
    }
  }

  const ConvParams& p_;
  const WinogradShape& s_;
  const WinogradKernels kernels_;
  const void* source_;
  void* result_;
  const int64_t size_;
  const int64_t panels_;
  const int64_t tiles_;
  const int64_t blocks_;
  const int64_t panel_bytes_;
  const int64_t block_bytes_;
  int64_t group_ = 0;
  std::atomic<bool> finite_{true};
};

// Blocks of tiles of image and gradient are transformed for all channels, then summed point by
// point. Where a block and the sums fit a core's cache, parts of the blocks have sums of their own,
// added up in order at the end; otherwise threads share blocks, and follow each other through them.
// Sums of a few tiles would take longer to write and read than to make: they are used at once.
class WeightFilter {
 public:
  WeightFilter(const ConvParams& p, const WinogradShape& shape)
      : p_(p),
        s_(shape),
        kernels_(winograd_kernels(p.dtype)),
        size_(static_cast<int64_t>(dtype_size(p.dtype))),
        rows_(p.batch * shape.tiles[0]),
        source_panels_(ceil_div(shape.channels, kernels_.cols)),
        grad_panels_(ceil_div(shape.rows, kernels_.rows)),
        point_(shape.rows * kernels_.cols),
        sums_bytes_(source_panels_ * kWinogradPoints * point_ * kAcc) {
    set_block(kPrivateTiles);
    parts_ = std::min(blocks_ / kPartBlocks, kMostParts);
    if (block_bytes_ + sums_bytes_ <= kPrivateBytes && parts_ > 1) return;
    parts_ = 1;
    set_block(kSharedTiles);
  }

  bool run() {
    for (int64_t g = 0; g < p_.groups && finite_; ++g) {
      group_ = g;
      if (blocks_ == 1 && rows_ * s_.tiles[1] <= kFewTiles) {
        sum_and_write();
        continue;
      }
      if (parts_ > 1) {
        sum_parts();
      } else {
        sum_shared();
      }
      write_all();
    }
    return finite_;
  }

 private:
  static constexpr int64_t kFewTiles = 256;
  static constexpr int64_t kPrivateTiles = 64;
  static constexpr int64_t kPrivateBytes = 1 << 20;
  static constexpr int64_t kPartBlocks = 4;
  static constexpr int64_t kMostParts = 16;
  static constexpr int64_t kSharedTiles = 256;
  static constexpr int64_t kHeldBytes = 8 << 20;

  void set_block(int64_t tiles) {
    block_rows_ = std::min(std::max<int64_t>(tiles / s_.tiles[1], 1), rows_);
    blocks_ = ceil_div(rows_, block_rows_);
    source_bytes_ = kernels_.source_numel(block_rows_ * s_.tiles[1]) * kAcc;
    grad_bytes_ = kernels_.grad_numel(block_rows_ * s_.tiles[1]) * kAcc;
    block_bytes_ = source_panels_ * source_bytes_ + grad_panels_ * grad_bytes_;
  }

  TileRows range(int64_t block) const {
    const int64_t first = block * block_rows_;
    return {first, std::min(block_rows_, rows_ - first)};
  }

  int64_t panels() const { return source_panels_ + grad_panels_; }
  int64_t sums() const { return source_panels_ * kWinogradPoints; }

  // One of panels() of a block: those of the source, then those of the gradient, which follow each
  // other at the distance of the block's own size.
  void pack(int64_t block, int64_t panel, void* packed) const {
    const TileRows rows = range(block);
    char* to = advance(packed, std::min(panel, source_panels_) * source_bytes_);
    if (panel < source_panels_) {
      const void* x = advance(p_.x, group_ * s_.channels * s_.size[0] * s_.size[1] * size_);
      kernels_.source_panel(s_, x, rows, panel * kernels_.cols, to);
      return;
    }
    const void* y = advance(p_.y, group_ * s_.rows * s_.out[0] * s_.out[1] * size_);
    const int64_t q = panel - source_panels_;
    kernels_.grad_panel(s_, y, rows, q,
                        advance(to, q * kernels_.grad_numel(rows.count * s_.tiles[1]) * kAcc));
  }

  // One of sums(): a point of a panel of the source, with a panel of the gradient.
  void sum(int64_t block, const void* packed, int64_t i, int64_t q, bool add, void* to) const {
    const int64_t tiles = range(block).count * s_.tiles[1];
    const char* grads = advance(packed, source_panels_ * source_bytes_);
    kernels_.sum(s_, i % kWinogradPoints, tiles, q,
                 advance(grads, q * kernels_.grad_numel(tiles) * kAcc),
                 advance(packed, i / kWinogradPoints * source_bytes_), add, to);
  }

  void sum_rows(int64_t block, const void* packed, int64_t i, bool add, void* to) const {
    for (int64_t q = 0; q < grad_panels_; ++q) {
      sum(block, packed, i, q, add,
          advance(to, (i * point_ + first_row(q) * kernels_.cols) * kAcc));
    }
  }

  int64_t first_row(int64_t q) const {
    return q * (s_.rows / grad_panels_) + std::min(q, s_.rows % grad_panels_);
  }

  void pack_block(int64_t block, int64_t first, int64_t end, void* packed) const {
    for (int64_t i = first; i < end; ++i) pack(block, i, packed);
  }

  void sum_parts() {
    sums_ = gemm_scratch(GemmSlot::A, static_cast<size_t>(parts_ * sums_bytes_));
    parallel_for(parts_, 1, [&](int64_t begin, int64_t end) {
      void* packed = gemm_scratch(GemmSlot::B, static_cast<size_t>(block_bytes_));
      for (int64_t part = begin; part < end; ++part) {
        const int64_t first = part * blocks_ / parts_;
        for (int64_t b = first; b < (part + 1) * blocks_ / parts_; ++b) {
          pack_block(b, 0, panels(), packed);
          for (int64_t i = 0; i < sums(); ++i) {
            sum_rows(b, packed, i, b != first, advance(sums_, part * sums_bytes_));
          }
        }
      }
    });
    parallel_for(sums(), grain(point_ * parts_), [&](int64_t begin, int64_t end) {
      float* total = static_cast<float*>(sums_);
      for (int64_t part = 1; part < parts_; ++part) {
        const auto* from = reinterpret_cast<const float*>(advance(sums_, part * sums_bytes_));
        for (int64_t i = begin * point_; i < end * point_; ++i) total[i] += from[i];
      }
    });
  }

  void sum_shared() {
    sums_ = gemm_scratch(GemmSlot::A, static_cast<size_t>(sums_bytes_));
    const int64_t held = std::clamp<int64_t>(kHeldBytes / block_bytes_, 1, blocks_);
    void* packed = gemm_scratch(GemmSlot::Shared, static_cast<size_t>(held * block_bytes_));
    const int64_t tiles = block_rows_ * s_.tiles[1];
    for (int64_t first = 0; first < blocks_; first += held) {
      const int64_t count = std::min(held, blocks_ - first);
      parallel_for(count * panels(), grain(tiles * kernels_.cols * kWinogradPoints),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       const int64_t slot = i / panels();
                       pack(first + slot, i % panels(), advance(packed, slot * block_bytes_));
                     }
                   });
      parallel_for(sums(), grain(count * tiles * point_), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          for (int64_t slot = 0; slot < count; ++slot) {
            sum_rows(first + slot, advance(packed, slot * block_bytes_), i, first + slot != 0,
                     sums_);
          }
        }
      });
    }
  }

  void sum_and_write() {
    void* packed = gemm_scratch(GemmSlot::Shared, static_cast<size_t>(block_bytes_));
    parallel_for(panels(), grain(kFewTiles * kernels_.cols * kWinogradPoints),
                 [&](int64_t begin, int64_t end) { pack_block(0, begin, end, packed); });
    const int64_t point = kernels_.rows * kernels_.cols;
    const int64_t work = rows_ * s_.tiles[1] * point * kWinogradPoints;
    parallel_for(source_panels_ * grad_panels_, grain(work), [&](int64_t begin, int64_t end) {
      const auto bytes = static_cast<size_t>(kWinogradPoints * point * kAcc);
      void* sums = gemm_scratch(GemmSlot::Accumulator, bytes);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t panel = i / grad_panels_;
        const int64_t q = i % grad_panels_;
        for (int64_t e = 0; e < kWinogradPoints; ++e) {
          sum(0, packed, panel * kWinogradPoints + e, q, false, advance(sums, e * point * kAcc));
        }
        for (int64_t row = first_row(q); row < first_row(q + 1); ++row) {
          write(advance(sums, (row - first_row(q)) * kernels_.cols * kAcc), point, row, panel);
        }
      }
    });
  }

  void write_all() {
    const int64_t work = kWinogradPoints * kernels_.cols * 4;
    parallel_for(s_.rows * source_panels_, grain(work), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t panel = i % source_panels_;
        const int64_t row = i / source_panels_;
        const int64_t at = panel * kWinogradPoints * point_ + row * kernels_.cols;
        write(advance(sums_, at * kAcc), point_, row, panel);
      }
    });
  }

  void write(const void* sums, int64_t point, int64_t row, int64_t panel) {
    const int64_t size = p_.widened ? kAcc : size_;
    void* w = advance(p_.w, group_ * s_.rows * s_.weight_row * size);
    const auto store = p_.widened ? kernels_.write_widened : kernels_.write;
    if (!store(s_, sums, point, row, panel * kernels_.cols, w)) {
      finite_.store(false, std::memory_order_relaxed);
    }
  }

  const ConvParams& p_;
  const WinogradShape& s_;
  const WinogradKernels kernels_;
  const int64_t size_;
  const int64_t rows_;  // of tiles, in all samples
  const int64_t source_panels_;
  const int64_t grad_panels_;
  const int64_t point_;
  const int64_t sums_bytes_;
  int64_t block_rows_ = 0;
  int64_t blocks_ = 0;
  int64_t source_bytes_ = 0;
  int64_t grad_bytes_ = 0;
  int64_t block_bytes_ = 0;
  int64_t parts_ = 1;
  int64_t group_ = 0;
  void* sums_ = nullptr;
  std::atomic<bool> finite_{true};
};

bool is_flat_3x3(const ConvParams& p) {
  for (int i = 0; i < 3; ++i) {
    const int64_t taps = i == 0 ? 1 : 3;
    if (p.kernel[i] != taps || p.stride[i] != 1 || p.dilation[i] != 1) return false;
    if (p.padding[i] >= taps) return false;
  }
  return p.x_size[0] == 1;
}

// Tiles of small images lie half outside.
bool saves_products(const WinogradShape& s) {
  return 16 * s.tiles[0] * s.tiles[1] <= 8 * s.out[0] * s.out[1];
}

WinogradShape shape_of(const ConvParams& p, bool forward) {
  const int64_t(&source)[3] = forward ? p.x_size : p.y_size;
  const int64_t(&result)[3] = forward ? p.y_size : p.x_size;
  WinogradShape s;
  s.channels = forward ? p.x_channels : p.y_channels;
  s.rows = forward ? p.y_channels : p.x_channels;
  s.weight_row = forward ? p.x_channels * 9 : 9;
  s.weight_channel = forward ? 9 : p.x_channels * 9;
  s.mirrored = !forward;
  for (int i = 0; i < 2; ++i) {
    s.size[i] = source[i + 1];
    s.out[i] = result[i + 1];
    s.before[i] = forward ? p.padding[i + 1] : 2 - p.padding[i + 1];
    s.tiles[i] = ceil_div(s.out[i], 2);
  }
  s.source_sample = p.groups * s.channels * s.size[0] * s.size[1];
  s.out_sample = p.groups * s.rows * s.out[0] * s.out[1];
  return s;
}

bool applies(const ConvParams& p, const WinogradShape& s, bool pairs) {
  return is_flat_3x3(p) && saves_products(s) &&
         std::min(s.channels, s.rows) >= (pairs ? kLeastChannelsPairs : kLeastChannels) &&
         p.batch * s.tiles[0] * s.tiles[1] >= kLeastTiles &&
         winograd_kernels(p.dtype).product != nullptr;
}

}  // namespace

bool winograd_forward(const ConvParams& p, bool pairs) {
  const WinogradShape s = shape_of(p, true);
  return applies(p, s, pairs) && Filter(p, s, p.x, p.y).run();
}

bool winograd_input_grad(const ConvParams& p, bool pairs) {
  const WinogradShape s = shape_of(p, false);
  return applies(p, s, pairs) && Filter(p, s, p.y, p.x).run();
}

bool winograd_weight_grad(const ConvParams& p, bool pairs) {
  const WinogradShape s = shape_of(p, true);
  return applies(p, s, pairs) && WeightFilter(p, s).run();
}

}  // namespace ampgrad::cpu
