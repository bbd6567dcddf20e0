// Plain parameter structs, one per kernel family: what the op layer hands to a backend after all
// checks, promotion and shape inference. Kernels may trust them. No tensors, no ownership.
#pragma once

#include <cstdint>

#include "core/attrs.h"
#include "core/device.h"
#include "core/dtype.h"
#include "core/philox.h"
#include "core/scalar.h"
#include "core/shape.h"

namespace ampgrad {

// A strided operand. Strides are in elements and match the common shape (0 where broadcast).
struct StridedArg {
  void* data = nullptr;
  DType dtype = DType::Float32;
  const int64_t* strides = nullptr;
};

inline constexpr int kMaxElementwiseInputs = 4;

// out[i] = f(in0[i], in1[i], ...) over a common shape. Operands may have any dtype: a kernel
// computes in `compute` (the dtype of its table cell) and the loop converts on load and store.
// A number operand has data == nullptr and its value in `scalars`.
struct ElementwiseParams {
  DType compute = DType::Float32;
  int ndim = 0;
  const int64_t* sizes = nullptr;
  int64_t numel = 0;
  StridedArg out;
  int num_inputs = 0;
  StridedArg in[kMaxElementwiseInputs];
  Scalar scalars[kMaxElementwiseInputs];
  Attrs attrs;
};

// Reduction of `in` over some dimensions. The shape is split by the op layer into kept and reduced
// dimensions; `out` is contiguous over the kept ones, in order. `indices`, when present, is an
// int64 output beside `out`.
struct ReduceParams {
  DType compute = DType::Float32;  // dtype the input is converted to when it is read
  const void* in = nullptr;
  DType in_dtype = DType::Float32;
  void* out = nullptr;
  DType out_dtype = DType::Float32;
  int64_t* indices = nullptr;
  Dims kept_sizes;
  Dims kept_strides;  // of `in`, in elements
  Dims reduced_sizes;
  Dims reduced_strides;
  int64_t kept_numel = 1;
  int64_t reduced_numel = 1;
  Attrs attrs;
};

// Functions that a product may apply to its result.
enum class Activation : uint8_t { None, Relu, Gelu, GeluTanh, Silu };

// Whose elements a product adds up beside multiplying: every column of C, after its activation (n
// sums), every row of A over k (m sums), or every column of B over k (n sums).
enum class GemmSums : uint8_t { None, OfC, OfA, OfB };

// What else a product of one batch, with alpha 1 and beta 0, should do in the same pass. A kernel
// does all of it or nothing, and says in `*fused` which. After nothing, A B + bias lies in `inner`
// where there is one in the forward direction, else in C.
struct GemmEpilogue {
  // Forward: C = f(A B + bias), and `inner`, if given, takes A B + bias. Backward: C = A B *
  // f'(inner), without a bias.
  Activation activation = Activation::None;
  bool backward = false;
  void* inner = nullptr;  // m x n, dtype of C, aligned to 16 bytes
  int64_t inner_row = 0;  // a multiple of 8
  GemmSums sums_of = GemmSums::None;
  void* sums = nullptr;  // dtype of C
  bool* fused = nullptr;

  bool wanted() const { return fused != nullptr; }
};

// C[b] = alpha * op(A[b]) op(B[b]) + beta * C[b] (+ bias). All strides in elements; any of the two
// strides of A or B may be 1 (row- or column-major) and a batch stride may be 0. C's column
// stride is 1. Products accumulate in float (double for float64, int64 for integers).
struct GemmParams {
  DType dtype = DType::Float32;  // of A, B and C
  // C is float32 of half operands: the product and its cast in one pass (CPU only). Numbers are
  // rounded to float16 on the way, so that they overflow as they would; not to bfloat16.
  bool widened = false;
  // B is float32, rounded to `dtype` as it is read: its cast and the product in one pass (CPU
  // only).
  bool b_rounded = false;
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  int64_t a_row = 0, a_col = 0;
  const void* b = nullptr;
  int64_t b_row = 0, b_col = 0;
  void* c = nullptr;
  int64_t c_row = 0;
  int64_t batch = 1;  // batches, with element offsets per operand when batch > 1
  const int64_t* a_offsets = nullptr;
  const int64_t* b_offsets = nullptr;
  const int64_t* c_offsets = nullptr;
  double alpha = 1;
  double beta = 0;  // 0: C is not read
  // Added to every row, length n, same dtype; nullptr for none.
  const void* bias = nullptr;
  GemmEpilogue epilogue;
};

// Rows x columns view used by softmax-like kernels: `outer` x `size` x `inner`, contiguous, the
// operation runs along `size` (stride `inner`).
struct RowParams {
  const void* in = nullptr;
  const void* in2 = nullptr;  // second operand of a backward (output or input of the forward)
  void* out = nullptr;
  DType dtype = DType::Float32;
  int64_t outer = 1, size = 1, inner = 1;
  Attrs attrs;
};

// data[i] = value over a strided tensor.
struct FillParams {
  void* data = nullptr;
  DType dtype = DType::Float32;
  Dims sizes;
  Dims strides;
  int64_t numel = 0;
  Scalar value;
};

// out[i] = start + i * step (arange), or the points of a closed interval (linspace, which ignores
// `step` and reaches `end` exactly). Contiguous output.
struct SequenceParams {
  void* out = nullptr;
  DType dtype = DType::Float32;
  int64_t numel = 0;
  Scalar start;
  Scalar step;
  Scalar end;
};

// A draw into a contiguous output. `a` and `b` are the parameters of the distribution: bounds,
// mean and deviation, or probability; `low` and `range` those of integers. Element i takes its bits
// from block state.offset + i / (elements per block), see math/random.h.
struct RandomParams {
  void* out = nullptr;
  DType dtype = DType::Float32;
  int64_t numel = 0;
  PhiloxState state;
  double a = 0;
  double b = 1;
  int64_t low = 0;
  uint64_t range = 0;
};

enum class Reduction : uint8_t { None, Mean, Sum };

// Losses over class indices. The input is [outer, classes, inner], the targets [outer, inner], all
// contiguous. `weight` (per class, dtype of the input) may be null. nllLoss reads
// log-probabilities; cross entropy reads logits and leaves each row's log-sum-exp in `lse`, from
// which its backward makes the gradient without another pass.
struct ClassLossParams {
  const void* in = nullptr;
  DType dtype = DType::Float32;
  const int64_t* target = nullptr;
  const void* weight = nullptr;
  const void* grad = nullptr;    // backward: one value, or one per target with Reduction::None
  void* out = nullptr;           // one value, or one per target; backward: shape of the input
  void* total_weight = nullptr;  // one value, opmath dtype
  void* lse = nullptr;           // one value per target, opmath dtype
  int64_t outer = 1, classes = 1, inner = 1;
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::Mean;
  double label_smoothing = 0;
};

// One tensor of a multi-tensor optimizer step. Everything is contiguous. States are opmath dtype of
// the parameter; scalars (step count, ...) are single floats. `grad` may have another dtype than
// `param`. `model`, where present, is the low-precision tensor that gets the rounded parameter.
struct OptimTensor {
  void* param = nullptr;
  const void* grad = nullptr;
  void* states[3] = {nullptr, nullptr, nullptr};
  float* scalars[3] = {nullptr, nullptr, nullptr};
  void* model = nullptr;
  DType grad_dtype = DType::Float32;
  DType model_dtype = DType::Float32;
  int64_t numel = 0;
  int64_t rows = 0, cols = 0;  // of each matrix, for factored states; 0: not factored
};

// A step over many tensors of one dtype and device. The step of a functor of math/optim-inl.h reads
// the options it knows. When `found_inf` is given and not zero nothing at all is written; when
// `grad_scale` is given gradients are divided by it as they are read.
struct OptimParams {
  DType dtype = DType::Float32;  // of the parameters
  const OptimTensor* tensors = nullptr;
  int64_t num_tensors = 0;
  const float* grad_scale = nullptr;
  const float* found_inf = nullptr;
  double lr = 0;
  double beta1 = 0;
  double beta2 = 0;  // also rmsprop's alpha and adadelta's rho
  double eps = 0;
  double weight_decay = 0;
  double momentum = 0;
  double dampening = 0;
  double lr_decay = 0;
  double momentum_decay = 0;
  double eta_minus = 0, eta_plus = 0, step_min = 0, step_max = 0;
  double lambd = 0, alpha = 0, t0 = 0;
  double beta2_decay = 0, eps2 = 0, clip = 0;
  bool default_eps = false;  // eps is that of the dtype
  bool nesterov = false;
  bool maximize = false;
  bool amsgrad = false;
  bool centered = false;
  bool decoupled_decay = false;
};

// A list of contiguous tensors of any floating point dtypes.
struct MultiTensor {
  void* data = nullptr;
  DType dtype = DType::Float32;
  int64_t numel = 0;
};

// Norm: order `ord` into one value `out`. Scale: x = clamp(x * scale, min, max) in place; NaN
// stays.
struct MultiTensorParams {
  const MultiTensor* tensors = nullptr;
  int64_t num_tensors = 0;
  double ord = 2;
  void* out = nullptr;
  DType out_dtype = DType::Float32;
  const void* scale = nullptr;  // one value; nullptr: 1
  DType scale_dtype = DType::Float32;
  double min = 0, max = 0;  // infinite where there is no bound
};

}  // namespace ampgrad
