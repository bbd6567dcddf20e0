// Adafactor. A matrix keeps mean squares of its rows and of its columns only. Every tensor takes a
// few launches: step count, size of the parameter, means, size of the update, update. Sums are
// those of a fixed number of blocks, folded in order. Nothing is read back: the count, found_inf
// and the scale of the gradients stay on the device.
#include "backend/cuda/device/team.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/rows.h"
#include "backend/cuda/scratch.h"
#include "math/optim-inl.h"

namespace ampgrad::cuda {

namespace {

constexpr int64_t kMostParts = 256;  // blocks of a sum

// Numbers of a step that the device makes for itself.
struct Control {
  double take;  // share of the new mean squares
  double rho;   // largest relative step
  double rate;  // factor of the update
};

struct FactoredArgs {
  OptimTensor t;
  const float* grad_scale;
  const float* found_inf;
  bool maximize, factored;
  double lr, beta2_decay, eps1, eps2, clip, weight_decay;
  int64_t rows, cols;  // of all matrices; an unfactored tensor is one row
  Control* control;
  double* parts;  // of the parameter's squares, then of the update's
  int num_parts;
  void* row_factors;
};

__device__ AG_INLINE bool skips(const FactoredArgs& a) {
  return a.found_inf != nullptr && *a.found_inf != 0;
}

template <class T>
__device__ AG_INLINE T grad_factor(const FactoredArgs& a) {
  double factor = a.maximize ? -1.0 : 1.0;
  if (a.grad_scale != nullptr) factor /= static_cast<double>(*a.grad_scale);
  return static_cast<T>(factor);
}

template <class T>
__device__ AG_INLINE T grad_at(const FactoredArgs& a, T factor, int64_t i) {
  return load_as<T>(a.t.grad, a.t.grad_dtype, i) * factor;
}

template <class T>
__device__ AG_INLINE void blend(T* old, double mean, double take) {
  *old = static_cast<T>(static_cast<double>(*old) + take * (mean - static_cast<double>(*old)));
}

__global__ void factored_prepare_kernel(const FactoredArgs a) {
  if (skips(a)) return;
  *a.t.scalars[0] += 1.0f;
  const auto step = static_cast<double>(*a.t.scalars[0]);
  a.control->take = ::pow(step, a.beta2_decay);
  const double most = 1 / ::sqrt(step);
  a.control->rho = a.lr < most ? a.lr : most;
}

// The update of an element, from its gradient and its mean square.
template <class T>
__device__ AG_INLINE T update_at(const FactoredArgs& a, T factor, int64_t i) {
  T variance;
  if (a.factored) {
    const int64_t row = i / a.cols;
    const int64_t matrix = row / a.t.rows;
    variance = static_cast<const T*>(a.row_factors)[row] *
               static_cast<const T*>(a.t.states[1])[matrix * a.cols + (i - row * a.cols)];
  } else {
    variance = static_cast<const T*>(a.t.states[2])[i];
  }
  return math::AdafactorStep::update(grad_at(a, factor, i), variance,
                                     static_cast<T>(a.eps1 * a.eps1));
}

// Squares of the parameter, or with kUpdate of the update, in parts.
template <class S, bool kUpdate>
__global__ void __launch_bounds__(kRowThreads) factored_squares_kernel(const FactoredArgs a) {
  using T = OpMath<S>;
  AG_SHARED_ARRAY(double, room, kRowWarps);
  if (skips(a)) return;
  const T factor = grad_factor<T>(a);
  T sum{0};
  const int64_t step = int64_t{gridDim.x} * kRowThreads;
  for (int64_t i = int64_t{blockIdx.x} * kRowThreads + threadIdx.x; i < a.t.numel; i += step) {
    const T x = kUpdate ? update_at(a, factor, i) : cast<T>(static_cast<const S*>(a.t.param)[i]);
    sum += x * x;
  }
  const double total = fold_block(static_cast<double>(sum), Add(), room);
  if (threadIdx.x == 0) a.parts[(kUpdate ? a.num_parts : 0) + blockIdx.x] = total;
}

template <class T>
__global__ void __launch_bounds__(kRowThreads) factored_rows_kernel(const FactoredArgs a) {
  AG_SHARED_ARRAY(T, room, kRowWarps);
  if (skips(a)) return;
  const T factor = grad_factor<T>(a);
  for (int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) {
    T sum{0};
    for (int64_t c = threadIdx.x; c < a.cols; c += kRowThreads) {
      const T g = grad_at(a, factor, row * a.cols + c);
      sum += g * g;
    }
    sum = fold_block(sum, Add(), room);
    if (threadIdx.x != 0) continue;
    blend(static_cast<T*>(a.t.states[0]) + row,
          static_cast<double>(sum) / static_cast<double>(a.cols), a.control->take);
  }
}

// A block takes 32 columns of a matrix, its warps every eighth row each.
template <class T>
__global__ void __launch_bounds__(kRowThreads) factored_columns_kernel(const FactoredArgs a) {
  AG_SHARED_ARRAY(T, room, kRowThreads);
  if (skips(a)) return;
  const T factor = grad_factor<T>(a);
  const int64_t all = a.rows / a.t.rows * a.cols;
  for (int64_t first = int64_t{blockIdx.x} * kLanes; first < all;
       first += int64_t{gridDim.x} * kLanes) {
    const int64_t column = first + threadIdx.x % kLanes;
    T sum{0};
    if (column < all) {
      const int64_t matrix = column / a.cols;
      const int64_t base = matrix * a.t.rows * a.cols + (column - matrix * a.cols);
      for (int64_t r = threadIdx.x / kLanes; r < a.t.rows; r += kRowWarps) {
        const T g = grad_at(a, factor, base + r * a.cols);
        sum += g * g;
      }
    }
    sum = fold_column(sum, Add(), room);
    if (column >= all || threadIdx.x >= kLanes) continue;
    blend(static_cast<T*>(a.t.states[1]) + column,
          static_cast<double>(sum) / static_cast<double>(a.t.rows), a.control->take);
  }
}

// Row means over the mean of the matrix's row means: a block for each matrix.
template <class T>
__global__ void __launch_bounds__(kRowThreads) factored_row_factors_kernel(const FactoredArgs a) {
  AG_SHARED_ARRAY(double, room, kRowWarps);
  if (skips(a)) return;
  const auto* row = static_cast<const T*>(a.t.states[0]);
  for (int64_t matrix = blockIdx.x; matrix < a.rows / a.t.rows; matrix += gridDim.x) {
    const int64_t begin = matrix * a.t.rows;
    double mean = 0;
    for (int64_t r = threadIdx.x; r < a.t.rows; r += kRowThreads) {
      mean += static_cast<double>(row[begin + r]);
    }
    mean = fold_block(mean, Add(), room) / static_cast<double>(a.t.rows);
    if (mean < a.eps1) mean = a.eps1;  // NaN stays
    for (int64_t r = threadIdx.x; r < a.t.rows; r += kRowThreads) {
      static_cast<T*>(a.row_factors)[begin + r] =
          static_cast<T>(static_cast<double>(row[begin + r]) / mean);
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kRowThreads) factored_elements_kernel(const FactoredArgs a) {
  if (skips(a)) return;
  const T factor = grad_factor<T>(a);
  const T take = static_cast<T>(a.control->take);
  auto* variance = static_cast<T*>(a.t.states[2]);
  const int64_t step = int64_t{gridDim.x} * kRowThreads;
  for (int64_t i = int64_t{blockIdx.x} * kRowThreads + threadIdx.x; i < a.t.numel; i += step) {
    const T g = grad_at(a, factor, i);
    variance[i] += take * (g * g - variance[i]);
  }
}

__global__ void __launch_bounds__(kRowThreads) factored_rate_kernel(const FactoredArgs a) {
  AG_SHARED_ARRAY(Pair<double>, room, kRowWarps);
  if (skips(a)) return;
  Pair<double> sum{0, 0};
  for (int i = static_cast<int>(threadIdx.x); i < a.num_parts; i += kRowThreads) {
    sum = Add()(sum, Pair<double>{a.parts[i], a.parts[a.num_parts + i]});
  }
  sum = fold_block(sum, Add(), room);
  if (threadIdx.x != 0) return;
  const auto n = static_cast<double>(a.t.numel);
  const double size = ::sqrt(sum.first / n);
  const double clipped = ::sqrt(sum.second / n) / a.clip;
  const double alpha = (a.eps2 < size ? size : a.eps2) * a.control->rho;
  a.control->rate = -alpha / (1.0 < clipped ? clipped : 1.0);
}

template <class S>
__global__ void __launch_bounds__(kRowThreads) factored_apply_kernel(const FactoredArgs a) {
  using T = OpMath<S>;
  if (skips(a)) return;
  const T factor = grad_factor<T>(a);
  const T keep = static_cast<T>(1 - a.lr * a.weight_decay);
  const T rate = static_cast<T>(a.control->rate);
  auto* param = static_cast<S*>(a.t.param);
  const int64_t step = int64_t{gridDim.x} * kRowThreads;
  for (int64_t i = int64_t{blockIdx.x} * kRowThreads + threadIdx.x; i < a.t.numel; i += step) {
    const T kept = cast<T>(param[i]) * keep;
    const S rounded = cast<S>(rate * update_at(a, factor, i) + kept);
    param[i] = rounded;
    if (a.t.model != nullptr) store_as<T>(a.t.model, a.t.model_dtype, i, cast<T>(rounded));
  }
}

double epsilon_of(DType dtype) {
  if (dtype == DType::Float16) return 0x1p-10;
  if (dtype == DType::BFloat16) return 0x1p-7;
  return dtype == DType::Float32 ? 0x1p-23 : 0x1p-52;
}

template <class S>
void step_tensor(const OptimParams& p, const OptimTensor& t) {
  using T = OpMath<S>;
  constexpr const char* kName = "adafactorStep_";
  FactoredArgs a{};
  a.t = t;
  a.grad_scale = p.grad_scale;
  a.found_inf = p.found_inf;
  a.maximize = p.maximize;
  a.factored = t.states[0] != nullptr;
  a.lr = p.lr;
  a.beta2_decay = p.beta2_decay;
  a.eps1 = p.default_eps ? epsilon_of(p.dtype) : p.eps;
  a.eps2 = p.eps2;
  a.clip = p.clip;
  a.weight_decay = p.weight_decay;
  a.cols = a.factored ? t.cols : t.numel;
  a.rows = t.numel == 0 ? 0 : t.numel / a.cols;
  const dim3 spread = grid_for(t.numel, kRowThreads);
  a.num_parts = static_cast<int>(std::min<int64_t>(spread.x, kMostParts));
  const Scratch control(sizeof(Control));
  const Scratch parts(2 * static_cast<size_t>(a.num_parts) * sizeof(double));
  const Scratch row_factors(a.factored ? static_cast<size_t>(a.rows) * sizeof(T) : 0);
  a.control = control.as<Control>();
  a.parts = parts.as<double>();
  a.row_factors = row_factors.as<void>();
  launch(kName, {dim3(1), dim3(1)}, factored_prepare_kernel, a);
  if (t.numel == 0) return;
  const LaunchShape sums{dim3(static_cast<unsigned>(a.num_parts)), kRowThreads};
  const LaunchShape all{spread, kRowThreads};
  launch(kName, sums, factored_squares_kernel<S, false>, a);
  if (a.factored) {
    const int64_t matrices = a.rows / t.rows;
    launch(kName, {grid_of_teams(a.rows, 1), kRowThreads}, factored_rows_kernel<T>, a);
    launch(kName, {grid_of_teams(matrices * a.cols, kLanes), kRowThreads},
           factored_columns_kernel<T>, a);
    launch(kName, {grid_of_teams(matrices, 1), kRowThreads}, factored_row_factors_kernel<T>, a);
  } else {
    launch(kName, all, factored_elements_kernel<T>, a);
  }
  launch(kName, sums, factored_squares_kernel<S, true>, a);
  launch(kName, {dim3(1), kRowThreads}, factored_rate_kernel, a);
  launch(kName, all, factored_apply_kernel<S>, a);
}

template <class S>
void step(const OptimParams& p, const void*) {
  for (int64_t i = 0; i < p.num_tensors; ++i) step_tensor<S>(p, p.tensors[i]);
}

}  // namespace

void register_optim_factored(const CudaHost& host) {
  const auto set = [&](DType dtype, KernelFn<OptimParams> fn) {
    set_kernel<OptimParams>(host, OpId::adafactorStep_, dtype, fn);
  };
  set(DType::Float16, step<Half>);
  set(DType::BFloat16, step<BFloat16>);
  set(DType::Float32, step<float>);
  set(DType::Float64, step<double>);
}

}  // namespace ampgrad::cuda
