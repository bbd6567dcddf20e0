// The maxima of windows that lie regularly: sets up the buffers of max_row_windows for a thread and
// walks the rows of a plane.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "backend/cpu/pool_loops.h"
#include "math/pool.h"
#include "ops/pool_params.h"

namespace ampgrad::cpu {

// pool_window of every output of a dimension.
struct PoolWindows {
  explicit PoolWindows(const PoolAxis& p) : dilation(p.dilation) {
    const math::PoolAxis<int64_t> axis{p.in,      p.out,      p.kernel,   p.stride,
                                       p.padding, p.dilation, p.adaptive, p.count_padding};
    for (int64_t o = 0; o < axis.out; ++o) {
      const math::PoolWindow<int64_t> w = math::pool_window(axis, o);
      begin.push_back(w.begin);
      end.push_back(w.end);
      count.push_back(w.count);
    }
  }
  std::vector<int64_t> begin, end, count;
  int64_t dilation;
};

// Output o of a dimension covers [o * stride - before, o * stride - before + kernel) inside the
// input.
struct RegularWindows {
  int64_t before = 0, stride = 1, kernel = 1;

  // Windows that max_row_windows can take, if they are.
  static std::optional<RegularWindows> of(const PoolWindows& w, int64_t width) {
    const auto n = static_cast<int64_t>(w.begin.size());
    if (w.dilation != 1 || n < 1) return std::nullopt;
    RegularWindows r;
    const int64_t last = w.begin.back();
    if (n > 1) r.stride = last - w.begin[static_cast<size_t>(n - 2)];
    if (r.stride < 1 || r.stride > 2) return std::nullopt;
    r.before = r.stride * (n - 1) - last;
    for (int64_t o = 0; o < n; ++o) {
      const auto at = static_cast<size_t>(o);
      r.kernel = std::max(r.kernel, w.end[at] - (o * r.stride - r.before));
    }
    for (int64_t o = 0; o < n; ++o) {
      const auto at = static_cast<size_t>(o);
      const int64_t begin = o * r.stride - r.before;
      if (w.begin[at] != std::max<int64_t>(begin, 0) || w.begin[at] >= w.end[at] ||
          w.end[at] != std::min(width, begin + r.kernel)) {
        return std::nullopt;
      }
    }
    if (r.before < 0) return std::nullopt;
    return r;
  }
};

template <class T>
class MaxRowBuffers {
 public:
  MaxRowBuffers(const RegularWindows& w, int64_t width, int64_t out) {
    row_.width = width;
    row_.before = w.before;
    row_.stride = w.stride;
    row_.kernel = w.kernel;
    row_.out = out;
    const auto n = static_cast<size_t>(row_.padded());
    // Columns beside the input lose against every other.
    values_.assign(2 * n, -std::numeric_limits<T>::infinity());
    codes_.assign(2 * n + 2 * static_cast<size_t>(out), std::numeric_limits<int32_t>::max());
    row_.values = values_.data();
    row_.codes = codes_.data();
    for (size_t i = 0; i < 2; ++i) {
      row_.half_values[i] = values_.data() + n + i * (n / 2);
      row_.half_codes[i] = codes_.data() + n + i * (n / 2);
    }
    row_.code = codes_.data() + 2 * n;
    row_.tap = row_.code + out;
  }

  // Rows at `offsets` of a plane, which are evenly apart.
  void run(const T* plane, const std::vector<int64_t>& offsets, T* y, int64_t* indices) {
    rows_.clear();
    for (int64_t at : offsets) rows_.push_back(plane + at);
    row_.rows = rows_.data();
    row_.num_rows = static_cast<int64_t>(rows_.size());
    row_.base = offsets[0];
    row_.row_step = offsets.size() > 1 ? offsets[1] - offsets[0] : 0;
    row_.y = y;
    row_.indices = indices;
    max_row_windows(row_);
  }

 private:
  MaxRow<T> row_;
  std::vector<T> values_;
  std::vector<int32_t> codes_;
  std::vector<const T*> rows_;
};

}  // namespace ampgrad::cpu
