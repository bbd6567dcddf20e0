// Accuracy of the elementary and special functions in units of the last place, against long double
// references: what users get (the vector path, through ops) and the scalar functors. All 65,536
// values of float16 and bfloat16; floats and doubles over the full range of bit patterns, denser
// where functions vary, with subnormals, infinities and NaN. The bounds are those of the comments
// in native/math.
#include <doctest/doctest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/register.h"
#include "math/activation-inl.h"
#include "math/arithmetic-inl.h"
#include "math/special-inl.h"
#include "math/transcendental-inl.h"
#include "ops/ops.h"

using namespace ampgrad;

namespace {

using Wide = long double;

template <class T>
Wide widen(T v) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<Wide>(to_float(v));
  } else {
    return static_cast<Wide>(v);
  }
}

struct Format {
  int digits;
  int min_exponent;  // of the smallest normal number, as in frexp
  Wide largest;
};
template <class T>
constexpr Format format_of() {
  if constexpr (std::is_same_v<T, Half>) return {11, -13, 65504.0L};
  if constexpr (std::is_same_v<T, BFloat16>) return {8, -125, 3.38953138925153547590e38L};
  if constexpr (std::is_same_v<T, float>) return {24, -125, static_cast<Wide>(FLT_MAX)};
  return {53, -1021, static_cast<Wide>(DBL_MAX)};
}

// Distance in units of the last place of the exact result; infinite for a wrong NaN or infinity.
template <class T>
double ulps(T got, Wide exact) {
  constexpr double kWrong = std::numeric_limits<double>::infinity();
  constexpr Format f = format_of<T>();
  const Wide value = widen(got);
  if (std::isnan(exact) || std::isnan(value)) {
    return std::isnan(exact) == std::isnan(value) ? 0 : kWrong;
  }
  int exponent = 0;
  std::frexp(exact, &exponent);
  const Wide unit = std::ldexp(1.0L, std::max(exponent, f.min_exponent) - f.digits);
  // Beyond the largest number infinity is right, and the largest number is near.
  const Wide beyond = f.largest + std::ldexp(f.largest, -f.digits);
  if (std::isinf(value)) {
    if (std::isinf(exact)) return (exact > 0) == (value > 0) ? 0 : kWrong;
    if ((exact > 0) != (value > 0)) return kWrong;
    return static_cast<double>((beyond - std::min(std::fabs(exact), beyond)) / unit);
  }
  if (std::isinf(exact)) return kWrong;
  return static_cast<double>(std::fabs(value - exact) / unit);
}

template <class T>
std::vector<T> all_halves() {
  std::vector<T> out;
  for (uint32_t bits = 0; bits < 65536; ++bits) out.push_back(T{static_cast<uint16_t>(bits)});
  return out;
}

// Every exponent equally often, then denser around the range where functions vary.
template <class T>
std::vector<T> samples() {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  std::mt19937_64 random(7);
  std::vector<T> out{T{0},
                     -T{0},
                     T{1},
                     T{-1},
                     T{0.5},
                     std::numeric_limits<T>::infinity(),
                     -std::numeric_limits<T>::infinity(),
                     std::numeric_limits<T>::quiet_NaN(),
                     std::numeric_limits<T>::denorm_min(),
                     std::numeric_limits<T>::min(),
                     std::numeric_limits<T>::max(),
                     std::numeric_limits<T>::lowest()};
  for (int i = 0; i < 20000; ++i) {
    const Bits bits = static_cast<Bits>(random());
    T v;
    std::memcpy(&v, &bits, sizeof(v));
    out.push_back(v);
  }
  for (double width : {1.0, 12.0, 110.0, 800.0}) {
    std::uniform_real_distribution<double> uniform(-width, width);
    for (int i = 0; i < 20000; ++i) out.push_back(static_cast<T>(uniform(random)));
  }
  return out;
}

using Op = Tensor (*)(const Tensor&);
using Reference = Wide (*)(Wide);

template <class T>
std::vector<T> run_op(Op op, const std::vector<T>& x) {
  Tensor in = Tensor::empty(Dims{static_cast<int64_t>(x.size())}, dtype_of<T>);
  std::memcpy(in.data(), x.data(), x.size() * sizeof(T));
  const Tensor out = op(in);
  std::vector<T> y(x.size());
  std::memcpy(y.data(), out.data(), y.size() * sizeof(T));
  return y;
}

template <class T>
double worst(const std::vector<T>& x, const std::vector<T>& y, Reference reference, Wide low,
             Wide high, double* where) {
  double most = 0;
  Wide at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const Wide v = widen(x[i]);
    if (!std::isnan(v) && (v < low || v > high)) continue;
    const double error = ulps(y[i], reference(v));
    if (error > most) {
      most = error;
      at = v;
    }
  }
  *where = static_cast<double>(at);
  return most;
}

struct Case {
  const char* name;
  Op op;
  float (*scalar_float)(float);
  double (*scalar_double)(double);
  Reference reference;
  double float_bound;
  double double_bound;
  Wide low = -std::numeric_limits<Wide>::infinity();
  Wide high = std::numeric_limits<Wide>::infinity();
};

#define AG_OP(op) [](const Tensor& t) { return ops::op(t); }
#define AG_FUNCTOR(F) \
  [](float v) { return math::F::apply(v); }, [](double v) { return math::F::apply(v); }
#define AG_REFERENCE(expression) [](Wide x) -> Wide { return expression; }

Wide sigmoid_reference(Wide x) { return 1 / (1 + std::exp(-x)); }
Wide softplus_reference(Wide x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

// From the double result by Newton's method on erf, on erfc where that keeps the digits.
Wide erfinv_reference(Wide y) {
  if (std::fabs(y) > 1) return std::numeric_limits<Wide>::quiet_NaN();
  Wide x = math::scalar::erfinv(static_cast<double>(y));
  if (std::isinf(x) || x == 0 || std::isnan(x)) return x == 0 ? y : x;
  const Wide sign = y < 0 ? -1 : 1;
  for (int i = 0; i < 3; ++i) {
    const Wide error = std::fabs(y) < 0.5L ? std::erf(x) - y
                                           : sign * ((1 - std::fabs(y)) - std::erfc(std::fabs(x)));
    x -= error / (1.12837916709551257389615890312154517L * std::exp(-x * x));
  }
  return x;
}

// Recurrence up to 40, then the asymptotic series.
Wide digamma_reference(Wide x) {
  Wide sum = 0;
  for (; x < 40; x += 1) sum -= 1 / x;
  const Wide y = 1 / (x * x);
  return sum + std::log(x) - 0.5L / x - y * (1.0L / 12 - y * (1.0L / 120 - y / 252));
}

const Case kCases[] = {
    {"exp", AG_OP(exp), AG_FUNCTOR(Exp), AG_REFERENCE(std::exp(x)), 1, 1},
    {"exp2", AG_OP(exp2), AG_FUNCTOR(Exp2), AG_REFERENCE(std::exp2(x)), 1.5, 1.5},
    {"expm1", AG_OP(expm1), AG_FUNCTOR(Expm1), AG_REFERENCE(std::expm1(x)), 2, 2},
    {"log", AG_OP(log), AG_FUNCTOR(Log), AG_REFERENCE(std::log(x)), 1, 1},
    {"log2", AG_OP(log2), AG_FUNCTOR(Log2), AG_REFERENCE(std::log2(x)), 2, 2},
    {"log10", AG_OP(log10), AG_FUNCTOR(Log10), AG_REFERENCE(std::log10(x)), 2, 2},
    {"log1p", AG_OP(log1p), AG_FUNCTOR(Log1p), AG_REFERENCE(std::log1p(x)), 2, 2},
    {"sin", AG_OP(sin), AG_FUNCTOR(Sin), AG_REFERENCE(std::sin(x)), 1, 1},
    {"cos", AG_OP(cos), AG_FUNCTOR(Cos), AG_REFERENCE(std::cos(x)), 1, 1},
    {"tan", AG_OP(tan), AG_FUNCTOR(Tan), AG_REFERENCE(std::tan(x)), 1, 1},
    {"asin", AG_OP(asin), AG_FUNCTOR(Asin), AG_REFERENCE(std::asin(x)), 1, 1},
    {"acos", AG_OP(acos), AG_FUNCTOR(Acos), AG_REFERENCE(std::acos(x)), 1, 1},
    {"atan", AG_OP(atan), AG_FUNCTOR(Atan), AG_REFERENCE(std::atan(x)), 1, 1},
    {"sinh", AG_OP(sinh), AG_FUNCTOR(Sinh), AG_REFERENCE(std::sinh(x)), 2, 2},
    {"cosh", AG_OP(cosh), AG_FUNCTOR(Cosh), AG_REFERENCE(std::cosh(x)), 2, 2},
    {"tanh", AG_OP(tanh), AG_FUNCTOR(Tanh), AG_REFERENCE(std::tanh(x)), 1.1, 2.5},
    {"asinh", AG_OP(asinh), AG_FUNCTOR(Asinh), AG_REFERENCE(std::asinh(x)), 2, 2},
    {"acosh", AG_OP(acosh), AG_FUNCTOR(Acosh), AG_REFERENCE(std::acosh(x)), 2, 2},
    {"atanh", AG_OP(atanh), AG_FUNCTOR(Atanh), AG_REFERENCE(std::atanh(x)), 2, 2},
    {"erf", AG_OP(erf), AG_FUNCTOR(Erf), AG_REFERENCE(std::erf(x)), 1.5, 1},
    {"erfc", AG_OP(erfc), AG_FUNCTOR(Erfc), AG_REFERENCE(std::erfc(x)), 3, 4},
    {"sigmoid", AG_OP(sigmoid), AG_FUNCTOR(Sigmoid), sigmoid_reference, 2.5, 2.5},
    {"erfinv", AG_OP(erfinv), AG_FUNCTOR(Erfinv), erfinv_reference, 1, 45},
    {"lgamma", AG_OP(lgamma), AG_FUNCTOR(Lgamma), AG_REFERENCE(std::lgamma(x)), 1, 4, 0,
     std::numeric_limits<Wide>::infinity()},
    {"digamma", AG_OP(digamma), AG_FUNCTOR(Digamma), digamma_reference, 1, 32, 2, 1e6L},
    {"sqrt", AG_OP(sqrt), AG_FUNCTOR(Sqrt), AG_REFERENCE(std::sqrt(x)), 0.51, 0.51},
    {"rsqrt", AG_OP(rsqrt), AG_FUNCTOR(Rsqrt), AG_REFERENCE(1 / std::sqrt(x)), 1.5, 1.5},
    {"reciprocal", AG_OP(reciprocal), AG_FUNCTOR(Reciprocal), AG_REFERENCE(1 / x), 0.51, 0.51},
    {"silu", AG_OP(silu), AG_FUNCTOR(Silu), AG_REFERENCE(x / (1 + std::exp(-x))), 2.5, 2.5, -87,
     1e30L},
    {"mish", AG_OP(mish), AG_FUNCTOR(Mish), AG_REFERENCE(x* std::tanh(softplus_reference(x))), 4, 4,
     -85, 1e30L},
    {"logSigmoid", AG_OP(logSigmoid), AG_FUNCTOR(LogSigmoid), AG_REFERENCE(-softplus_reference(-x)),
     2, 2},
    {"erfcx", AG_OP(erfcx), AG_FUNCTOR(Erfcx), AG_REFERENCE(std::exp(x* x) * std::erfc(x)), 1, 8,
     -5, 20},
    {"ndtr", AG_OP(ndtr), AG_FUNCTOR(Ndtr), AG_REFERENCE(std::erfc(-x / std::sqrt(2.0L)) / 2), 1,
     2000, -12, 1e30L},
};

template <class T>
void check_narrow(const Case& c) {
  const std::vector<T> x = all_halves<T>();
  double where = 0;
  const double error = worst(x, run_op(c.op, x), c.reference, c.low, c.high, &where);
  INFO(std::string(c.name));
  INFO(std::string(dtype_name(dtype_of<T>)));
  CAPTURE(where);
  CHECK(error <= 0.51);
}

template <class T>
void check_full(const Case& c, T (*scalar)(T), double bound) {
  const std::vector<T> x = samples<T>();
  std::vector<T> one_by_one;
  for (T v : x) one_by_one.push_back(scalar(v));
  INFO(std::string(c.name));
  INFO(std::string(dtype_name(dtype_of<T>)));
  double where = 0;
  const double vector_error = worst(x, run_op(c.op, x), c.reference, c.low, c.high, &where);
  const double scalar_error = worst(x, one_by_one, c.reference, c.low, c.high, &where);
  CAPTURE(where);
  CHECK(vector_error <= bound);
  CHECK(scalar_error <= bound);
}

}  // namespace

namespace {

using Binary = Wide (*)(Wide, Wide);

// Pairs over the full range and pairs of moderate numbers.
template <class T, class Op2>
double worst_of_pairs(Op2 op, Binary reference) {
  const std::vector<T> x = samples<T>();
  std::vector<T> y(x.rbegin(), x.rend());
  const auto tensor_of = [](const std::vector<T>& v) {
    Tensor t = Tensor::empty(Dims{static_cast<int64_t>(v.size())}, dtype_of<T>);
    std::memcpy(t.data(), v.data(), v.size() * sizeof(T));
    return t;
  };
  std::mt19937_64 random(11);
  std::shuffle(y.begin() + 20012, y.end(), random);
  const Tensor out = op(tensor_of(x), tensor_of(y));
  const T* results = out.template data_as<T>();
  double most = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    most = std::max(most, ulps(results[i], reference(widen(x[i]), widen(y[i]))));
  }
  return most;
}

}  // namespace

TEST_CASE("functions of two numbers are as exact as their comments say") {
  register_cpu_backend();
  const auto check = [](const char* name, auto op, Binary reference, double bound) {
    INFO(std::string(name));
    CHECK(worst_of_pairs<float>(op, reference) <= bound);
    CHECK(worst_of_pairs<double>(op, reference) <= bound);
  };
  check(
      "pow", ops::pow, [](Wide a, Wide b) -> Wide { return std::pow(a, b); }, 1);
  check(
      "atan2", ops::atan2, [](Wide a, Wide b) -> Wide { return std::atan2(a, b); }, 1.5);
  check(
      "hypot", ops::hypot, [](Wide a, Wide b) -> Wide { return std::hypot(a, b); }, 1);
  check(
      "fmod", ops::fmod, [](Wide a, Wide b) -> Wide { return std::fmod(a, b); }, 0);
}

TEST_CASE("functions are as exact as their comments say") {
  register_cpu_backend();
  for (const Case& c : kCases) {
    check_narrow<Half>(c);
    check_narrow<BFloat16>(c);
    check_full<float>(c, c.scalar_float, c.float_bound);
    // An 80-bit reference has eleven digits more than a double.
    if constexpr (LDBL_MANT_DIG >= 64) check_full<double>(c, c.scalar_double, c.double_bound);
  }
}

TEST_CASE("tanh is odd, keeps zeros and tiny numbers, and never passes 1") {
  register_cpu_backend();
  const auto check = []<class T>(T (*scalar)(T)) {
    const T inf = std::numeric_limits<T>::infinity();
    std::vector<T> same{T{0}, std::numeric_limits<T>::denorm_min(), std::numeric_limits<T>::min()};
    std::vector<T> one{T{20}, std::numeric_limits<T>::max(), inf};
    std::vector<T> x = samples<T>();
    // Around where tanh becomes 1.
    for (T v = T{8.9}; v < T{9.1}; v = std::nextafter(v, inf) + T{1e-6}) x.push_back(v);
    x.insert(x.end(), same.begin(), same.end());
    x.insert(x.end(), one.begin(), one.end());
    std::vector<T> negative(x);
    for (T& v : negative) v = -v;
    const Op op = [](const Tensor& t) { return ops::tanh(t); };
    const std::vector<T> y = run_op<T>(op, x);
    const std::vector<T> mirrored = run_op<T>(op, negative);
    for (size_t i = 0; i < x.size(); ++i) {
      CAPTURE(x[i]);
      if (std::isnan(x[i])) continue;
      const bool odd = std::signbit(y[i]) == std::signbit(x[i]) && mirrored[i] == -y[i] &&
                       std::signbit(mirrored[i]) != std::signbit(y[i]);
      const bool bounded = std::fabs(y[i]) <= 1 && std::fabs(scalar(x[i])) <= 1;
      CHECK(odd);
      CHECK(std::signbit(scalar(x[i])) == std::signbit(x[i]));
      CHECK(bounded);
    }
    const std::vector<T> small = run_op<T>(op, same);
    const std::vector<T> large = run_op<T>(op, one);
    for (size_t i = 0; i < same.size(); ++i) {
      CHECK(small[i] == same[i]);
      CHECK(scalar(same[i]) == same[i]);
      CHECK(large[i] == 1);
      CHECK(scalar(one[i]) == 1);
    }
  };
  check(static_cast<float (*)(float)>([](float v) { return math::Tanh::apply(v); }));
  check(static_cast<double (*)(double)>([](double v) { return math::Tanh::apply(v); }));
}

TEST_CASE("gelu is off by less than 1.9e-7 of max(1, |x|), 2.2e-7 without fused steps") {
  register_cpu_backend();
#if HWY_ARCH_X86
  const bool fused = (hwy::SupportedTargets() & (2 * HWY_AVX2 - 1)) != 0;
#else
  const bool fused = true;
#endif
  const double bound = fused ? 1.9e-7 : 2.2e-7;
  const std::vector<float> x = samples<float>();
  const std::vector<float> y =
      run_op<float>([](const Tensor& t) { return ops::gelu(t, "none"); }, x);
  const auto error = [](float v, float got) {
    const Wide exact = v * std::erfc(-v / std::sqrt(2.0L)) / 2;
    return static_cast<double>(std::fabs(got - exact) / std::max(1.0L, std::fabs(Wide{v})));
  };
  for (size_t i = 0; i < x.size(); ++i) {
    CAPTURE(x[i]);
    if (std::isinf(x[i]) || std::isnan(x[i])) {
      CHECK((x[i] > 0 ? y[i] == x[i] : std::isnan(y[i])));
      CHECK((x[i] > 0 ? math::Gelu::apply(x[i]) == x[i] : std::isnan(math::Gelu::apply(x[i]))));
      continue;
    }
    CHECK(error(x[i], y[i]) <= bound);
    CHECK(error(x[i], math::Gelu::apply(x[i])) <= 1.9e-7);
  }
}
