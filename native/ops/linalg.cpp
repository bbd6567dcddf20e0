// Matrix products: shape rules and the translation of strided tensors into GemmParams. No operand
// is copied unless it has no unit stride in its last two dimensions.
#include <algorithm>

#include "ops/elementwise.h"
#include "ops/gemm_operands.h"
#include "ops/kernels.h"
#include "ops/left_casts.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

Tensor gemm_operand(const Tensor& x) {
  const int64_t row = x.strides()[x.ndim() - 2];
  const int64_t col = x.strides()[x.ndim() - 1];
  return row == 1 || col == 1 || x.numel() <= 1 ? x : contiguous_copy(x);
}

void check_same_kind(const char* op, const Tensor& a, const Tensor& b) {
  AG_CHECK(a.dtype() == b.dtype(), DType, op,
           ": expected input and other to have the same dtype, "
           "but got: ",
           dtype_name(a.dtype()), " != ", dtype_name(b.dtype()));
  AG_CHECK(a.device() == b.device(), Device, op, ": expected all tensors on the same device, got ",
           to_string(a.device()), " and ", to_string(b.device()));
}

GemmParams gemm_params(const Tensor& a, const Tensor& b, const Tensor& c) {
  GemmParams p;
  const size_t d = a.ndim() - 2;
  p.dtype = c.dtype();
  p.m = a.sizes()[d];
  p.k = a.sizes()[d + 1];
  p.n = b.sizes()[d + 1];
  p.a = a.data();
  p.a_row = a.strides()[d];
  p.a_col = a.strides()[d + 1];
  p.b = b.data();
  p.b_row = b.strides()[d];
  p.b_col = b.strides()[d + 1];
  p.c = c.data();
  p.c_row = p.n;
  return p;
}

BatchOffsets::BatchOffsets(const Tensor& a, const Tensor& b, const Tensor& c)
    : batch_(c.sizes()[0]), offsets_(static_cast<size_t>(3 * batch_)) {
  const auto batches = static_cast<size_t>(batch_);
  for (int64_t i = 0; i < batch_; ++i) {
    const auto at = static_cast<size_t>(i);
    offsets_[at] = i * a.strides()[0];
    offsets_[batches + at] = i * b.strides()[0];
    offsets_[2 * batches + at] = i * c.strides()[0];
  }
}

void BatchOffsets::set(GemmParams& p) const {
  p.batch = batch_;
  p.a_offsets = offsets_.data();
  p.b_offsets = offsets_.data() + batch_;
  p.c_offsets = offsets_.data() + 2 * batch_;
}

namespace {

Tensor matrix_product(const Tensor& a, const Tensor& b, DType result) {
  AG_CHECK(a.ndim() == 2 && b.ndim() == 2, Shape, "mm: both operands must be matrices, got ",
           describe(a), " and ", describe(b));
  AG_CHECK(a.sizes()[1] == b.sizes()[0], Shape, "mm: mat1 and mat2 shapes cannot be multiplied (",
           a.sizes()[0], "x", a.sizes()[1], " and ", b.sizes()[0], "x", b.sizes()[1], ")");
  check_same_kind("mm", a, b);
  const Tensor out = empty_result(Dims{a.sizes()[0], b.sizes()[1]}, result, a.device());
  if (out.numel() == 0) return out;
  const Tensor left = gemm_operand(a);
  const Tensor right = gemm_operand(b);
  GemmParams p = gemm_params(left, right, out);
  p.widened = result != a.dtype();
  p.dtype = a.dtype();
  KernelTable::run(OpId::mm, out.device(), a.dtype(), p);
  return out;
}

}  // namespace

Tensor mm_widened(const Tensor& a, const Tensor& b) {
  if (a.device().is_cpu()) return matrix_product(a, b, DType::Float32);
  return ops::to(ops::mm(a, b), DType::Float32);
}

Tensor row_sum_widened(const Tensor& g) {
  if (g.dtype() == DType::BFloat16) return ops::sum(g, Dims{0}, false, DType::Float32);
  return ops::to(ops::sum(g, Dims{0}), DType::Float32);
}

void check_linear(const char* op, const Tensor& x, const LinearArgs& args) {
  const Tensor& weight = args.weight;
  AG_CHECK(weight.ndim() == 2 && x.ndim() >= 1, Shape, op,
           ": expected an input of at least 1 dimension and a 2-D ", args.weight_name, ", got ",
           describe(x), " and ", describe(weight));
  const int64_t in = weight.sizes()[1];
  const int64_t out = weight.sizes()[0];
  const int64_t rows = in == 0 ? 0 : x.numel() / std::max<int64_t>(x.size(-1), 1);
  AG_CHECK(x.size(-1) == in, Shape, op, ": mat1 and mat2 shapes cannot be multiplied (", rows, "x",
           x.size(-1), " and ", in, "x", out, ")");
  if (!args.rounded) check_same_kind(op, x, weight);
  check_bias(op, x, args.bias, out, args.bias_name);
}

void check_bias(const char* op, const Tensor& x, const Tensor& bias, int64_t size,
                const char* name) {
  if (!bias.defined()) return;
  check_same_kind(op, x, bias);
  AG_CHECK(bias.ndim() == 1 && bias.numel() == size, Shape, op, ": argument '", name,
           "' must have shape [", size, "], got ", bias.sizes());
}

Tensor matrix_of_rows(const Tensor& x) {
  const DimsView sizes = x.sizes();
  const Dims matrix{element_count(sizes.slice(0, x.ndim() - 1)), x.size(-1)};
  Dims strides;
  return view_strides(x.sizes(), x.strides(), matrix, &strides)
             ? x.alias(matrix, strides, x.offset())
             : contiguous_copy(x).alias(matrix, contiguous_strides(matrix), 0);
}

Tensor turned(const Tensor& matrix) {
  return matrix.alias(Dims{matrix.sizes()[1], matrix.sizes()[0]},
                      Dims{matrix.strides()[1], matrix.strides()[0]}, matrix.offset());
}

namespace impl {

Tensor mm(const Tensor& a, const Tensor& b) { return matrix_product(a, b, a.dtype()); }

Tensor bmm(const Tensor& a, const Tensor& b) {
  AG_CHECK(a.ndim() == 3 && b.ndim() == 3, Shape, "bmm: both operands must be 3-D, got ",
           describe(a), " and ", describe(b));
  AG_CHECK(a.sizes()[0] == b.sizes()[0] && a.sizes()[2] == b.sizes()[1], Shape,
           "bmm: expected size for first two dimensions of mat2 to be: [", a.sizes()[0], ", ",
           a.sizes()[2], "] but got: [", b.sizes()[0], ", ", b.sizes()[1], "]");
  check_same_kind("bmm", a, b);
  const Tensor out =
      empty_result(Dims{a.sizes()[0], a.sizes()[1], b.sizes()[2]}, a.dtype(), a.device());
  if (out.numel() == 0) return out;
  const Tensor left = gemm_operand(a);
  const Tensor right = gemm_operand(b);
  GemmParams p = gemm_params(left, right, out);
  const BatchOffsets offsets(left, right, out);
  offsets.set(p);
  KernelTable::run(OpId::bmm, out.device(), out.dtype(), p);
  return out;
}

Tensor linear(const Tensor& x, const Tensor& given_weight, const Tensor& given_bias) {
  Tensor weight = given_weight;
  Tensor bias = given_bias;
  bool rounded = false;
  const auto left_wide = [](const Tensor& t) {
    return LeftCasts::any() && t.defined() && t.dtype() == DType::Float32;
  };
  if (left_wide(bias)) bias = as_dtype(bias, x.dtype());
  if (left_wide(weight)) {
    // Products of vectors read their matrix only once, without packing it.
    rounded = x.numel() != x.size(-1) && weight.size(0) > 1;
    if (!rounded) weight = as_dtype(weight, x.dtype());
  }
  check_linear("linear", x, {.weight = weight, .bias = bias, .rounded = rounded});
  Dims sizes = x.sizes();
  sizes.back() = weight.sizes()[0];
  const Tensor out = Tensor::empty(sizes, x.dtype(), x.device());
  if (out.numel() == 0) return out;
  const Tensor left = gemm_operand(matrix_of_rows(x));
  const Tensor right = gemm_operand(weight);
  const Tensor bias_data = bias.defined() ? as_contiguous(bias) : Tensor();
  GemmParams p = gemm_params(left, turned(right), out);
  p.b_rounded = rounded;
  if (bias.defined()) p.bias = bias_data.data();
  KernelTable::run(OpId::linear, out.device(), out.dtype(), p);
  return out;
}

namespace {

// Batched product of operands with at least two dimensions: batches broadcast as views.
Tensor batched_matmul(const Tensor& a, const Tensor& b) {
  const DimsView a_sizes = a.sizes();
  const DimsView b_sizes = b.sizes();
  const DimsView a_batch = a_sizes.slice(0, a.ndim() - 2);
  const DimsView b_batch = b_sizes.slice(0, b.ndim() - 2);
  Dims batch = broadcast_shapes("matmul", a_batch, b_batch);
  const auto flat = [&](const Tensor& x) {
    Dims full = batch;
    full.push_back(x.size(-2));
    full.push_back(x.size(-1));
    const Dims three{element_count(batch), x.size(-2), x.size(-1)};
    return ops::reshape(ops::expand(x, full), three);
  };
  Dims out_sizes = batch;
  out_sizes.push_back(a.size(-2));
  out_sizes.push_back(b.size(-1));
  return ops::view(ops::bmm(flat(a), flat(b)), out_sizes);
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  AG_CHECK(a.ndim() > 0 && b.ndim() > 0, Shape,
           "matmul: both arguments to matmul need to be at least 1D, but they are ",
           static_cast<int64_t>(a.ndim()), "D and ", static_cast<int64_t>(b.ndim()), "D");
  check_same_kind("matmul", a, b);
  const int64_t inner_b = b.ndim() == 1 ? b.size(0) : b.size(-2);
  AG_CHECK(a.size(-1) == inner_b, Shape, "matmul: shapes ", a.sizes(), " and ", b.sizes(),
           " cannot be multiplied: the inner sizes ", a.size(-1), " and ", inner_b,
           " do not match");
  const bool vector_a = a.ndim() == 1;
  const bool vector_b = b.ndim() == 1;
  const Tensor left = vector_a ? ops::unsqueeze(a, 0) : a;
  const Tensor right = vector_b ? ops::unsqueeze(b, 1) : b;
  Tensor out;
  if (left.ndim() == 2 && right.ndim() == 2) {
    out = ops::mm(left, right);
  } else if (right.ndim() == 2) {
    // One matrix for all batches: a single tall product.
    Dims sizes = left.sizes();
    const DimsView rows = DimsView(sizes).slice(0, sizes.size() - 1);
    const Dims tall{element_count(rows), left.size(-1)};
    sizes.back() = right.size(1);
    out = ops::view(ops::mm(ops::reshape(left, tall), right), sizes);
  } else {
    out = batched_matmul(left, right);
  }
  if (vector_b) out = ops::squeeze(out, Dims{-1});
  if (vector_a) out = ops::squeeze(out, Dims{vector_b ? -1 : -2});
  return out;
}

}  // namespace impl
}  // namespace ampgrad
