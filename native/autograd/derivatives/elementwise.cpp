// Derivatives of the element-wise ops but activations. Operands may be numbers; the engine sums
// over broadcast dimensions and casts.
#include <cmath>

#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

constexpr double kLn2 = 0.69314718055994530942;
constexpr double kLn10 = 2.30258509299404568402;
constexpr double kTwoOverRootPi = 1.12837916709551257390;
constexpr double kPi = 3.14159265358979323846;

// Gradients are never integers, so neither is a factor made of saved operands.
Tensor scaled(const Tensor& g, Scalar factor) {
  return factor == Scalar(1) ? g : ops::mul(g, Operand(factor));
}

void no_gradient(Backward& b) {
  b.set(0, [&] { return ops::zerosLike(b.grad()); });
}

void add_backward(Backward& b) {
  b.set(0, [&] { return b.grad(); });
  if (b.is_tensor(1)) b.set(1, [&] { return scaled(b.grad(), b.attr<Scalar>(2)); });
}

void sub_backward(Backward& b) {
  b.set(0, [&] { return b.grad(); });
  if (b.is_tensor(1)) b.set(1, [&] { return ops::neg(scaled(b.grad(), b.attr<Scalar>(2))); });
}

void mul_backward(Backward& b) {
  b.set(0, [&] { return ops::mul(b.grad(), b.operand(1)); });
  b.set(1, [&] { return ops::mul(b.grad(), b.operand(0)); });
}

void div_backward(Backward& b) {
  const bool rounds = b.opt_attr<std::string>(2).has_value();
  b.set(0, [&] { return rounds ? ops::zerosLike(b.grad()) : ops::div(b.grad(), b.operand(1)); });
  b.set(1, [&] {
    if (rounds) return ops::zerosLike(b.grad());
    const Operand d = b.operand(1);
    return ops::neg(ops::mul(b.grad(), ops::div(ops::div(b.operand(0), d), d)));
  });
}

// a - b trunc(a / b) and a - b floor(a / b): the quotient is constant almost everywhere.
void modulo_backward(Backward& b, const char* rounding) {
  b.set(0, [&] { return b.grad(); });
  b.set(1, [&] {
    const Tensor quotient =
        ops::div(b.operand(0), b.operand(1), std::optional<std::string>(rounding));
    return ops::neg(ops::mul(b.grad(), quotient));
  });
}

void quotient_backward(Backward& b) {
  for (int i : {0, 1}) {
    if (b.is_tensor(i)) b.set(i, [&] { return ops::zerosLike(b.grad()); });
  }
}

// x^0 has gradient 0 even where 0 * x^-1 would not be a number.
void pow_backward(Backward& b) {
  b.set(0, [&] {
    const Operand e = b.operand(1);
    if (!e.is_tensor()) {
      const double exponent = e.scalar().to_double();
      if (exponent == 0) return ops::zerosLike(b.grad());
      const Scalar less =
          e.scalar().is_float() ? Scalar(exponent - 1) : Scalar(e.scalar().to_int() - 1);
      return ops::mul(b.grad(), ops::mul(ops::pow(b.operand(0), Operand(less)), e));
    }
    const Tensor slope = ops::mul(e, ops::pow(b.operand(0), ops::sub(e, Operand(1))));
    return ops::where(ops::eq(e.tensor(), Operand(0)), Operand(0.0), ops::mul(b.grad(), slope));
  });
  b.set(1, [&] {
    const Operand x = b.operand(0);
    const Tensor e = b.input(1);
    if (!x.is_tensor()) {
      const double base = x.scalar().to_double();
      if (base == 0) {
        // 0^e is flat for e >= 0 and has no gradient below.
        return ops::where(ops::ge(e, Operand(0)), Operand(0.0),
                          ops::mul(b.grad(), ops::mul(b.output(), std::log(base))));
      }
      return ops::mul(b.grad(), ops::mul(b.output(), Operand(std::log(base))));
    }
    const Tensor flat = ops::logicalAnd(ops::eq(x.tensor(), Operand(0)), ops::ge(e, Operand(0)));
    const Tensor slope = ops::mul(b.grad(), ops::mul(b.output(), ops::log(x.tensor())));
    return ops::where(flat, Operand(0.0), slope);
  });
}

void atan2_backward(Backward& b) {
  const Operand y = b.operand(0);
  const Operand x = b.operand(1);
  // At the origin the angle has no direction in which to change.
  const auto squares = [&] {
    const Tensor sum = ops::add(ops::mul(y, y), ops::mul(x, x));
    return ops::where(ops::eq(sum, Operand(0)), Operand(1.0), sum);
  };
  b.set(0, [&] { return ops::mul(b.grad(), ops::div(x, squares())); });
  b.set(1, [&] { return ops::neg(ops::mul(b.grad(), ops::div(y, squares()))); });
}

void hypot_backward(Backward& b) {
  for (int i : {0, 1}) {
    b.set(i, [&] { return ops::mul(b.grad(), ops::div(b.operand(i), b.output())); });
  }
}

// The side that loses gets nothing; equal sides share; where one is NaN, both get it all.
template <bool kMax>
void extreme_backward(Backward& b) {
  const Tensor x = b.input(0);
  const Tensor y = b.input(1);
  const auto part = [&](const Tensor& loses) {
    const Tensor half = ops::mul(b.grad(), Operand(0.5));
    return ops::where(ops::eq(x, y), half, ops::where(loses, Operand(0.0), b.grad()));
  };
  b.set(0, [&] { return part(kMax ? ops::lt(x, y) : ops::gt(x, y)); });
  b.set(1, [&] { return part(kMax ? ops::gt(x, y) : ops::lt(x, y)); });
}

// As above, where a NaN never wins against a number.
template <bool kMax>
void number_extreme_backward(Backward& b) {
  const Tensor x = b.input(0);
  const Tensor y = b.input(1);
  const auto is_nan = [](const Tensor& t) { return ops::ne(t, t); };
  b.set(0, [&] {
    const Tensor wins = ops::logicalOr(kMax ? ops::ge(x, y) : ops::le(x, y), is_nan(y));
    return ops::where(wins, b.grad(), Operand(0.0));
  });
  b.set(1, [&] {
    const Tensor loses = ops::logicalOr(kMax ? ops::ge(x, y) : ops::le(x, y), is_nan(y));
    return ops::where(loses, Operand(0.0), b.grad());
  });
}

void copysign_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    const Tensor ratio = ops::div(b.output(), x);
    return ops::where(ops::eq(x, Operand(0)), Operand(0.0), ops::mul(b.grad(), ratio));
  });
  if (b.is_tensor(1)) b.set(1, [&] { return ops::zerosLike(b.grad()); });
}

// d/dx log(e^x + e^y) = sigmoid(x - y): the difference loses less in half precision than that to
// the output. In base 2, sigmoid(ln 2 (x - y)).
template <bool kBase2>
void logaddexp_backward(Backward& b) {
  for (int i : {0, 1}) {
    b.set(i, [&] {
      const Tensor distance = ops::sub(b.operand(i), b.operand(1 - i));
      const Tensor scaled = kBase2 ? ops::mul(distance, Operand(kLn2)) : distance;
      return ops::mul(b.grad(), ops::sigmoid(scaled));
    });
  }
}

void xlogy_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    const Tensor y =
        b.is_tensor(1) ? b.input(1) : ops::full(Dims{}, Scalar(b.operand(1).scalar().to_double()));
    const Tensor flat = ops::logicalAnd(ops::eq(x, Operand(0)), ops::le(y, Operand(0)));
    return ops::where(flat, Operand(0.0), ops::mul(b.grad(), ops::log(y)));
  });
  b.set(1, [&] { return ops::mul(b.grad(), ops::div(b.operand(0), b.operand(1))); });
}

// Moves with the input, except where it is already at the target.
void nextafter_backward(Backward& b) {
  b.set(0, [&] { return ops::where(ops::ne(b.input(0), b.operand(1)), b.grad(), Operand(0.0)); });
  if (b.is_tensor(1)) b.set(1, [&] { return ops::zerosLike(b.grad()); });
}

void clamp_backward(Backward& b) {
  const bool has_min = b.is_tensor(1) || b.opt_attr<Scalar>(1).has_value();
  const bool has_max = b.is_tensor(2) || b.opt_attr<Scalar>(2).has_value();
  const Operand zero(0.0);
  // The upper bound wins where the bounds cross.
  b.set(0, [&] {
    const Tensor x = b.input(0);
    Tensor g = b.grad();
    if (has_min) g = ops::where(ops::ge(x, b.operand(1)), g, zero);
    if (has_max) g = ops::where(ops::le(x, b.operand(2)), g, zero);
    return g;
  });
  if (b.is_tensor(1)) {
    b.set(1, [&] {
      Tensor taken = ops::lt(b.input(0), b.operand(1));
      if (has_max) taken = ops::logicalAnd(taken, ops::lt(b.input(1), b.operand(2)));
      return ops::where(taken, b.grad(), zero);
    });
  }
  if (b.is_tensor(2)) {
    b.set(2, [&] {
      Tensor taken = ops::gt(b.input(0), b.operand(2));
      if (has_min) taken = ops::logicalOr(taken, ops::lt(b.input(2), b.operand(1)));
      return ops::where(taken, b.grad(), zero);
    });
  }
}

void where_backward(Backward& b) {
  b.set(1, [&] { return ops::where(b.input(0), b.grad(), Operand(0.0)); });
  b.set(2, [&] { return ops::where(b.input(0), Operand(0.0), b.grad()); });
}

void lerp_backward(Backward& b) {
  b.set(0, [&] {
    const Operand w = b.operand(2);
    const Operand rest = w.is_tensor() ? Operand(ops::rsub(w.tensor(), Operand(1)))
                                       : Operand(1 - w.scalar().to_double());
    return ops::mul(b.grad(), rest);
  });
  b.set(1, [&] { return ops::mul(b.grad(), b.operand(2)); });
  if (b.is_tensor(2)) {
    b.set(2, [&] { return ops::mul(b.grad(), ops::sub(b.input(1), b.input(0))); });
  }
}

void addcmul_backward(Backward& b) {
  const Scalar value = b.attr<Scalar>(3);
  b.set(0, [&] { return b.grad(); });
  b.set(1, [&] { return ops::mul(b.grad(), scaled(b.input(2), value)); });
  b.set(2, [&] { return ops::mul(b.grad(), scaled(b.input(1), value)); });
}

void addcdiv_backward(Backward& b) {
  const Scalar value = b.attr<Scalar>(3);
  b.set(0, [&] { return b.grad(); });
  b.set(1, [&] { return ops::div(scaled(b.grad(), value), b.input(2)); });
  b.set(2, [&] {
    const Tensor d = b.input(2);
    const Tensor ratio = ops::div(scaled(b.input(1), value), ops::mul(d, d));
    return ops::neg(ops::mul(b.grad(), ratio));
  });
}

Tensor one_minus(const Tensor& x) { return ops::rsub(x, Operand(1)); }
Tensor square(const Tensor& x) { return ops::mul(x, x); }

void sinc_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    const Tensor angle = ops::mul(x, Operand(kPi));
    const Tensor slope = ops::div(ops::sub(ops::cos(angle), ops::div(ops::sin(angle), angle)), x);
    return ops::where(ops::eq(x, Operand(0)), Operand(0.0), ops::mul(b.grad(), slope));
  });
}

// NaN outside (0, 1) without eps, 0 outside [eps, 1 - eps] with it.
void logit_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    const std::optional<double> eps = b.opt_attr<double>(1);
    const Tensor slope = ops::div(b.grad(), ops::mul(x, one_minus(x)));
    const double low = eps.value_or(0.0);
    const Tensor inside = ops::logicalAnd(ops::ge(x, Operand(low)), ops::le(x, Operand(1 - low)));
    return ops::where(inside, slope, Operand(eps.has_value() ? 0.0 : std::nan("")));
  });
}

void nan_to_num_backward(Backward& b) {
  b.set(0, [&] { return ops::where(ops::isfinite(b.input(0)), b.grad(), Operand(0.0)); });
}

// Gradient times a function of the input.
template <class F>
BackwardFn of_input(F) {
  return [](Backward& b) { b.set(0, [&] { return ops::mul(b.grad(), F()(b.input(0))); }); };
}
// Gradient times a function of the output.
template <class F>
BackwardFn of_output(F) {
  return [](Backward& b) { b.set(0, [&] { return ops::mul(b.grad(), F()(b.output())); }); };
}

using T = const Tensor&;

void append_binary(std::vector<Derivative>* list) {
  const std::vector<Save> both{in(0).when(1), in(1).when(0)};
  const std::vector<Save> all{in(0), in(1)};
  list->insert(list->end(),
               {{OpId::add, {}, add_backward},
                {OpId::sub, {}, sub_backward},
                {OpId::mul, both, mul_backward},
                {OpId::div, {in(0).when(1), in(1)}, div_backward},
                {OpId::truncDivide, {}, quotient_backward},
                {OpId::floorDivide, {}, quotient_backward},
                {OpId::remainder,
                 {in(0).when(1), in(1).when(1)},
                 [](Backward& b) { modulo_backward(b, "floor"); }},
                {OpId::fmod,
                 {in(0).when(1), in(1).when(1)},
                 [](Backward& b) { modulo_backward(b, "trunc"); }},
                {OpId::pow, {in(0), in(1), out(0).when(1)}, pow_backward},
                {OpId::atan2, all, atan2_backward},
                {OpId::hypot, {in(0), in(1), out(0)}, hypot_backward},
                {OpId::maximum, all, extreme_backward<true>},
                {OpId::minimum, all, extreme_backward<false>},
                {OpId::fmax, all, number_extreme_backward<true>},
                {OpId::fmin, all, number_extreme_backward<false>},
                {OpId::copysign, {in(0).when(0), out(0).when(0)}, copysign_backward},
                {OpId::logaddexp, all, logaddexp_backward<false>},
                {OpId::logaddexp2, all, logaddexp_backward<true>},
                {OpId::xlogy, {in(0), in(1)}, xlogy_backward},
                {OpId::nextafter, all, nextafter_backward},
                {OpId::clamp, {in(0), in(1), in(2)}, clamp_backward},
                {OpId::where, {in(0)}, where_backward},
                {OpId::lerp, {in(0).when(2), in(1).when(2), in(2).when(0, 1)}, lerp_backward},
                {OpId::addcmul, {in(1).when(2), in(2).when(1)}, addcmul_backward},
                {OpId::addcdiv, {in(1).when(2), in(2).when(1, 2)}, addcdiv_backward}});
}

void append_exponential(std::vector<Derivative>* list) {
  list->insert(
      list->end(),
      {{OpId::exp, {out()}, of_output([](T y) { return y; })},
       {OpId::exp2, {out()}, of_output([](T y) { return ops::mul(y, Operand(kLn2)); })},
       {OpId::expm1, {out()}, of_output([](T y) { return ops::add(y, Operand(1)); })},
       {OpId::log,
        {in(0)},
        [](Backward& b) { b.set(0, [&] { return ops::div(b.grad(), b.input(0)); }); }},
       {OpId::log2,
        {in(0)},
        [](Backward& b) {
          b.set(0, [&] { return ops::div(b.grad(), ops::mul(b.input(0), Operand(kLn2))); });
        }},
       {OpId::log10,
        {in(0)},
        [](Backward& b) {
          b.set(0, [&] { return ops::div(b.grad(), ops::mul(b.input(0), Operand(kLn10))); });
        }},
       {OpId::log1p,
        {in(0)},
        [](Backward& b) {
          b.set(0, [&] { return ops::div(b.grad(), ops::add(b.input(0), Operand(1))); });
        }},
       {OpId::sqrt,
        {out()},
        [](Backward& b) {
          b.set(0, [&] { return ops::div(b.grad(), ops::mul(b.output(), Operand(2))); });
        }},
       {OpId::rsqrt, {out()}, of_output([](T y) {
          return ops::mul(ops::mul(square(y), y), Operand(-0.5));
        })},
       {OpId::reciprocal, {out()}, of_output([](T y) { return ops::neg(square(y)); })},
       {OpId::square, {in(0)}, of_input([](T x) { return ops::mul(x, Operand(2)); })},
       {OpId::sigmoid,
        {out()},
        [](Backward& b) { b.set(0, [&] { return ops::sigmoidBackward(b.grad(), b.output()); }); }},
       {OpId::tanh,
        {out()},
        [](Backward& b) { b.set(0, [&] { return ops::tanhBackward(b.grad(), b.output()); }); }},
       {OpId::logit, {in(0)}, logit_backward},
       {OpId::erf, {in(0)}, of_input([](T x) {
          return ops::mul(ops::exp(ops::neg(square(x))), Operand(kTwoOverRootPi));
        })},
       {OpId::erfc, {in(0)}, of_input([](T x) {
          return ops::mul(ops::exp(ops::neg(square(x))), Operand(-kTwoOverRootPi));
        })},
       {OpId::erfinv, {out()}, of_output([](T y) {
          return ops::mul(ops::exp(square(y)), Operand(1 / kTwoOverRootPi));
        })},
       {OpId::lgamma, {in(0)}, of_input([](T x) { return ops::digamma(x); })}});
}

void append_trigonometry(std::vector<Derivative>* list) {
  list->insert(
      list->end(),
      {{OpId::sin, {in(0)}, of_input([](T x) { return ops::cos(x); })},
       {OpId::cos, {in(0)}, of_input([](T x) { return ops::neg(ops::sin(x)); })},
       {OpId::tan, {out()}, of_output([](T y) { return ops::add(square(y), Operand(1)); })},
       {OpId::asin, {in(0)}, of_input([](T x) { return ops::rsqrt(one_minus(square(x))); })},
       {OpId::acos, {in(0)}, of_input([](T x) {
          return ops::neg(ops::rsqrt(one_minus(square(x))));
        })},
       {OpId::atan, {in(0)}, of_input([](T x) {
          return ops::reciprocal(ops::add(square(x), Operand(1)));
        })},
       {OpId::sinh, {in(0)}, of_input([](T x) { return ops::cosh(x); })},
       {OpId::cosh, {in(0)}, of_input([](T x) { return ops::sinh(x); })},
       {OpId::asinh, {in(0)}, of_input([](T x) {
          return ops::rsqrt(ops::add(square(x), Operand(1)));
        })},
       {OpId::acosh, {in(0)}, of_input([](T x) {
          return ops::rsqrt(ops::mul(ops::sub(x, Operand(1)), ops::add(x, Operand(1))));
        })},
       {OpId::atanh, {in(0)}, of_input([](T x) { return ops::reciprocal(one_minus(square(x))); })},
       {OpId::sinc, {in(0)}, sinc_backward},
       {OpId::deg2rad,
        {},
        [](Backward& b) { b.set(0, [&] { return ops::mul(b.grad(), Operand(kPi / 180)); }); }},
       {OpId::rad2deg, {}, [](Backward& b) {
          b.set(0, [&] { return ops::mul(b.grad(), Operand(180 / kPi)); });
        }}});
}

void append_signs(std::vector<Derivative>* list) {
  list->insert(list->end(),
               {{OpId::neg, {}, [](Backward& b) { b.set(0, [&] { return ops::neg(b.grad()); }); }},
                {OpId::positive, {}, [](Backward& b) { b.set(0, [&] { return b.grad(); }); }},
                {OpId::abs, {in(0)}, of_input([](T x) { return ops::sign(x); })},
                {OpId::frac, {}, [](Backward& b) { b.set(0, [&] { return b.grad(); }); }},
                {OpId::nanToNum, {in(0)}, nan_to_num_backward}});
  for (OpId op : {OpId::sign, OpId::floor, OpId::ceil, OpId::trunc, OpId::round}) {
    list->push_back({op, {}, no_gradient});
  }
}

}  // namespace

std::vector<Derivative> elementwise() {
  std::vector<Derivative> list;
  append_binary(&list);
  append_exponential(&list);
  append_trigonometry(&list);
  append_signs(&list);
  return list;
}

}  // namespace ampgrad::derivatives
