// Products with an added term: beta * input + alpha * A B, in one pass of the matrix product over
// its result, so that half types are rounded once. Vectors are matrices with one row or column, and
// a sum of products over a batch is one product with a longer inner dimension.
#include "ops/elementwise.h"
#include "ops/gemm_operands.h"
#include "ops/kernels.h"
#include "ops/launch.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

constexpr const char* kInputName = "input";

void check_dims(const char* op, const char* name, const Tensor& x, size_t ndim) {
  AG_CHECK(x.ndim() == ndim, Shape, op, ": argument '", name, "' must be ",
           static_cast<int64_t>(ndim), "-D, got ", describe(x));
}

// Of this family only addr refuses fractions of integers; the others truncate the factor.
void check_factor(const char* op, const char* name, Scalar factor, DType dtype) {
  AG_CHECK(is_floating(dtype) || !factor.is_float(), DType, op,
           ": For integral input tensors, argument '", name,
           "' must not be a floating point number.");
}

struct Factors {
  Scalar beta;
  Scalar alpha;
};

// All sizes but the last.
Dims leading(const Tensor& x) {
  Dims sizes = x.sizes();
  sizes.pop_back();
  return sizes;
}

void check_input(const char* op, const Tensor& input, DimsView sizes) {
  AG_CHECK(can_broadcast_to(input.sizes(), sizes), Shape, op, ": argument '", kInputName,
           "' of shape ", input.sizes(), " cannot be expanded to the product's shape ", sizes);
}

// The added term is a row of values that the product's epilogue adds while it writes its tiles.
bool is_row(const Tensor& input, DimsView sizes, const Factors& factors) {
  if (factors.beta.to_double() != 1 || !is_floating(input.dtype())) return false;
  return input.ndim() >= 1 && input.numel() == sizes[sizes.size() - 1] &&
         input.size(-1) == input.numel() && input.is_contiguous();
}

// beta * input + alpha * A B over matrices or batches of them. The result's shape is `sizes`; A and
// B have the dimensions of the product.
Tensor added_product(OpId op, const Tensor& input, const Tensor& a, const Tensor& b, DimsView sizes,
                     const Factors& factors) {
  const char* name = op_name(op);
  check_same_kind(name, a, b);
  check_same_kind(name, input, a);
  check_input(name, input, sizes);
  const Tensor out = Tensor::empty(sizes, a.dtype(), a.device());
  if (out.numel() == 0) return out;
  const Tensor left = gemm_operand(a);
  const Tensor right = gemm_operand(b);
  Dims full;
  for (size_t d = 0; d + 2 < a.ndim(); ++d) full.push_back(a.sizes()[d]);
  full.push_back(a.size(-2));
  full.push_back(b.size(-1));
  GemmParams p = gemm_params(left, right, out.alias(full, contiguous_strides(full), 0));
  p.alpha = factors.alpha.to_double();
  if (is_row(input, full, factors)) {
    p.bias = input.data();
  } else if (factors.beta.to_double() != 0) {
    copy_into(out, input);
    p.beta = factors.beta.to_double();
  }
  if (a.ndim() == 2) {
    KernelTable::run(op, out.device(), out.dtype(), p);
    return out;
  }
  const BatchOffsets offsets(left, right, out);
  offsets.set(p);
  KernelTable::run(op, out.device(), out.dtype(), p);
  return out;
}

// A vector as a matrix of one column or row, without recording anything.
Tensor as_column(const Tensor& x) {
  return x.alias(Dims{x.sizes()[0], 1}, Dims{x.strides()[0], 1}, x.offset());
}
Tensor as_row(const Tensor& x) {
  return x.alias(Dims{1, x.sizes()[0]},
                 Dims{x.sizes()[0] == 1 ? 1 : x.strides()[0] * x.sizes()[0], x.strides()[0]},
                 x.offset());
}

Tensor plain_product(OpId op, const Tensor& a, const Tensor& b, DimsView sizes) {
  const Tensor out = Tensor::empty(sizes, a.dtype(), a.device());
  if (out.numel() == 0) return out;
  const Dims full{a.sizes()[0], b.sizes()[1]};
  const Tensor left = gemm_operand(a);
  const Tensor right = gemm_operand(b);
  KernelTable::run(op, out.device(), out.dtype(),
                   gemm_params(left, right, out.alias(full, contiguous_strides(full), 0)));
  return out;
}

void check_mv(const char* op, const Tensor& mat, const Tensor& vec) {
  AG_CHECK(mat.ndim() == 2 && vec.ndim() == 1, Shape, op,
           ": vector + matrix @ vector expected, got ", static_cast<int64_t>(mat.ndim()), "-D and ",
           static_cast<int64_t>(vec.ndim()), "-D operands");
  AG_CHECK(mat.sizes()[1] == vec.sizes()[0], Shape, op, ": size mismatch, got matrix (",
           mat.sizes()[0], "x", mat.sizes()[1], "), vector (", vec.sizes()[0], ")");
}

void check_dot(const char* op, const Tensor& a, const Tensor& b) {
  AG_CHECK(a.ndim() == 1 && b.ndim() == 1, Shape, op, ": 1D tensors expected, but got ",
           static_cast<int64_t>(a.ndim()), "D and ", static_cast<int64_t>(b.ndim()), "D tensors");
  check_same_kind(op, a, b);
  AG_CHECK(a.numel() == b.numel(), Shape, op,
           ": inconsistent tensor size, expected tensors to have the same number of elements, but "
           "got ",
           a.numel(), " and ", b.numel(), " elements respectively");
}

void check_batches(const char* op, const Tensor& a, const Tensor& b) {
  check_dims(op, "batch1", a, 3);
  check_dims(op, "batch2", b, 3);
  AG_CHECK(a.sizes()[0] == b.sizes()[0], Shape, op,
           ": batch1 and batch2 must have same number of batches, got ", a.sizes()[0], " and ",
           b.sizes()[0]);
  AG_CHECK(a.sizes()[2] == b.sizes()[1], Shape, op, ": Incompatible matrix sizes for bmm (",
           a.sizes()[1], "x", a.sizes()[2], " and ", b.sizes()[1], "x", b.sizes()[2], ")");
}

}  // namespace

namespace impl {

Tensor mv(const Tensor& input, const Tensor& vec) {
  check_mv("mv", input, vec);
  check_same_kind("mv", input, vec);
  return plain_product(OpId::mv, input, as_column(vec), Dims{input.sizes()[0]});
}

Tensor dot(const Tensor& input, const Tensor& other) {
  check_dot("dot", input, other);
  return plain_product(OpId::dot, as_row(input), as_column(other), Dims{});
}

Tensor vdot(const Tensor& input, const Tensor& other) {
  check_dot("vdot", input, other);
  return ops::dot(input, other);
}

Tensor outer(const Tensor& input, const Tensor& vec2) {
  check_dims("outer", kInputName, input, 1);
  check_dims("outer", "vec2", vec2, 1);
  return ops::mul(ops::unsqueeze(input, 1), vec2);
}

Tensor inner(const Tensor& input, const Tensor& other) {
  if (input.ndim() == 0 || other.ndim() == 0) return ops::mul(input, other);
  AG_CHECK(input.size(-1) == other.size(-1), Shape,
           "inner: the last dimension must match on both input tensors but got shapes ",
           input.sizes(), " and ", other.sizes());
  check_same_kind("inner", input, other);
  const int64_t k = input.size(-1);
  Dims sizes = input.sizes();
  sizes.pop_back();
  int64_t rows = element_count(sizes);
  int64_t columns = 1;
  for (size_t d = 0; d + 1 < other.ndim(); ++d) {
    sizes.push_back(other.sizes()[d]);
    columns *= other.sizes()[d];
  }
  const Tensor left = ops::reshape(input, Dims{rows, k});
  const Tensor right = ops::reshape(other, Dims{columns, k});
  return ops::reshape(ops::mm(left, ops::t(right)), sizes);
}

// y_k = x1^T W_k x2: [rows, in1] x [in1, out * in2], then in2 is contracted with the second input.
Tensor bilinear(const Tensor& input1, const Tensor& input2, const Tensor& weight,
                const Tensor& bias) {
  check_declared(OpId::bilinear, input1);
  check_same_kind("bilinear", input1, input2);
  check_same_kind("bilinear", input1, weight);
  const bool fits = weight.ndim() == 3 && input1.ndim() >= 1 && input2.ndim() == input1.ndim() &&
                    leading(input1) == leading(input2) && input1.size(-1) == weight.size(1) &&
                    input2.size(-1) == weight.size(2);
  AG_CHECK(fits, Shape,
           "bilinear: expected shapes [..., in1], [..., in2] and [out, in1, in2], got ",
           input1.sizes(), ", ", input2.sizes(), " and ", weight.sizes());
  if (bias.defined()) {
    check_same_kind("bilinear", input1, bias);
    AG_CHECK(bias.ndim() == 1 && bias.size(0) == weight.size(0), Shape,
             "bilinear: argument 'bias' must have shape [", weight.size(0), "], got ",
             bias.sizes());
  }
  const int64_t out = weight.size(0);
  const int64_t in1 = weight.size(1);
  const int64_t in2 = weight.size(2);
  Dims sizes = leading(input1);
  const int64_t rows = element_count(sizes);
  sizes.push_back(out);
  const DType dtype = input1.dtype();
  const auto wide = [&](const Tensor& x) {  // half types are rounded once
    return is_low_precision(dtype) ? ops::to(x, std::optional<DType>(DType::Float32)) : x;
  };
  const Tensor maps = ops::reshape(ops::transpose(wide(weight), 0, 1), Dims{in1, out * in2});
  const Tensor left = ops::mm(ops::reshape(wide(input1), Dims{rows, in1}), maps);
  const Tensor product = ops::bmm(ops::reshape(left, Dims{rows, out, in2}),
                                  ops::reshape(wide(input2), Dims{rows, in2, 1}));
  Tensor result = ops::reshape(product, sizes);
  if (bias.defined()) result = ops::add(result, wide(bias));
  return is_low_precision(dtype) ? ops::to(result, std::optional<DType>(dtype)) : result;
}

Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  check_dims("addmm", "mat1", a, 2);
  check_dims("addmm", "mat2", b, 2);
  AG_CHECK(a.sizes()[1] == b.sizes()[0], Shape,
           "addmm: mat1 and mat2 shapes cannot be multiplied (", a.sizes()[0], "x", a.sizes()[1],
           " and ", b.sizes()[0], "x", b.sizes()[1], ")");
  return added_product(OpId::addmm, input, a, b, Dims{a.sizes()[0], b.sizes()[1]}, {beta, alpha});
}

Tensor addmv(const Tensor& input, const Tensor& mat, const Tensor& vec, Scalar beta, Scalar alpha) {
  check_mv("addmv", mat, vec);
  return added_product(OpId::addmv, input, mat, as_column(vec), Dims{mat.sizes()[0]},
                       {beta, alpha});
}

Tensor addr(const Tensor& input, const Tensor& vec1, const Tensor& vec2, Scalar beta,
            Scalar alpha) {
  check_dims("addr", "vec1", vec1, 1);
  check_dims("addr", "vec2", vec2, 1);
  const Dims sizes{vec1.sizes()[0], vec2.sizes()[0]};
  const Operand terms[] = {input, vec1, vec2};
  const DType dtype = result_type(Span<Operand>(terms, 3));
  check_factor("addr", "beta", beta, dtype);
  check_factor("addr", "alpha", alpha, dtype);
  // Truth values add up as small integers: (beta and input) or (alpha and vec1 and vec2).
  const bool logical = dtype == DType::Bool;
  const DType compute = logical ? DType::UInt8 : dtype;
  const Factors factors{logical ? Scalar(beta.to_bool() ? 1 : 0) : beta,
                        logical ? Scalar(alpha.to_bool() ? 1 : 0) : alpha};
  const Tensor out =
      added_product(OpId::addr, as_dtype(input, compute), as_column(as_dtype(vec1, compute)),
                    as_row(as_dtype(vec2, compute)), sizes, factors);
  return as_dtype(out, dtype);
}

Tensor addbmm(const Tensor& input, const Tensor& batch1, const Tensor& batch2, Scalar beta,
              Scalar alpha) {
  check_batches("addbmm", batch1, batch2);
  const int64_t inner = batch1.sizes()[0] * batch1.sizes()[2];
  const Tensor left = ops::reshape(ops::transpose(batch1, 0, 1), Dims{batch1.sizes()[1], inner});
  const Tensor right = ops::reshape(batch2, Dims{inner, batch2.sizes()[2]});
  return ops::addmm(input, left, right, beta, alpha);
}

Tensor baddbmm(const Tensor& input, const Tensor& batch1, const Tensor& batch2, Scalar beta,
               Scalar alpha) {
  check_batches("baddbmm", batch1, batch2);
  const Dims sizes{batch1.sizes()[0], batch1.sizes()[1], batch2.sizes()[2]};
  return added_product(OpId::baddbmm, input, batch1, batch2, sizes, {beta, alpha});
}

}  // namespace impl
}  // namespace ampgrad
