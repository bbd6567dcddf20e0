// The exponential of matrices: scaling, a Pade approximant of degree 13, squaring (Higham 2005). It
// is computed in float64 whatever the dtype, so that the squarings do not lose float32's digits.
#include <cmath>

#include "ops/linalg_common.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad::impl {

using namespace linalg;

namespace {

// Below this 1-norm the approximant is exact to float64.
constexpr double kTheta = 5.371920351148152;

constexpr double kPade[] = {64764752532480000.,
                            32382376266240000.,
                            7771770303897600.,
                            1187353796428800.,
                            129060195264000.,
                            10559470521600.,
                            670442572800.,
                            33522128640.,
                            1323241920.,
                            40840800.,
                            960960.,
                            16380.,
                            182.,
                            1.};

Tensor times(const Tensor& x, double factor) { return ops::mul(x, Operand(factor)); }

// c0 x0 + c1 x1 + c2 x2
Tensor sum3(const Tensor& x0, double c0, const Tensor& x1, double c1, const Tensor& x2, double c2) {
  return ops::add(ops::add(times(x0, c0), times(x1, c1)), times(x2, c2));
}

Tensor pade13(const Tensor& a) {
  const Tensor unit = identity_columns(Dims(), a.size(-1), a.size(-1), a);
  const Tensor a2 = ops::matmul(a, a);
  const Tensor a4 = ops::matmul(a2, a2);
  const Tensor a6 = ops::matmul(a4, a2);
  const auto half = [&](int odd) {
    const Tensor high =
        ops::matmul(a6, sum3(a6, kPade[12 + odd], a4, kPade[10 + odd], a2, kPade[8 + odd]));
    const Tensor low = sum3(a6, kPade[6 + odd], a4, kPade[4 + odd], a2, kPade[2 + odd]);
    return ops::add(ops::add(high, low), times(unit, kPade[odd]));
  };
  const Tensor u = ops::matmul(a, half(1));
  const Tensor v = half(0);
  return std::get<0>(ops::linalgSolveEx(ops::sub(v, u), ops::add(v, u)));
}

}  // namespace

Tensor linalgMatrixExp(const Tensor& a) {
  const char* op = "linalg.matrixExp";
  check_matrix(op, "A", a);
  AG_CHECK(a.size(-1) == a.size(-2), Shape, op,
           ": A must be batches of square matrices, but they are ", a.size(-2), " by ", a.size(-1),
           " matrices");
  AG_CHECK(is_floating(a.dtype()), DType, op, ": Expected a floating point tensor as input. Got ",
           dtype_name(a.dtype()));
  if (a.numel() == 0) return Tensor::empty(a.sizes(), a.dtype(), a.device());
  const Tensor x = as_dtype(a, DType::Float64);
  const Tensor norm = ops::linalgMatrixNorm(x, Value(Scalar(1)), Dims{-2, -1}, true);
  // A matrix with NaN or infinity answers with NaN; it needs no scaling.
  const Tensor finite = ops::where(ops::isfinite(norm), norm, Operand(0.0));
  Tensor squarings = ops::ceil(ops::log2(times(finite, 1 / kTheta)));
  squarings = ops::clamp(squarings, std::optional<Operand>(Operand(0.0)), std::optional<Operand>());
  Tensor result = pade13(ops::mul(x, ops::exp2(ops::neg(squarings))));
  const Tensor last = ops::amax(squarings, std::optional<Dims>(), false);
  const auto most = static_cast<int64_t>(*to_host(last).data_as<double>());
  for (int64_t i = 1; i <= most; ++i) {
    const Tensor wanted = ops::ge(squarings, Operand(static_cast<double>(i)));
    result = ops::where(wanted, ops::matmul(result, result), result);
  }
  return as_dtype(result, a.dtype());
}

}  // namespace ampgrad::impl
