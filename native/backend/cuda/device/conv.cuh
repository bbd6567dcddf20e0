// The three maps of a convolution as matrix products whose factors are gathered from the tensors:
// the row factor at (m, k) and the column factor at (k, n), both zero outside. Places are sums of a
// part of the row or column and a part of k, so that kernels work each out once.
//
//   forward:   y[m = channel][n = (item, place)]  k = (x channel, tap)   rows w, columns x
//   input:     x[m = channel][n = (item, place)]  k = (y channel, tap)   rows w, columns y
//   weight:    w[m = y channel][n = (x channel, tap)]  k = (item, place) rows y, columns x
#pragma once

#include <cuda_runtime.h>

#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/divide.cuh"

namespace ampgrad::cuda {

// Integers wrap around, as on the CPU: in unsigned arithmetic.
template <class S>
using ConvMath = std::conditional_t<std::is_same_v<S, int64_t>, uint64_t, OpMath<S>>;

enum class ConvMap : uint8_t { Forward, Input, Weight };

struct ConvArgs {
  const void* rows = nullptr;
  const void* columns = nullptr;
  void* out = nullptr;
  const void* bias = nullptr;
  void* parts = nullptr;  // sums of parts of k, in the type of arithmetic; weight only
  int m = 0, n = 0, k = 0;
  int groups = 1;
  int num_parts = 1, part_size = 0;
  int x_channels = 0, y_channels = 0;  // of one group
  int x_plane = 0, y_plane = 0, taps = 0;
  int x_size[3], y_size[3], stride[3], padding[3], dilation[3];
  Divider by_taps, by_tap2, by_tap1;  // all, those of the last, of the middle dimension
  Divider by_x_plane, by_x2, by_x1;
  Divider by_y_plane, by_y2, by_y1;
  Divider by_stride[3];
};

// A place in the tensor of the columns: an offset and coordinates that are added up.
struct ConvPlace {
  int64_t offset;
  int at[3];
};

AG_HD AG_INLINE int64_t wide(int a, int b) { return int64_t{a} * b; }

// Coordinates of place i of a plane.
__device__ AG_INLINE void place_at(const Divider& by2, const Divider& by1, int i, int (&at)[3]) {
  at[2] = i;
  at[1] = by2.split(&at[2]);
  at[0] = by1.split(&at[1]);
}

template <ConvMap kMap>
__device__ AG_INLINE int64_t conv_row(const ConvArgs& a, int group, int m) {
  if constexpr (kMap == ConvMap::Forward) {
    return (wide(group, a.y_channels) + m) * a.k;
  } else if constexpr (kMap == ConvMap::Input) {
    return wide(group, a.y_channels) * a.x_channels * a.taps + wide(m, a.taps);
  } else {
    return (wide(group, a.y_channels) + m) * a.y_plane;
  }
}

// What k adds to the offset in the row factor, and its place in the column factor.
template <ConvMap kMap>
__device__ AG_INLINE int64_t conv_inner(const ConvArgs& a, int k, ConvPlace* place) {
  int rest = k;
  if constexpr (kMap == ConvMap::Weight) {
    const int item = a.by_y_plane.split(&rest);
    place_at(a.by_y2, a.by_y1, rest, place->at);
    AG_UNROLL
    for (int d = 0; d < 3; ++d) place->at[d] *= a.stride[d];
    place->offset = wide(item, a.groups) * a.x_channels * a.x_plane;
    return wide(item, a.groups) * a.y_channels * a.y_plane + rest;
  } else {
    const int channel = a.by_taps.split(&rest);
    place_at(a.by_tap2, a.by_tap1, rest, place->at);
    AG_UNROLL
    for (int d = 0; d < 3; ++d) place->at[d] *= a.dilation[d];
    if constexpr (kMap == ConvMap::Forward) {
      place->offset = wide(channel, a.x_plane);
      return k;
    } else {
      place->offset = wide(channel, a.y_plane);
      return wide(channel, a.x_channels) * a.taps + rest;
    }
  }
}

template <ConvMap kMap>
__device__ AG_INLINE ConvPlace conv_column(const ConvArgs& a, int group, int n) {
  ConvPlace place;
  int rest = n;
  if constexpr (kMap == ConvMap::Forward) {
    const int item = a.by_y_plane.split(&rest);
    place_at(a.by_y2, a.by_y1, rest, place.at);
    AG_UNROLL
    for (int d = 0; d < 3; ++d) place.at[d] = place.at[d] * a.stride[d] - a.padding[d];
    place.offset = (wide(item, a.groups) + group) * a.x_channels * a.x_plane;
  } else if constexpr (kMap == ConvMap::Input) {
    const int item = a.by_x_plane.split(&rest);
    place_at(a.by_x2, a.by_x1, rest, place.at);
    AG_UNROLL
    for (int d = 0; d < 3; ++d) place.at[d] += a.padding[d];
    place.offset = (wide(item, a.groups) + group) * a.y_channels * a.y_plane;
  } else {
    const int channel = a.by_taps.split(&rest);
    place_at(a.by_tap2, a.by_tap1, rest, place.at);
    AG_UNROLL
    for (int d = 0; d < 3; ++d) place.at[d] = place.at[d] * a.dilation[d] - a.padding[d];
    place.offset = (wide(group, a.x_channels) + channel) * a.x_plane;
  }
  return place;
}

// Where the column factor is read; -1 for a zero.
template <ConvMap kMap>
__device__ AG_INLINE int64_t conv_column_at(const ConvArgs& a, const ConvPlace& column,
                                            const ConvPlace& inner) {
  int at[3];
  bool inside = true;
  AG_UNROLL
  for (int d = 0; d < 3; ++d) {
    if constexpr (kMap == ConvMap::Input) {
      int rest = column.at[d] - inner.at[d];
      inside = inside && rest >= 0;
      at[d] = rest >= 0 ? a.by_stride[d].split(&rest) : 0;
      inside = inside && rest == 0 && at[d] < a.y_size[d];
    } else {
      at[d] = column.at[d] + inner.at[d];
      inside = inside && at[d] >= 0 && at[d] < a.x_size[d];
    }
  }
  if (!inside) return -1;
  const int* size = kMap == ConvMap::Input ? a.y_size : a.x_size;
  return column.offset + inner.offset + (int64_t{at[0]} * size[1] + at[1]) * size[2] + at[2];
}

// Where element (m, n) of the result stands.
template <ConvMap kMap>
__device__ AG_INLINE int64_t conv_out_at(const ConvArgs& a, int group, int m, int n) {
  if constexpr (kMap == ConvMap::Weight) {
    return (wide(group, a.m) + m) * a.n + n;
  } else {
    int place = n;
    const bool forward = kMap == ConvMap::Forward;
    const int item = forward ? a.by_y_plane.split(&place) : a.by_x_plane.split(&place);
    const int plane = forward ? a.y_plane : a.x_plane;
    return ((wide(item, a.groups) + group) * a.m + m) * plane + place;
  }
}

// Writes an element of the result, or of a part of it.
template <ConvMap kMap, class S>
__device__ AG_INLINE void conv_store(const ConvArgs& a, int group, int part, int m, int n,
                                     ConvMath<S> sum) {
  using T = ConvMath<S>;
  const int64_t at = conv_out_at<kMap>(a, group, m, n);
  if (kMap == ConvMap::Weight && a.parts != nullptr) {
    static_cast<T*>(a.parts)[wide(part, a.groups) * a.m * a.n + at] = sum;
    return;
  }
  if (a.bias != nullptr) sum += cast<T>(static_cast<const S*>(a.bias)[group * a.m + m]);
  static_cast<S*>(a.out)[at] = cast<S>(sum);
}

}  // namespace ampgrad::cuda
