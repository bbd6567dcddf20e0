// Translation of strided tensors into GemmParams, shared by the families that are matrix products.
#pragma once

#include "core/tensor.h"
#include "ops/params.h"

namespace ampgrad {

// A matrix operand whose rows or columns are dense, copied only if they are not.
Tensor gemm_operand(const Tensor& x);

// Raises unless both have one dtype and one device.
void check_same_kind(const char* op, const Tensor& a, const Tensor& b);

// C = A B over the last two dimensions, of the first batch; C's rows are dense.
GemmParams gemm_params(const Tensor& a, const Tensor& b, const Tensor& c);

// Raises unless x [..., in] goes through a layer with weight [out, in] and bias [out], if any.
struct LinearArgs {
  const Tensor& weight;
  const Tensor& bias;
  const char* weight_name = "weight";
  const char* bias_name = "bias";
  bool rounded = false;  // the weight is float32 and stands for itself rounded to x's dtype
};
void check_linear(const char* op, const Tensor& x, const LinearArgs& args);
// The part of it that concerns the bias.
void check_bias(const char* op, const Tensor& x, const Tensor& bias, int64_t size,
                const char* name);

// [..., n] as a matrix, without autograd state; copied only where strides do not allow it.
Tensor matrix_of_rows(const Tensor& x);
// The transpose, without autograd state.
Tensor turned(const Tensor& matrix);

// The gradient of a float32 weight (or bias) that a half product read through a cast: mm(a, b), or
// the sum of g's rows, in float32 and without a gradient of its own. bfloat16 is not rounded to on
// the way where that is one pass (products on the CPU, sums); float16 is, because a GradScaler
// relies on the gradients that overflow.
Tensor mm_widened(const Tensor& a, const Tensor& b);
Tensor row_sum_widened(const Tensor& g);

// The places of the batches of three 3-D operands, which `p` points to.
class BatchOffsets {
 public:
  BatchOffsets(const Tensor& a, const Tensor& b, const Tensor& c);
  void set(GemmParams& p) const;

 private:
  int64_t batch_;
  std::vector<int64_t> offsets_;
};

}  // namespace ampgrad
