// Pooling: planes over threads. A row of the output first folds the rows of its windows into one
// (vectorised), then that row's columns. Half precision works on a float copy of the plane.
#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "backend/cpu/opmath.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/pool_loops.h"
#include "backend/cpu/pool_rows.h"
#include "backend/cpu/register.h"
#include "ops/kernels.h"
#include "ops/pool_params.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 13;

// The type a plane is worked on in: integers stay what they are.
template <class S>
using PlaneType =
    std::conditional_t<std::is_same_v<S, Half> || std::is_same_v<S, BFloat16>, float, S>;

template <class T>
void merge(const T* x, T* best, int32_t* which, int32_t code, int64_t n) {
  if constexpr (std::is_floating_point_v<T>) {
    max_merge_row(x, best, which, code, n);
  } else {
    for (int64_t i = 0; i < n; ++i) {
      if (x[i] > best[i]) {
        best[i] = x[i];
        which[i] = code;
      }
    }
  }
}

template <class T>
void accumulate(const T* x, T* acc, int64_t n) {
  if constexpr (std::is_floating_point_v<T>) {
    add_row(x, acc, n);
  } else {
    for (int64_t i = 0; i < n; ++i) acc[i] = static_cast<T>(acc[i] + x[i]);
  }
}

template <class T>
bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<T>) {
    return x != x;
  } else {
    return false;
  }
}

int64_t numel(const int64_t (&size)[3]) { return size[0] * size[1] * size[2]; }

template <class F>
void for_planes(int64_t planes, int64_t work, const F& fn) {
  parallel_for(planes, std::max<int64_t>(1, kGrain / std::max<int64_t>(work, 1)), fn);
}

template <class S>
class Pool {
 public:
  using T = PlaneType<S>;
  static constexpr bool kDirect = std::is_same_v<S, T>;

  explicit Pool(const PoolParams& p)
      : p_(p),
        in_(numel(p.in_size)),
        out_(numel(p.out_size)),
        width_(p.in_size[2]),
        windows_{PoolWindows(p.axis[0]), PoolWindows(p.axis[1]), PoolWindows(p.axis[2])},
        load_(kDirect ? nullptr : convert_fn(dtype_of<S>, dtype_of<T>)),
        store_(kDirect ? nullptr : convert_fn(dtype_of<T>, dtype_of<S>)) {}

  void max_forward() const {
    for_planes(p_.planes, in_, [&](int64_t begin, int64_t end) {
      Buffers b(*this, in_, out_);
      std::vector<int32_t> which(static_cast<size_t>(width_));
      std::vector<int64_t> rows;
      MaxRows fast = regular_rows();
      for (int64_t plane = begin; plane < end; ++plane) {
        const T* x = load(static_cast<const S*>(p_.in) + plane * in_, in_, b.in.get());
        S* to = static_cast<S*>(p_.out) + plane * out_;
        T* y = target(to, b.out.get());
        for_rows([&](int64_t d, int64_t h, int64_t row) {
          T* values = y + row * p_.out_size[2];
          int64_t* indices = p_.indices + plane * out_ + row * p_.out_size[2];
          rows.clear();
          for_window_rows(d, h, [&](int64_t at) { rows.push_back(at); });
          if constexpr (std::is_floating_point_v<T>) {
            if (fast.has_value() && evenly_apart(rows)) {
              fast->run(x, rows, values, indices);
              return;
            }
          }
          max_row(x, b.row.data(), which.data(), rows, values, indices);
        });
        store(y, to, out_);
      }
    });
  }

  void average_forward() const {
    for_planes(p_.planes, in_, [&](int64_t begin, int64_t end) {
      Buffers b(*this, in_, out_);
      for (int64_t plane = begin; plane < end; ++plane) {
        const T* x = load(static_cast<const S*>(p_.in) + plane * in_, in_, b.in.get());
        S* to = static_cast<S*>(p_.out) + plane * out_;
        T* y = target(to, b.out.get());
        for_rows([&](int64_t d, int64_t h, int64_t row) {
          average_row(x, d, h, b.row.data(), y + row * p_.out_size[2]);
        });
        store(y, to, out_);
      }
    });
  }

  // `in` has the shape of the output here, `out` that of the input.
  void average_backward() const {
    for_planes(p_.planes, in_, [&](int64_t begin, int64_t end) {
      Buffers b(*this, out_, in_);
      for (int64_t plane = begin; plane < end; ++plane) {
        const T* g = load(static_cast<const S*>(p_.in) + plane * out_, out_, b.in.get());
        S* to = static_cast<S*>(p_.out) + plane * in_;
        T* dx = target(to, b.out.get());
        std::fill(dx, dx + in_, T{0});
        for_rows([&](int64_t d, int64_t h, int64_t row) {
          spread_row(g + row * p_.out_size[2], d, h, b.row.data(), dx);
        });
        store(dx, to, in_);
      }
    });
  }

 private:
  struct Buffers {
    Buffers(const Pool& pool, int64_t in_size, int64_t out_size)
        : in(kDirect ? nullptr : new T[static_cast<size_t>(in_size)]),
          out(kDirect ? nullptr : new T[static_cast<size_t>(out_size)]),
          row(static_cast<size_t>(pool.width_)) {}
    std::unique_ptr<T[]> in, out;
    std::vector<T> row;
  };

  const T* load(const S* from, int64_t n, T* buffer) const {
    if constexpr (kDirect) {
      return from;
    } else {
      load_(from, buffer, static_cast<size_t>(n));
      return buffer;
    }
  }
  static T* target(S* to, T* buffer) {
    if constexpr (kDirect) {
      return to;
    } else {
      return buffer;
    }
  }
  void store(const T* from, S* to, int64_t n) const {
    if constexpr (!kDirect) store_(from, to, static_cast<size_t>(n));
  }

  template <class F>
  void for_rows(const F& fn) const {
    for (int64_t d = 0; d < p_.out_size[0]; ++d) {
      for (int64_t h = 0; h < p_.out_size[1]; ++h) fn(d, h, d * p_.out_size[1] + h);
    }
  }

  // fn(input row, d, h): the input rows that the windows of an output row cover, in order.
  template <class F>
  void for_window_rows(int64_t d, int64_t h, const F& fn) const {
    const auto od = static_cast<size_t>(d);
    const auto oh = static_cast<size_t>(h);
    for (int64_t y = windows_[0].begin[od]; y < windows_[0].end[od]; y += windows_[0].dilation) {
      for (int64_t x = windows_[1].begin[oh]; x < windows_[1].end[oh]; x += windows_[1].dilation) {
        fn((y * p_.in_size[1] + x) * width_);
      }
    }
  }

  using MaxRows = std::optional<
      std::conditional_t<std::is_floating_point_v<T>, MaxRowBuffers<T>, std::monostate>>;

  MaxRows regular_rows() const {
    if constexpr (std::is_floating_point_v<T>) {
      const auto w = RegularWindows::of(windows_[2], width_);
      // Positions in a plane are computed in 32 bits.
      if (w.has_value() && in_ < (int64_t{1} << 30)) {
        return MaxRowBuffers<T>(*w, width_, p_.out_size[2]);
      }
    }
    return std::nullopt;
  }

  static bool evenly_apart(const std::vector<int64_t>& rows) {
    if (rows.empty()) return false;
    for (size_t r = 2; r < rows.size(); ++r) {
      if (rows[r] - rows[r - 1] != rows[1] - rows[0]) return false;
    }
    return true;
  }

  // In PyTorch's scan order the first of equal values wins, and the last NaN.
  void max_row(const T* x, T* best, int32_t* which, std::vector<int64_t>& rows, T* y,
               int64_t* indices) const {
    const bool nothing = rows.empty();
    if (nothing) rows.push_back(0);
    std::copy_n(x + rows[0], width_, best);
    std::fill_n(which, width_, 0);
    for (size_t r = 1; r < rows.size(); ++r) {
      merge(x + rows[r], best, which, static_cast<int32_t>(r), width_);
    }
    const PoolWindows& w = windows_[2];
    for (int64_t o = 0; o < p_.out_size[2]; ++o) {
      const auto at = static_cast<size_t>(o);
      int64_t column = std::min(w.begin[at], width_ - 1);
      // A dilated window may fall between the elements.
      if (nothing || w.begin[at] >= w.end[at]) {
        y[o] = std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                                    : std::numeric_limits<T>::lowest();
        indices[o] = rows[0] + column;
        continue;
      }
      T top = best[column];
      int32_t code = which[column];
      for (int64_t c = column + w.dilation; c < w.end[at]; c += w.dilation) {
        const T v = best[c];
        const int32_t v_code = which[c];
        // Without branches: which one wins is anyone's guess.
        const bool nan = is_nan(v);
        const bool take =
            (v > top) | ((v == top) & (v_code < code)) | (nan & (!is_nan(top) | (v_code >= code)));
        top = take ? v : top;
        code = take ? v_code : code;
        column = take ? c : column;
      }
      y[o] = top;
      indices[o] = rows[static_cast<size_t>(code)] + column;
    }
  }

  double divisor(int64_t d, int64_t h) const {
    return static_cast<double>(windows_[0].count[static_cast<size_t>(d)] *
                               windows_[1].count[static_cast<size_t>(h)]);
  }

  void average_row(const T* x, int64_t d, int64_t h, T* sums, T* y) const {
    std::fill_n(sums, width_, T{0});
    for_window_rows(d, h, [&](int64_t row) { accumulate(x + row, sums, width_); });
    const double rows = divisor(d, h);
    const PoolWindows& w = windows_[2];
    for (int64_t o = 0; o < p_.out_size[2]; ++o) {
      const auto at = static_cast<size_t>(o);
      T total = 0;
      for (int64_t c = w.begin[at]; c < w.end[at]; ++c) total = static_cast<T>(total + sums[c]);
      const double by = p_.divisor != 0 ? p_.divisor : rows * static_cast<double>(w.count[at]);
      y[o] = static_cast<T>(total / static_cast<T>(by));
    }
  }

  void spread_row(const T* g, int64_t d, int64_t h, T* row, T* dx) const {
    std::fill_n(row, width_, T{0});
    const double rows = divisor(d, h);
    const PoolWindows& w = windows_[2];
    for (int64_t o = 0; o < p_.out_size[2]; ++o) {
      const auto at = static_cast<size_t>(o);
      const double by = p_.divisor != 0 ? p_.divisor : rows * static_cast<double>(w.count[at]);
      const T part = static_cast<T>(g[o] / static_cast<T>(by));
      for (int64_t c = w.begin[at]; c < w.end[at]; ++c) row[c] = static_cast<T>(row[c] + part);
    }
    for_window_rows(d, h, [&](int64_t at) { accumulate(row, dx + at, width_); });
  }

  const PoolParams& p_;
  const int64_t in_;
  const int64_t out_;
  const int64_t width_;
  const PoolWindows windows_[3];
  ConvertFn load_;
  ConvertFn store_;
};

template <class S>
void max_cell(const PoolParams& p, const void*) {
  Pool<S>(p).max_forward();
}
template <class S>
void average_cell(const PoolParams& p, const void*) {
  Pool<S>(p).average_forward();
}
template <class S>
void average_backward_cell(const PoolParams& p, const void*) {
  Pool<S>(p).average_backward();
}

template <class S>
void scatter_cell(const PlaneIndexParams& p, const void*) {
  using T = PlaneType<S>;
  for_planes(p.planes, p.large, [&](int64_t begin, int64_t end) {
    std::unique_ptr<T[]> buffer;
    std::unique_ptr<T[]> source;
    if constexpr (!std::is_same_v<S, T>) {
      buffer.reset(new T[static_cast<size_t>(p.large)]);
      source.reset(new T[static_cast<size_t>(p.small)]);
    }
    for (int64_t plane = begin; plane < end; ++plane) {
      const S* from = static_cast<const S*>(p.in) + plane * p.small;
      S* to = static_cast<S*>(p.out) + plane * p.large;
      const int64_t* at = p.indices + plane * p.small;
      const T* x;
      T* y;
      if constexpr (std::is_same_v<S, T>) {
        x = from;
        y = to;
      } else {
        convert_fn(dtype_of<S>, dtype_of<T>)(from, source.get(), static_cast<size_t>(p.small));
        x = source.get();
        y = buffer.get();
      }
      std::fill(y, y + p.large, T{0});
      for (int64_t i = 0; i < p.small; ++i) {
        y[at[i]] = p.accumulate ? static_cast<T>(y[at[i]] + x[i]) : x[i];
      }
      if constexpr (!std::is_same_v<S, T>) {
        convert_fn(dtype_of<T>, dtype_of<S>)(y, to, static_cast<size_t>(p.large));
      }
    }
  });
}

template <class S>
void gather_cell(const PlaneIndexParams& p, const void*) {
  for_planes(p.planes, p.small, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const S* from = static_cast<const S*>(p.in) + plane * p.large;
      S* to = static_cast<S*>(p.out) + plane * p.small;
      const int64_t* at = p.indices + plane * p.small;
      for (int64_t i = 0; i < p.small; ++i) to[i] = from[at[i]];
    }
  });
}

template <class S>
void set_all() {
  constexpr DType kType = dtype_of<S>;
  const auto pool = [](OpId op, KernelFn<PoolParams> fn) {
    KernelTable::set<PoolParams>(op, DeviceType::Cpu, dtype_of<S>, fn);
  };
  pool(OpId::maxPoolForward, max_cell<S>);
  pool(OpId::adaptiveMaxPoolForward, max_cell<S>);
  if constexpr (!std::is_integral_v<S> || std::is_same_v<S, int64_t>) {
    pool(OpId::avgPoolForward, average_cell<S>);
    pool(OpId::avgPoolBackward, average_backward_cell<S>);
    pool(OpId::adaptiveAvgPoolForward, average_cell<S>);
    pool(OpId::adaptiveAvgPoolBackward, average_backward_cell<S>);
  }
  KernelTable::set<PlaneIndexParams>(OpId::poolScatter, DeviceType::Cpu, kType, scatter_cell<S>);
  KernelTable::set<PlaneIndexParams>(OpId::poolGather, DeviceType::Cpu, kType, gather_cell<S>);
}

}  // namespace

void register_pool() {
  KernelTable::set<PlaneIndexParams>(OpId::poolGather, DeviceType::Cpu, DType::Bool,
                                     gather_cell<bool>);
  KernelTable::set<PlaneIndexParams>(OpId::poolScatter, DeviceType::Cpu, DType::Bool,
                                     scatter_cell<bool>);
  set_all<uint8_t>();
  set_all<int8_t>();
  set_all<int16_t>();
  set_all<int32_t>();
  set_all<int64_t>();
  set_all<Half>();
  set_all<BFloat16>();
  set_all<float>();
  set_all<double>();
}

}  // namespace ampgrad::cpu
