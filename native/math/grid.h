// Where a sampling grid points: from normalised coordinates to positions in a dimension, the three
// ways to treat positions outside, and the weights of the elements around a position.
// Host and device.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/macros.h"

namespace ampgrad::math {

enum class GridPadding : uint8_t { Zeros, Border, Reflection };

// A position in a dimension and its derivative with respect to the grid's coordinate.
template <class T>
struct GridPosition {
  T at;
  T slope;
};

// -1 and 1 are the centres of the outermost elements (align_corners) or their outer edges.
template <class T>
AG_HD GridPosition<T> grid_scale(T x, int64_t size, bool align_corners) {
  const T half = static_cast<T>(align_corners ? size - 1 : size) / T{2};
  return {(x + T{1}) * half - (align_corners ? T{0} : T{0.5}), half};
}

// Into [0, size - 1]; flat outside and on the bounds. NaN goes to 0.
template <class T>
AG_HD GridPosition<T> grid_clip(GridPosition<T> p, int64_t size) {
  const T last = static_cast<T>(size - 1);
  if (!(p.at > T{0})) return {T{0}, T{0}};
  if (p.at >= last) return {last, T{0}};
  return p;
}

// Mirrored at the bounds until it lies between them.
template <class T>
AG_HD GridPosition<T> grid_reflect(GridPosition<T> p, int64_t size, bool align_corners) {
  const T low = align_corners ? T{0} : T{-0.5};
  const T span = static_cast<T>(align_corners ? size - 1 : size);
  if (span == T{0}) return {T{0}, T{0}};
  T slope = p.slope;
  T x = p.at - low;
  if (x < T{0}) {
    x = -x;
    slope = -slope;
  }
  const T extra = std::fmod(x, span);
  const bool odd = std::fmod(std::floor(x / span), T{2}) != T{0};
  return odd ? GridPosition<T>{span - extra + low, -slope} : GridPosition<T>{extra + low, slope};
}

template <class T>
AG_HD GridPosition<T> grid_pad(GridPosition<T> p, int64_t size, GridPadding padding,
                               bool align_corners) {
  if (padding == GridPadding::Border) return grid_clip(p, size);
  if (padding == GridPadding::Reflection) {
    return grid_clip(grid_reflect(p, size, align_corners), size);
  }
  return p;
}

// The element at whole position x, or -1 outside (NaN and infinity are outside).
template <class T>
AG_HD int64_t grid_element(T x, int64_t size) {
  return x >= T{0} && x < static_cast<T>(size) ? static_cast<int64_t>(x) : -1;
}

// Cubic convolution (a = -0.75): weights of the elements at floor(x) - 1 .. floor(x) + 2 for the
// fraction t of x, and their derivatives.
template <class T>
AG_HD void grid_cubic(T t, T* weight, T* slope) {
  const T a = T{-0.75};
  AG_UNROLL
  for (int i = 0; i < 4; ++i) {
    const T d = i < 2 ? t + static_cast<T>(1 - i) : static_cast<T>(i - 1) - t;
    const T sign = i < 2 ? T{1} : T{-1};
    if (i == 1 || i == 2) {
      weight[i] = ((a + T{2}) * d - (a + T{3})) * d * d + T{1};
      slope[i] = sign * (T{3} * (a + T{2}) * d - T{2} * (a + T{3})) * d;
    } else {
      weight[i] = ((a * d - T{5} * a) * d + T{8} * a) * d - T{4} * a;
      slope[i] = sign * ((T{3} * a * d - T{10} * a) * d + T{8} * a);
    }
  }
}

// What a point reads along one dimension: elements (-1 outside), their weights, and the weights'
// derivatives with respect to the grid's coordinate.
template <class T>
struct GridAxis {
  int64_t index[4];
  T weight[4];
  T slope[4];
};

// kPer elements: 1 the nearest, 2 linear, 4 cubic.
template <int kPer, class T>
AG_HD GridAxis<T> grid_axis(T coordinate, int64_t size, GridPadding padding, bool align_corners) {
  GridAxis<T> a{};
  GridPosition<T> x = grid_scale(coordinate, size, align_corners);
  if constexpr (kPer != 4) x = grid_pad(x, size, padding, align_corners);
  if constexpr (kPer == 1) {
    a.index[0] = grid_element(std::nearbyint(x.at), size);
    a.weight[0] = T{1};
    return a;
  }
  const T base = std::floor(x.at);
  const T rest = x.at - base;
  if constexpr (kPer == 2) {
    a.index[0] = grid_element(base, size);
    a.index[1] = grid_element(base + T{1}, size);
    a.weight[0] = T{1} - rest;
    a.weight[1] = rest;
    a.slope[0] = -x.slope;
    a.slope[1] = x.slope;
    return a;
  }
  grid_cubic(rest, a.weight, a.slope);
  AG_UNROLL
  for (int i = 0; i < 4; ++i) {
    const GridPosition<T> element =
        grid_pad(GridPosition<T>{base + static_cast<T>(i - 1), T{0}}, size, padding, align_corners);
    a.index[i] = grid_element(element.at, size);
    a.slope[i] *= x.slope;
  }
  return a;
}

}  // namespace ampgrad::math
