// Sampling at grid points on the CPU. The elements a point reads ("taps") and their weights are
// found once for a block of points, then every channel walks the block: long inner loops over
// contiguous results. Sums over taps and channels have a fixed order.
#include <algorithm>
#include <vector>

#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "math/grid.h"
#include "ops/grid_params.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kBlock = 256;  // points
constexpr int64_t kGrain = 1 << 13;

template <class T>
class Taps {
 public:
  explicit Taps(const GridParams& p, bool slopes)
      : p_(p), padding_(static_cast<math::GridPadding>(p.padding)) {
    per_axis_ = p.mode == GridMode::Nearest ? 1 : (p.mode == GridMode::Linear ? 2 : 4);
    for (int d = 0; d < p.dims; ++d) count_ *= per_axis_;
    index_.resize(static_cast<size_t>(count_ * kBlock));
    weight_.resize(index_.size());
    if (slopes) slope_.resize(index_.size() * static_cast<size_t>(p.dims));
  }

  int count() const { return count_; }
  const int64_t* index(int tap) const { return index_.data() + tap * kBlock; }
  const T* weight(int tap) const { return weight_.data() + tap * kBlock; }
  // Derivative of the weight with respect to coordinate `axis` of the grid.
  const T* slope(int tap, int axis) const { return slope_.data() + (axis * count_ + tap) * kBlock; }

  // Points [first, first + n) of batch item b.
  void find(int64_t b, int64_t first, int64_t n) {
    const T* at = static_cast<const T*>(p_.grid) + (b * p_.points + first) * p_.dims;
    math::GridAxis<T> axes[3];
    for (int64_t i = 0; i < n; ++i, at += p_.dims) {
      for (int d = 0; d < p_.dims; ++d) axes[d] = axis(at[p_.dims - 1 - d], p_.in_size[d]);
      for (int tap = 0; tap < count_; ++tap) combine(axes, tap, i);
    }
  }

 private:
  math::GridAxis<T> axis(T coordinate, int64_t size) const {
    if (per_axis_ == 1) return math::grid_axis<1>(coordinate, size, padding_, p_.align_corners);
    if (per_axis_ == 2) return math::grid_axis<2>(coordinate, size, padding_, p_.align_corners);
    return math::grid_axis<4>(coordinate, size, padding_, p_.align_corners);
  }

  void combine(const math::GridAxis<T>* axes, int tap, int64_t i) {
    int64_t index = 0;
    T weight{1};
    int digit[3] = {0, 0, 0};
    for (int d = p_.dims - 1, rest = tap; d >= 0; --d, rest /= per_axis_)
      digit[d] = rest % per_axis_;
    for (int d = 0; d < p_.dims; ++d) {
      const int64_t element = axes[d].index[digit[d]];
      index = index < 0 || element < 0 ? -1 : index * p_.in_size[d] + element;
      weight *= axes[d].weight[digit[d]];
    }
    index_[static_cast<size_t>(tap * kBlock + i)] = index;
    weight_[static_cast<size_t>(tap * kBlock + i)] = weight;
    if (slope_.empty()) return;
    for (int d = 0; d < p_.dims; ++d) {
      T slope = axes[d].slope[digit[d]];
      for (int e = 0; e < p_.dims; ++e) {
        if (e != d) slope *= axes[e].weight[digit[e]];
      }
      slope_[static_cast<size_t>(((p_.dims - 1 - d) * count_ + tap) * kBlock + i)] = slope;
    }
  }

  const GridParams& p_;
  math::GridPadding padding_;
  int per_axis_ = 1;
  int count_ = 1;
  std::vector<int64_t> index_;
  std::vector<T> weight_;
  std::vector<T> slope_;
};

int64_t plane_size(const GridParams& p) { return p.in_size[0] * p.in_size[1] * p.in_size[2]; }

// Calls work(taps, item, first point, points) for every block of every batch item.
template <class T, class F>
void for_blocks(const GridParams& p, bool slopes, const F& work) {
  const int64_t blocks = (p.points + kBlock - 1) / kBlock;
  const int64_t cost = std::max<int64_t>(kBlock * (p.channels + 4) * 4, 1);
  parallel_for(p.batch * blocks, std::max<int64_t>(1, kGrain / cost),
               [&](int64_t begin, int64_t end) {
                 Taps<T> taps(p, slopes);
                 for (int64_t k = begin; k < end; ++k) {
                   const int64_t b = k / blocks;
                   const int64_t first = k % blocks * kBlock;
                   const int64_t n = std::min(kBlock, p.points - first);
                   taps.find(b, first, n);
                   work(taps, b, first, n);
                 }
               });
}

template <class T>
void add_tap(const T* in, const int64_t* index, const T* weight, int64_t n, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] += (index[i] < 0 ? T{0} : in[index[i]]) * weight[i];
}

template <class T>
void grid_forward(const GridParams& p, const void*) {
  const int64_t plane = plane_size(p);
  for_blocks<T>(p, false, [&](const Taps<T>& taps, int64_t b, int64_t first, int64_t n) {
    for (int64_t c = 0; c < p.channels; ++c) {
      const T* in = static_cast<const T*>(p.in) + (b * p.channels + c) * plane;
      T* out = static_cast<T*>(p.out) + (b * p.channels + c) * p.points + first;
      std::fill_n(out, n, T{0});
      for (int t = 0; t < taps.count(); ++t) add_tap(in, taps.index(t), taps.weight(t), n, out);
    }
  });
}

// Points may share elements, so a plane belongs to one thread.
template <class T>
void input_gradient(const GridParams& p) {
  const int64_t plane = plane_size(p);
  const int64_t planes = p.batch * p.channels;
  parallel_for(planes, std::max<int64_t>(1, kGrain / (plane + p.points * 8)),
               [&](int64_t begin, int64_t end) {
                 std::fill_n(static_cast<T*>(p.grad_in) + begin * plane, (end - begin) * plane,
                             T{0});
                 Taps<T> taps(p, false);
                 for (int64_t b = begin / p.channels; b * p.channels < end; ++b) {
                   const int64_t from = std::max(begin, b * p.channels);
                   const int64_t to = std::min(end, (b + 1) * p.channels);
                   for (int64_t first = 0; first < p.points; first += kBlock) {
                     const int64_t n = std::min(kBlock, p.points - first);
                     taps.find(b, first, n);
                     for (int64_t c = from; c < to; ++c) {
                       const T* grad = static_cast<const T*>(p.grad) + c * p.points + first;
                       T* out = static_cast<T*>(p.grad_in) + c * plane;
                       for (int t = 0; t < taps.count(); ++t) {
                         const int64_t* index = taps.index(t);
                         const T* weight = taps.weight(t);
                         for (int64_t i = 0; i < n; ++i) {
                           if (index[i] >= 0) out[index[i]] += grad[i] * weight[i];
                         }
                       }
                     }
                   }
                 }
               });
}

template <class T>
void grid_gradient(const GridParams& p) {
  const int64_t plane = plane_size(p);
  for_blocks<T>(p, true, [&](const Taps<T>& taps, int64_t b, int64_t first, int64_t n) {
    T* out = static_cast<T*>(p.grad_grid) + (b * p.points + first) * p.dims;
    T sums[kBlock];
    for (int axis = 0; axis < p.dims; ++axis) {
      std::fill_n(sums, n, T{0});
      for (int64_t c = 0; c < p.channels; ++c) {
        const T* in = static_cast<const T*>(p.in) + (b * p.channels + c) * plane;
        const T* grad = static_cast<const T*>(p.grad) + (b * p.channels + c) * p.points + first;
        for (int t = 0; t < taps.count(); ++t) {
          const int64_t* index = taps.index(t);
          const T* slope = taps.slope(t, axis);
          for (int64_t i = 0; i < n; ++i) {
            if (index[i] >= 0) sums[i] += in[index[i]] * slope[i] * grad[i];
          }
        }
      }
      for (int64_t i = 0; i < n; ++i) out[i * p.dims + axis] = sums[i];
    }
  });
}

template <class T>
void grid_backward(const GridParams& p, const void*) {
  if (p.grad_in != nullptr) input_gradient<T>(p);
  if (p.grad_grid != nullptr) grid_gradient<T>(p);
}

template <class T>
void set_grid() {
  KernelTable::set<GridParams>(OpId::gridSample, DeviceType::Cpu, dtype_of<T>, grid_forward<T>);
  KernelTable::set<GridParams>(OpId::gridSampleBackward, DeviceType::Cpu, dtype_of<T>,
                               grid_backward<T>);
}

}  // namespace

void register_grid() {
  set_grid<float>();
  set_grid<double>();
}

}  // namespace ampgrad::cpu
