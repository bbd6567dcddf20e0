// Distances between rows and their gradients, and frexp, on the CPU. The forward pass works on the
// transposed second operand, so that its inner loop runs over neighbouring results; every result
// sums its columns in order, whatever the number of threads.
#include "ops/distance_params.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/cpu/opmath.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "core/half.h"
#include "math/distance.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrainWork = 32'768;

int64_t grain_for(int64_t work) { return std::max<int64_t>(kGrainWork / (work + 1), 1); }

template <class T, template <class> class Norm>
void forward(const DistanceParams& q) {
  const Norm<T> norm(q.p);
  const auto* x1 = static_cast<const T*>(q.x1);
  const auto* x2 = static_cast<const T*>(q.x2);
  auto* out = static_cast<T*>(q.out);
  std::vector<T> turned(static_cast<size_t>(q.rows2 * q.width));
  for (int64_t b = 0; b < q.batch; ++b) {
    const T* right = x2 + b * q.rows2 * q.width;
    for (int64_t j = 0; j < q.rows2; ++j) {
      for (int64_t c = 0; c < q.width; ++c) {
        turned[static_cast<size_t>(c * q.rows2 + j)] = right[j * q.width + c];
      }
    }
    parallel_for(q.rows1, grain_for(q.rows2 * q.width), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* left = x1 + (b * q.rows1 + i) * q.width;
        T* row = out + (b * q.rows1 + i) * q.rows2;
        std::fill_n(row, q.rows2, T{0});
        for (int64_t c = 0; c < q.width; ++c) {
          const T* column = turned.data() + c * q.rows2;
          for (int64_t j = 0; j < q.rows2; ++j) row[j] = norm.add(row[j], left[c] - column[j]);
        }
        for (int64_t j = 0; j < q.rows2; ++j) row[j] = norm.finish(row[j]);
      }
    });
  }
}

template <class T, template <class> class Norm>
void backward(const DistanceParams& q) {
  const Norm<T> norm(q.p);
  const auto* x1 = static_cast<const T*>(q.x1);
  const auto* x2 = static_cast<const T*>(q.x2);
  const auto* grad = static_cast<const T*>(q.grad);
  const auto* distance = static_cast<const T*>(q.distance);
  auto* out = static_cast<T*>(q.out);
  parallel_for(q.batch * q.rows1, grain_for(q.rows2 * q.width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* left = x1 + i * q.width;
      T* row = out + i * q.width;
      std::fill_n(row, q.width, T{0});
      for (int64_t j = 0; j < q.rows2; ++j) {
        const T* right = x2 + (i / q.rows1 * q.rows2 + j) * q.width;
        const T g = grad[i * q.rows2 + j];
        const T d = distance[i * q.rows2 + j];
        for (int64_t c = 0; c < q.width; ++c) row[c] += norm.slope(left[c] - right[c], g, d);
      }
    }
  });
}

template <class T, template <class> class Norm>
void run_norm(const DistanceParams& q) {
  if (q.grad == nullptr) {
    forward<T, Norm>(q);
  } else {
    backward<T, Norm>(q);
  }
}

template <class T>
void distance_kernel(const DistanceParams& q, const void*) {
  if (q.p == 0) {
    run_norm<T, math::ZeroNorm>(q);
  } else if (q.p == 1) {
    run_norm<T, math::OneNorm>(q);
  } else if (q.p == 2) {
    run_norm<T, math::TwoNorm>(q);
  } else if (std::isinf(q.p)) {
    run_norm<T, math::MaxNorm>(q);
  } else {
    run_norm<T, math::PowerDistance>(q);
  }
}

// Zeros, infinities and NaN are their own mantissa, with exponent 0.
template <class T>
void frexp_kernel(const FrexpParams& q, const void*) {
  using Wide = OpMath<T>;
  constexpr int64_t kBlock = 512;
  const OpMathIo<T> io;
  const auto* in = static_cast<const T*>(q.in);
  auto* mantissa = static_cast<T*>(q.mantissa);
  parallel_for(q.numel, kGrainWork, [&](int64_t begin, int64_t end) {
    const auto wide_in = OpMathIo<T>::buffer(kBlock);
    const auto wide_out = OpMathIo<T>::buffer(kBlock);
    for (int64_t start = begin; start < end; start += kBlock) {
      const int64_t n = std::min(kBlock, end - start);
      const Wide* from = io.load(in + start, n, wide_in.get());
      Wide* to = OpMathIo<T>::target(mantissa + start, wide_out.get());
      for (int64_t i = 0; i < n; ++i) {
        int exponent = 0;
        to[i] = std::isfinite(from[i]) ? std::frexp(from[i], &exponent) : from[i];
        q.exponent[start + i] = exponent;
      }
      io.store(to, mantissa + start, n);
    }
  });
}

}  // namespace

void register_distance() {
  for (OpId op : {OpId::cdistForward, OpId::cdistBackward}) {
    KernelTable::set<DistanceParams>(op, DeviceType::Cpu, DType::Float32, distance_kernel<float>);
    KernelTable::set<DistanceParams>(op, DeviceType::Cpu, DType::Float64, distance_kernel<double>);
  }
  const auto set = [](DType dtype, KernelFn<FrexpParams> fn) {
    KernelTable::set<FrexpParams>(OpId::frexp, DeviceType::Cpu, dtype, fn);
  };
  set(DType::Float16, frexp_kernel<Half>);
  set(DType::BFloat16, frexp_kernel<BFloat16>);
  set(DType::Float32, frexp_kernel<float>);
  set(DType::Float64, frexp_kernel<double>);
}

}  // namespace ampgrad::cpu
