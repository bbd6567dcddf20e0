// Reads the elements of a channel of a batch, [batch, channels, spatial], in parts: by a block
// where there are spatial dimensions, by the warps of a block for 32 neighbouring channels where
// there are none. blockIdx.y counts the parts.
#pragma once

#include "backend/cuda/norm.cuh"
#include "math/reduce.h"
#include "ops/norm_params.h"

namespace ampgrad::cuda {

struct BatchPart {
  int64_t begin, end;
};

// A part of `count` elements, in multiples of `unit`.
AG_HD AG_INLINE BatchPart part_of(int64_t count, int64_t parts, int64_t index, int64_t unit) {
  const int64_t share = ((count + parts - 1) / parts + unit - 1) / unit * unit;
  const int64_t begin = share * index < count ? share * index : count;
  return {begin, begin + share < count ? begin + share : count};
}

// Spatial: element i of the channel is number i % spatial of sample i / spatial; V neighbours are
// of one sample. `Fold` adds up over the block.
template <class S, int V>
struct PlaneReader {
  static constexpr int kNeighbours = V;
  static constexpr int kRoom = kRowWarps;
  const BatchNormParams& p;
  int64_t channel;
  BatchPart part;

  __device__ PlaneReader(const BatchNormParams& params, int64_t unit)
      : p(params), channel(unit), part(part_of(p.batch * p.spatial, gridDim.y, blockIdx.y, V)) {}
  static __device__ int64_t units(const BatchNormParams& p) { return p.channels; }
  __device__ bool is_valid() const { return true; }
  __device__ bool leads() const { return threadIdx.x == 0; }
  __device__ int64_t count() const { return part.end - part.begin; }

  template <class F>
  __device__ AG_INLINE void each(F fn) const {
    AG_KEEP_ROLLED
    for (int64_t i = part.begin + int64_t{threadIdx.x} * V; i < part.end; i += kRowThreads * V) {
      const int64_t sample = quotient(i, p.spatial);
      fn((sample * p.channels + channel) * p.spatial + (i - sample * p.spatial));
    }
  }
  template <class A>
  __device__ AG_INLINE A fold(A a, A* room) const {
    return fold_block(a, Add(), room);
  }
};

template <class S>
struct ColumnReader {
  static constexpr int kNeighbours = 1;
  static constexpr int kRoom = kRowThreads;
  const BatchNormParams& p;
  int64_t channel;
  BatchPart part;

  __device__ ColumnReader(const BatchNormParams& params, int64_t unit)
      : p(params),
        channel(unit * kLanes + threadIdx.x % kLanes),
        part(part_of(p.batch, gridDim.y, blockIdx.y, 1)) {}
  static __device__ int64_t units(const BatchNormParams& p) {
    return (p.channels + kLanes - 1) / kLanes;
  }
  __device__ bool is_valid() const { return channel < p.channels; }
  __device__ bool leads() const { return is_valid() && threadIdx.x < kLanes; }
  __device__ int64_t count() const { return part.end - part.begin; }

  template <class F>
  __device__ AG_INLINE void each(F fn) const {
    if (!is_valid()) return;
    for (int64_t i = part.begin + threadIdx.x / kLanes; i < part.end; i += kRowWarps) {
      fn(i * p.channels + channel);
    }
  }
  template <class A>
  __device__ AG_INLINE A fold(A a, A* room) const {
    return fold_column(a, Add(), room);
  }
};

// How a batch is cut up for the readers.
struct BatchShape {
  dim3 grid;
  bool columns;
  bool packs;

  template <class S>
  static BatchShape of(const BatchNormParams& p, std::initializer_list<const void*> data) {
    BatchShape shape;
    shape.columns = p.spatial == 1;
    shape.packs = rows_align(shape.columns ? p.channels : p.spatial, sizeof(S), data);
    shape.grid = grid_of_teams(shape.columns ? (p.channels + kLanes - 1) / kLanes : p.channels, 1);
    const int64_t wanted =
        int64_t{current_context().properties.multiProcessorCount} * 4 / shape.grid.x;
    const int64_t most = shape.columns ? p.batch / 64 : p.batch * p.spatial / 4096;
    shape.grid.y = static_cast<unsigned>(std::max<int64_t>(1, std::min(wanted, most)));
    return shape;
  }
};

}  // namespace ampgrad::cuda
