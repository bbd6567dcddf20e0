// Matrix products against a plain reference in double (int64 for integers), on every compiled
// Highway target: layouts, strides, sizes around the register tiles, batches, epilogues, NaN,
// empty sizes and independence of the number of threads.
#include "backend/cpu/gemm.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "backend/cpu/parallel.h"
#include "core/half.h"
// The same targets as the kernels.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include "hwy/targets.h"

using namespace ampgrad;

namespace {

struct ThreadsScope {
  explicit ThreadsScope(int n) : previous(cpu::num_threads()) { cpu::set_num_threads(n); }
  ~ThreadsScope() { cpu::set_num_threads(previous); }
  int previous;
};

template <class F>
void for_each_target(F body) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    CAPTURE(hwy::TargetName(target));
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

template <class T>
double to_double(T x) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return to_float(x);
  } else {
    return static_cast<double>(x);
  }
}

template <class T>
T from_double(double x) {
  if constexpr (std::is_same_v<T, Half>) {
    return to_half(x);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(x);
  } else if constexpr (std::is_same_v<T, bool>) {
    return x > 0;
  } else {
    return static_cast<T>(x);
  }
}

// Half a unit in the last place of the result type, and the rounding of the sums.
template <class T>
double rounding() {
  if constexpr (std::is_same_v<T, Half>) return 1.0 / 2048;
  if constexpr (std::is_same_v<T, BFloat16>) return 1.0 / 256;
  if constexpr (std::is_same_v<T, float>) return 6e-8;
  if constexpr (std::is_same_v<T, double>) return 1.2e-16;
  return 0;
}
template <class T>
double sum_rounding() {
  return std::is_same_v<T, double> ? 2.3e-16 : 1.2e-7;
}

struct Layout {
  int64_t row, col, extent;
};

enum class Order { RowMajor, ColumnMajor, Padded, ColumnPadded, Strided, ZeroRow, ZeroCol };
const Order kOrders[] = {Order::RowMajor, Order::ColumnMajor, Order::Padded, Order::ColumnPadded,
                         Order::Strided,  Order::ZeroRow,     Order::ZeroCol};

Layout layout_of(Order order, int64_t rows, int64_t cols) {
  switch (order) {
    case Order::RowMajor:
      return {cols, 1, rows * cols};
    case Order::ColumnMajor:
      return {1, rows, rows * cols};
    case Order::Padded:
      return {cols + 3, 1, rows * (cols + 3)};
    case Order::ColumnPadded:
      return {1, rows + 5, (rows + 5) * cols};
    case Order::Strided:
      return {2 * cols * 3, 3, rows * cols * 6};
    case Order::ZeroRow:
      return {0, 1, cols};
    case Order::ZeroCol:
      return {1, 0, rows};
  }
  return {};
}

struct Problem {
  int64_t m, n, k;
  Order a = Order::RowMajor, b = Order::RowMajor;
  double alpha = 1, beta = 0;
  bool bias = false;
  int64_t batch = 1;
  bool share_a = false, share_b = false;  // batch stride 0
  int64_t c_padding = 0;
};

// Exactly sized buffers: a sanitizer sees any access outside an operand.
template <class T>
struct Buffers {
  std::vector<T> a, b, c, bias, c_before;
  std::vector<int64_t> a_offsets, b_offsets, c_offsets;
  GemmParams params;
  Layout la, lb;
};

template <>
struct Buffers<bool>;  // std::vector<bool> has no data

template <class T>
void fill(std::vector<T>& v, std::mt19937& rng) {
  std::uniform_int_distribution<int> integers(-9, 9);
  std::uniform_real_distribution<double> reals(-1, 1);
  for (T& x : v) x = from_double<T>(std::is_integral_v<T> ? integers(rng) : reals(rng));
}

template <class T>
Buffers<T> make_buffers(const Problem& q) {
  Buffers<T> s;
  std::mt19937 rng(static_cast<unsigned>(q.m * 1000003 + q.n * 1009 + q.k));
  s.la = layout_of(q.a, q.m, q.k);
  s.lb = layout_of(q.b, q.k, q.n);
  const int64_t c_row = q.n + q.c_padding;
  s.a.resize(static_cast<size_t>(s.la.extent * (q.share_a ? 1 : q.batch)));
  s.b.resize(static_cast<size_t>(s.lb.extent * (q.share_b ? 1 : q.batch)));
  s.c.resize(static_cast<size_t>(q.m * c_row * q.batch));
  s.bias.resize(static_cast<size_t>(q.n));
  fill(s.a, rng);
  fill(s.b, rng);
  fill(s.c, rng);
  fill(s.bias, rng);
  s.c_before = s.c;
  for (int64_t i = 0; i < q.batch; ++i) {
    s.a_offsets.push_back(q.share_a ? 0 : i * s.la.extent);
    s.b_offsets.push_back(q.share_b ? 0 : i * s.lb.extent);
    s.c_offsets.push_back(i * q.m * c_row);
  }
  GemmParams& p = s.params;
  p.dtype = dtype_of<T>;
  p.m = q.m;
  p.n = q.n;
  p.k = q.k;
  p.a_row = s.la.row;
  p.a_col = s.la.col;
  p.b_row = s.lb.row;
  p.b_col = s.lb.col;
  p.c_row = c_row;
  p.batch = q.batch;
  p.alpha = q.alpha;
  p.beta = q.beta;
  return s;
}

template <class T>
void bind(Buffers<T>& s, const Problem& q) {
  GemmParams& p = s.params;
  p.a = s.a.data();
  p.b = s.b.data();
  p.c = s.c.data();
  p.bias = q.bias ? s.bias.data() : nullptr;
  if (q.batch > 1) {
    p.a_offsets = s.a_offsets.data();
    p.b_offsets = s.b_offsets.data();
    p.c_offsets = s.c_offsets.data();
  }
}

template <class T>
bool matches(const Buffers<T>& s, const Problem& q, int64_t batch, int64_t i, int64_t j) {
  double sum = 0;
  double magnitude = 0;
  const int64_t a0 = s.a_offsets[static_cast<size_t>(batch)] + i * s.la.row;
  const int64_t b0 = s.b_offsets[static_cast<size_t>(batch)] + j * s.lb.col;
  for (int64_t p = 0; p < q.k; ++p) {
    const double x = to_double(s.a[static_cast<size_t>(a0 + p * s.la.col)]) *
                     to_double(s.b[static_cast<size_t>(b0 + p * s.lb.row)]);
    sum += x;
    magnitude += std::abs(x);
  }
  const auto at = static_cast<size_t>(batch * q.m * s.params.c_row + i * s.params.c_row + j);
  double expected = q.alpha * sum;
  magnitude *= std::abs(q.alpha);
  if (q.beta != 0) {
    expected += q.beta * to_double(s.c_before[at]);
    magnitude += std::abs(q.beta * to_double(s.c_before[at]));
  }
  if (q.bias) expected += to_double(s.bias[static_cast<size_t>(j)]);
  const double actual = to_double(s.c[at]);
  if constexpr (std::is_integral_v<T>) {
    return s.c[at] == static_cast<T>(static_cast<int64_t>(expected));
  }
  const double chain = 4 + std::sqrt(static_cast<double>(q.k));
  return std::abs(actual - expected) <=
         rounding<T>() * std::abs(expected) + chain * sum_rounding<T>() * (magnitude + 1);
}

template <class T>
void check_problem(const Problem& q) {
  Buffers<T> s = make_buffers<T>(q);
  bind(s, q);
  cpu::gemm(s.params);
  int64_t wrong = 0;
  for (int64_t batch = 0; batch < q.batch; ++batch) {
    for (int64_t i = 0; i < q.m; ++i) {
      for (int64_t j = 0; j < q.n; ++j) wrong += !matches(s, q, batch, i, j);
      // What lies between the rows of C belongs to others.
      for (int64_t j = q.n; j < s.params.c_row; ++j) {
        const auto at = static_cast<size_t>((batch * q.m + i) * s.params.c_row + j);
        wrong += std::memcmp(&s.c[at], &s.c_before[at], sizeof(T)) != 0;
      }
    }
  }
  CAPTURE(q.m);
  CAPTURE(q.n);
  CAPTURE(q.k);
  CAPTURE(static_cast<int>(q.a));
  CAPTURE(static_cast<int>(q.b));
  CAPTURE(q.beta);
  CHECK(wrong == 0);
}

}  // namespace

#define ALL_DTYPES uint8_t, int8_t, int16_t, int32_t, int64_t, Half, BFloat16, float, double
#define FLOAT_DTYPES Half, BFloat16, float, double

TEST_CASE_TEMPLATE("gemm: every layout of both operands", T, ALL_DTYPES) {
  for_each_target([] {
    for (Order a : kOrders) {
      for (Order b : kOrders) {
        check_problem<T>({13, 37, 29, a, b});
        check_problem<T>({33, 9, 6, a, b, 1, 0, true, 1, false, false, 2});
        check_problem<T>({1, 35, 18, a, b});
        check_problem<T>({70, 1, 19, a, b, 0.5 * 2, 1});
      }
    }
  });
}

TEST_CASE_TEMPLATE("gemm: sizes 1 to 40", T, FLOAT_DTYPES) {
  for_each_target([] {
    for (int64_t m = 1; m <= 40; ++m) {
      for (int64_t n = 1; n <= 40; ++n) {
        const int64_t k = 1 + (m * 7 + n * 3) % 40;
        const Order a = m % 2 == 0 ? Order::RowMajor : Order::ColumnMajor;
        const Order b = n % 3 == 0 ? Order::ColumnMajor : Order::RowMajor;
        check_problem<T>({m, n, k, a, b});
      }
    }
  });
}

TEST_CASE_TEMPLATE("gemm: large, several blocks of every dimension", T, FLOAT_DTYPES) {
  for_each_target([] {
    check_problem<T>({301, 113, 777});
    check_problem<T>({64, 1100, 300, Order::RowMajor, Order::ColumnMajor, 1, 0, true});
    check_problem<T>({850, 40, 530, Order::ColumnMajor, Order::RowMajor, 2, 0.5, true});
    check_problem<T>({1, 2500, 333, Order::RowMajor, Order::RowMajor, 1, 0, true});
    check_problem<T>({1, 517, 1999, Order::RowMajor, Order::RowMajor, 2, 0.5, true});
    check_problem<T>({1300, 1, 290, Order::ColumnMajor, Order::RowMajor, 1, 1, true});
    check_problem<T>({1, 300, 3001, Order::RowMajor, Order::ColumnMajor, 1, 1, true});
  });
}

TEST_CASE_TEMPLATE("gemm: alpha, beta and bias", T, ALL_DTYPES) {
  for_each_target([] {
    for (double alpha : {1.0, 2.0, -3.0}) {
      for (double beta : {0.0, 1.0, 2.0}) {
        for (bool bias : {false, true}) {
          for (int64_t k : {5, 300}) {
            check_problem<T>({15, 33, k, Order::RowMajor, Order::RowMajor, alpha, beta, bias});
            check_problem<T>({16, 1, k, Order::RowMajor, Order::RowMajor, alpha, beta, bias});
            check_problem<T>({1, 17, k, Order::RowMajor, Order::RowMajor, alpha, beta, bias});
          }
        }
      }
    }
  });
}

TEST_CASE_TEMPLATE("gemm: batches, with operands shared by all", T, ALL_DTYPES) {
  for_each_target([] {
    for (bool share_a : {false, true}) {
      for (bool share_b : {false, true}) {
        check_problem<T>(
            {9, 17, 11, Order::RowMajor, Order::ColumnMajor, 1, 0, true, 5, share_a, share_b, 1});
        check_problem<T>(
            {40, 64, 64, Order::RowMajor, Order::RowMajor, 1, 1, false, 9, share_a, share_b});
        check_problem<T>(
            {33, 1, 20, Order::RowMajor, Order::RowMajor, 1, 0, false, 3, share_a, share_b});
      }
    }
  });
}

TEST_CASE_TEMPLATE("gemm: empty sizes", T, ALL_DTYPES) {
  for_each_target([] {
    check_problem<T>({0, 5, 3});
    check_problem<T>({5, 0, 3});
    check_problem<T>({5, 7, 0});
    check_problem<T>({5, 7, 0, Order::RowMajor, Order::RowMajor, 1, 2, true, 3});
    check_problem<T>({1, 7, 0, Order::RowMajor, Order::RowMajor, 1, 2, true});
    check_problem<T>({7, 1, 0, Order::RowMajor, Order::RowMajor, 1, 0, true});
  });
  GemmParams none;
  none.dtype = dtype_of<T>;
  none.batch = 0;
  none.m = none.n = none.k = 3;
  cpu::gemm(none);
}

TEST_CASE_TEMPLATE("gemm: NaN and infinity", T, FLOAT_DTYPES) {
  const T nan = from_double<T>(std::numeric_limits<double>::quiet_NaN());
  const T inf = from_double<T>(std::numeric_limits<double>::infinity());
  for_each_target([&] {
    for (const auto [m, n, k] :
         {std::array<int64_t, 3>{17, 35, 21}, {1, 35, 21}, {17, 1, 21}, {9, 20, 300}}) {
      for (const T special : {nan, inf}) {
        const Problem q{m, n, k};
        Buffers<T> s = make_buffers<T>(q);
        bind(s, q);
        // One special value in A against a row of zeros in B; C is full of NaN and not read.
        std::fill(s.c.begin(), s.c.end(), nan);
        const int64_t row = m / 2;
        s.a[static_cast<size_t>(row * k + 3)] = special;
        for (int64_t j = 0; j < n; ++j) s.b[static_cast<size_t>(3 * n + j)] = from_double<T>(0);
        cpu::gemm(s.params);
        int64_t wrong = 0;
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            wrong += std::isnan(to_double(s.c[static_cast<size_t>(i * n + j)])) != (i == row);
          }
        }
        CHECK(wrong == 0);
      }
    }
  });
}

TEST_CASE_TEMPLATE("gemm: low precision rounds once, to infinity beyond the range", T, Half,
                   BFloat16) {
  for_each_target([] {
    // 1 + 600 terms of 2^-12: lost one by one in half precision, kept in float.
    const int64_t k = 601;
    std::vector<T> a(static_cast<size_t>(2 * k), from_double<T>(1.0 / 4096));
    std::vector<T> b(static_cast<size_t>(k * 3), from_double<T>(1));
    std::vector<T> c(6);
    a[0] = from_double<T>(1);
    a[static_cast<size_t>(k)] = from_double<T>(std::is_same_v<T, Half> ? 60000.0 : 3.3e38);
    a[static_cast<size_t>(k + 1)] = a[static_cast<size_t>(k)];
    GemmParams p;
    p.dtype = dtype_of<T>;
    p.m = 2;
    p.n = 3;
    p.k = k;
    p.a = a.data();
    p.a_row = k;
    p.a_col = 1;
    p.b = b.data();
    p.b_row = 3;
    p.b_col = 1;
    p.c = c.data();
    p.c_row = 3;
    cpu::gemm(p);
    const T expected = from_double<T>(1 + 600.0 / 4096);
    for (size_t j = 0; j < 3; ++j) CHECK(c[j].bits == expected.bits);
    for (size_t j = 3; j < 6; ++j) CHECK(std::isinf(to_float(c[j])));
  });
}

TEST_CASE_TEMPLATE("gemm: the same bits for any number of threads", T, Half, float, double) {
  for (const Problem& q : {Problem{200, 300, 400},
                           {31, 700, 600},
                           {900, 1, 700},
                           {1, 4100, 600},
                           {1, 1100, 700},
                           {48, 50, 64, Order::RowMajor, Order::ColumnMajor, 1, 0, true, 7}}) {
    std::vector<T> first;
    for (int threads : {1, 2, 3, 7}) {
      ThreadsScope scope(threads);
      Buffers<T> s = make_buffers<T>(q);
      bind(s, q);
      cpu::gemm(s.params);
      if (threads == 1) first = s.c;
      CHECK(std::memcmp(first.data(), s.c.data(), first.size() * sizeof(T)) == 0);
    }
  }
}

TEST_CASE("gemm: integers wrap, booleans are and/or") {
  const std::vector<int8_t> a = {100, 100};
  const std::vector<int8_t> b = {3, 7};
  int8_t c = 0;
  GemmParams p;
  p.dtype = DType::Int8;
  p.m = p.n = 1;
  p.k = 2;
  p.a = a.data();
  p.a_row = 2;
  p.a_col = 1;
  p.b = b.data();
  p.b_row = p.b_col = 1;
  p.c = &c;
  p.c_row = 1;
  cpu::gemm(p);
  CHECK(c == static_cast<int8_t>(1000));

  const bool x[] = {true, false, false, true};
  const bool y[] = {false, true, false, false};
  bool z[4];
  p.dtype = DType::Bool;
  p.m = p.n = 2;
  p.a = x;
  p.b = y;
  p.b_row = 2;
  p.c = z;
  p.c_row = 2;
  cpu::gemm(p);
  CHECK((!z[0] && z[1] && !z[2] && !z[3]));
}

namespace {

double activated(Activation f, double x) {
  switch (f) {
    case Activation::Relu:
      return x > 0 ? x : 0;
    case Activation::Gelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::GeluTanh:
      return 0.5 * x * (1 + std::tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
    case Activation::Silu:
      return x / (1 + std::exp(-x));
    default:
      return x;
  }
}

// Against the plain product, whose numbers `inner` has to hold bit by bit.
template <class T>
void check_activation(const Problem& q, Activation f, bool keep) {
  CAPTURE(q.m);
  CAPTURE(q.n);
  CAPTURE(q.k);
  CAPTURE(static_cast<int>(f));
  CAPTURE(keep);
  Buffers<T> s = make_buffers<T>(q);
  bind(s, q);
  cpu::gemm(s.params);
  const std::vector<T> plain = s.c;
  const int64_t row = (q.n + 7) / 8 * 8;
  std::vector<T> inner(static_cast<size_t>(q.m * row), from_double<T>(7));
  bool fused = false;
  s.params.epilogue.activation = f;
  s.params.epilogue.fused = &fused;
  if (keep) {
    s.params.epilogue.inner = inner.data();
    s.params.epilogue.inner_row = row;
  }
  cpu::gemm(s.params);
  REQUIRE(fused == (q.m > 1 && q.n > 1));
  bool same = true;
  bool near = true;
  for (int64_t i = 0; i < q.m; ++i) {
    for (int64_t j = 0; j < row; ++j) {
      const auto at = static_cast<size_t>(i * row + j);
      const T* want = j < q.n ? &plain[static_cast<size_t>(i * s.params.c_row + j)] : nullptr;
      const T seven = from_double<T>(7);
      if (keep)
        same = same && std::memcmp(&inner[at], want != nullptr ? want : &seven, sizeof(T)) == 0;
      if (want == nullptr || !fused) continue;
      const double x = to_double(*want);
      const double got = to_double(s.c[static_cast<size_t>(i * s.params.c_row + j)]);
      near = near && std::abs(got - activated(f, x)) <= 4 * rounding<T>() * (1 + std::abs(x));
    }
  }
  CHECK(same);
  CHECK(near);
}

}  // namespace

TEST_CASE_TEMPLATE("gemm: activations of the result", T, Half, BFloat16, float, double) {
  for_each_target([] {
    for (const Activation f :
         {Activation::Relu, Activation::Gelu, Activation::GeluTanh, Activation::Silu}) {
      for (const bool keep : {false, true}) {
        check_activation<T>({15, 33, 5, Order::RowMajor, Order::ColumnMajor, 1, 0, true}, f, keep);
        check_activation<T>({150, 64, 900, Order::RowMajor, Order::ColumnMajor, 1, 0, true}, f,
                            keep);
        check_activation<T>({40, 130, 400, Order::RowMajor, Order::RowMajor}, f, keep);
        check_activation<T>({7, 9, 0, Order::RowMajor, Order::RowMajor, 1, 0, true}, f, keep);
        check_activation<T>({1, 17, 20, Order::RowMajor, Order::ColumnMajor, 1, 0, true}, f, keep);
      }
    }
  });
}

TEST_CASE("gemm: an activation does not depend on the number of threads, and keeps NaN") {
  const Problem q{300, 200, 100, Order::RowMajor, Order::ColumnMajor, 1, 0, true};
  std::vector<float> first;
  for (const int threads : {1, 2, 3}) {
    const ThreadsScope scope(threads);
    Buffers<float> s = make_buffers<float>(q);
    s.a[0] = std::numeric_limits<float>::quiet_NaN();
    bind(s, q);
    bool fused = false;
    s.params.epilogue.activation = Activation::Relu;
    s.params.epilogue.fused = &fused;
    cpu::gemm(s.params);
    REQUIRE(fused);
    CHECK(std::isnan(s.c[0]));
    if (first.empty()) first = s.c;
    CHECK(std::memcmp(first.data(), s.c.data(), first.size() * sizeof(float)) == 0);
  }
}

namespace {

// A float32 B gives the bits that its rounded copy gives.
template <class T>
void check_rounded(const Problem& q) {
  Buffers<T> s = make_buffers<T>(q);
  bind(s, q);
  std::vector<float> wide(s.b.size());
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < wide.size(); ++i) {
    wide[i] = normal(generator);
    s.b[i] = from_double<T>(wide[i]);
  }
  wide[0] = std::numeric_limits<float>::quiet_NaN();
  s.b[0] = from_double<T>(wide[0]);
  wide.back() = 3.4e38F;  // infinity
  s.b.back() = from_double<T>(wide.back());
  cpu::gemm(s.params);
  const std::vector<T> expected = s.c;
  s.params.b = wide.data();
  s.params.b_rounded = true;
  cpu::gemm(s.params);
  bool same = true;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double x = to_double(expected[i]);
    const double y = to_double(s.c[i]);
    same = same && (x == y || (std::isnan(x) && std::isnan(y)));
  }
  CHECK(same);
}

}  // namespace

TEST_CASE_TEMPLATE("gemm: an operand that is rounded as it is read", T, Half, BFloat16) {
  for_each_target([] {
    for (const Order order : {Order::RowMajor, Order::ColumnMajor, Order::ColumnPadded}) {
      for (const int64_t n : {2, 7, 16, 33, 130}) {
        check_rounded<T>({5, n, 3, Order::RowMajor, order});
        check_rounded<T>({64, n, 61, Order::RowMajor, order, 1, 0, true});
        check_rounded<T>({150, n, 800, Order::RowMajor, order});
      }
    }
  });
}

TEST_CASE("gemm: slopes and sums are left to the caller") {
  const Problem q{20, 30, 40};
  for (const bool backward : {false, true}) {
    Buffers<float> s = make_buffers<float>(q);
    bind(s, q);
    std::vector<float> sums(20);
    bool fused = true;
    s.params.epilogue.fused = &fused;
    s.params.epilogue.backward = backward;
    if (backward) s.params.epilogue.activation = Activation::Relu;
    if (!backward) s.params.epilogue.sums_of = GemmSums::OfA;
    s.params.epilogue.sums = sums.data();
    cpu::gemm(s.params);
    CHECK(!fused);
    CHECK(matches(s, q, 0, 19, 29));
  }
}
