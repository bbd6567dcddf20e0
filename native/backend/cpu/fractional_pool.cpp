// Fractional max pooling on the CPU, a plane at a time: the starts of its windows, then their
// largest elements.
#include <algorithm>
#include <vector>

#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "math/pool.h"
#include "ops/fractional_params.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 13;

template <class T>
class Plane {
 public:
  Plane(const FractionalPoolParams& p, int64_t plane)
      : p_(p),
        x_(static_cast<const T*>(p.in) + plane * p.in_size[0] * p.in_size[1] * p.in_size[2]) {
    const T* samples = static_cast<const T*>(p.samples) + plane * p.dims;
    for (int d = 0; d < 3; ++d) {
      T sample{0};
      if (d >= 3 - p.dims) sample = samples[p.dims == 2 ? 2 - d : d];
      for (int64_t i = 0; i < p.out_size[d]; ++i) {
        starts_[d].push_back(
            math::fractional_start(sample, p.in_size[d], p.out_size[d], p.kernel[d], i));
      }
    }
  }

  void run(T* out, int64_t* indices) const {
    for (int64_t a : starts_[0]) {
      for (int64_t b : starts_[1]) {
        for (int64_t c : starts_[2]) {
          const int64_t best = largest(a, b, c);
          *indices++ = best;
          *out++ = x_[best];
        }
      }
    }
  }

 private:
  // The first of the largest; a NaN is larger than anything.
  int64_t largest(int64_t a, int64_t b, int64_t c) const {
    int64_t best = (a * p_.in_size[1] + b) * p_.in_size[2] + c;
    for (int64_t i = a; i < a + p_.kernel[0]; ++i) {
      for (int64_t j = b; j < b + p_.kernel[1]; ++j) {
        const int64_t row = (i * p_.in_size[1] + j) * p_.in_size[2];
        for (int64_t k = row + c; k < row + c + p_.kernel[2]; ++k) {
          if (x_[k] > x_[best] || x_[k] != x_[k]) best = k;
        }
      }
    }
    return best;
  }

  const FractionalPoolParams& p_;
  const T* x_;
  std::vector<int64_t> starts_[3];
};

template <class T>
void fractional_cell(const FractionalPoolParams& p, const void*) {
  const int64_t out = p.out_size[0] * p.out_size[1] * p.out_size[2];
  const int64_t work = out * p.kernel[0] * p.kernel[1] * p.kernel[2];
  parallel_for(p.planes, std::max<int64_t>(1, kGrain / work), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      Plane<T>(p, plane).run(static_cast<T*>(p.out) + plane * out, p.indices + plane * out);
    }
  });
}

}  // namespace

void register_fractional_pool() {
  KernelTable::set<FractionalPoolParams>(OpId::fractionalMaxPoolForward, DeviceType::Cpu,
                                         DType::Float32, fractional_cell<float>);
  KernelTable::set<FractionalPoolParams>(OpId::fractionalMaxPoolForward, DeviceType::Cpu,
                                         DType::Float64, fractional_cell<double>);
}

}  // namespace ampgrad::cpu
