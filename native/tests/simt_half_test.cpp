// The stand-ins for the toolkit's half precision: each intrinsic against exact arithmetic that is
// rounded once, to the nearest and then to the even. Every one of the 65536 values where one is
// taken; for floats, every number at which the result changes and its neighbours, and many drawn.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "simt/config.h"

namespace {

// A format of 16 bits: a sign, exponents, and `mantissa` stored bits. Its numbers follow from that.
class Format {
 public:
  // The smallest positive number is 2 ^ least.
  Format(int mantissa, int least) : top(static_cast<uint16_t>(0x8000 - (1 << mantissa))) {
    const int hidden = 1 << mantissa;
    for (int magnitude = 0; magnitude < top; ++magnitude) {
      const int exponent = std::max(magnitude >> mantissa, 1);
      const int fraction = magnitude % hidden + (magnitude >= hidden ? hidden : 0);
      values_.push_back(std::ldexp(fraction, least + exponent - 1));
      // Of the greatest number too: infinity stands where the next one would be.
      middles_.push_back(std::ldexp(2 * fraction + 1, least + exponent - 2));
    }
  }

  double exact(uint16_t bits) const {
    const int magnitude = bits & 0x7fff;
    double value = magnitude == top ? INFINITY : NAN;
    if (magnitude < top) value = values_[static_cast<size_t>(magnitude)];
    return (bits & 0x8000) != 0 ? -value : value;
  }

  // Halfway from a number to the next
  double middle(int magnitude) const { return middles_[static_cast<size_t>(magnitude)]; }

  // The bits of the nearest number; of two, those of the even one. A double holds what is compared.
  uint16_t nearest(double x) const {
    if (std::isnan(x)) return kNoNumber;
    const double size = std::fabs(x);
    const auto at = std::lower_bound(middles_.begin(), middles_.end(), size);
    auto magnitude = static_cast<int>(at - middles_.begin());
    if (at != middles_.end() && *at == size) magnitude += magnitude % 2;
    return static_cast<uint16_t>(magnitude | (std::signbit(x) ? 0x8000 : 0));
  }

  static constexpr uint16_t kNoNumber = 0x7fff;  // the toolkit's only NaN
  const uint16_t top;                            // the bits of infinity

 private:
  std::vector<double> values_;
  std::vector<double> middles_;
};

const Format& half_format() {
  static const Format one(10, -24);
  return one;
}
const Format& bfloat_format() {
  static const Format one(7, -133);
  return one;
}

// Floats at which a rounding could go wrong: each number of the format, the middle between it and
// the next, all with their neighbours among the floats, and of both signs.
std::vector<float> edges(const Format& f) {
  std::vector<float> all;
  for (int magnitude = 0; magnitude < f.top; ++magnitude) {
    const double low = f.exact(static_cast<uint16_t>(magnitude));
    const double middle = f.middle(magnitude);
    for (const double x : {low, middle, (low + middle) / 2, (low + 3 * middle) / 4}) {
      const auto near = static_cast<float>(x);
      for (const float y : {near, std::nextafter(near, INFINITY), std::nextafter(near, 0.0f)}) {
        all.push_back(y);
        all.push_back(-y);
      }
    }
  }
  for (const uint32_t bits : {0x00000001u, 0x007fffffu, 0x00800000u, 0x7f7fffffu, 0x7f800000u,
                              0x7f800001u, 0x7fc00000u, 0x7fffffffu}) {
    all.push_back(__uint_as_float(bits));
    all.push_back(__uint_as_float(bits | 0x80000000u));
  }
  return all;
}

constexpr int kDrawn = 1 << 20;

// Any bits, and numbers in the range of half precision, where most of any bits are not.
float draw(simt::Random* random) {
  const uint64_t bits = random->next();
  const auto any = static_cast<uint32_t>(bits);
  const uint32_t exponent = 100 + static_cast<uint32_t>(bits >> 32) % 45;  // 2^-27 .. 2^17
  return __uint_as_float(bits >> 63 == 0 ? any : (any & 0x807fffffu) | exponent << 23);
}

template <class Check>
void for_floats(const Format& f, const Check& check) {
  for (const float x : edges(f)) check(x);
  simt::Random random(1);
  for (int i = 0; i < kDrawn; ++i) check(draw(&random));
}

// The value, its sign included
bool same(float got, double want) {
  if (std::isnan(want)) return std::isnan(got);
  return static_cast<double>(got) == want && std::signbit(got) == std::signbit(want);
}

void expect(uint16_t got, uint16_t want, double x) {
  if (got == want) return;  // doctest is slow for as many
  CAPTURE(x);
  REQUIRE(got == want);
}

// Sums and quotients of doubles as a number that rounds like the exact one: odd when inexact.
double made_odd(double rounded, double error) {
  if (error == 0 || std::isinf(rounded)) return rounded;
  uint64_t bits = 0;
  memcpy(&bits, &rounded, sizeof(bits));
  if ((bits & 1) != 0) return rounded;
  return std::nextafter(rounded, error > 0 ? INFINITY : -INFINITY);
}

double exact_sum(double a, double b) {
  const double sum = a + b;
  if (!std::isfinite(sum)) return sum;
  const double part = sum - a;
  return made_odd(sum, (a - (sum - part)) + (b - part));
}

double exact_quotient(double a, double b) {
  const double quotient = a / b;
  if (!std::isfinite(quotient) || quotient == 0) return quotient;
  const double left = std::fma(-quotient, b, a);
  return made_odd(quotient, std::signbit(b) ? -left : left);
}

double exact_root(double a) {
  const double root = std::sqrt(a);
  return !std::isfinite(root) || root == 0 ? root : made_odd(root, std::fma(-root, root, a));
}

// One operation on floats, then one rounding, is the exact result rounded once: a float has more
// than twice the bits of either format. Kernels count on it.
template <class ToFloat, class FromFloat>
void check_arithmetic(const Format& f, const ToFloat& to_float, const FromFloat& from_float) {
  const auto check = [&](uint16_t x, uint16_t y) {
    const float a = to_float(x);
    const float b = to_float(y);
    const double wa = f.exact(x);
    const double wb = f.exact(y);
    expect(from_float(a + b), f.nearest(exact_sum(wa, wb)), wa);
    expect(from_float(a - b), f.nearest(exact_sum(wa, -wb)), wa);
    expect(from_float(a * b), f.nearest(wa * wb), wa);
    expect(from_float(a / b), f.nearest(exact_quotient(wa, wb)), wa);
  };
  std::vector<uint16_t> edge;
  const uint16_t one = f.nearest(1);
  for (const int bits : {0, 1, 2, 127, 128, 1023, 1024, one - 1, int{one}, one + 1, f.top - 1,
                         int{f.top}, int{Format::kNoNumber}}) {
    edge.push_back(static_cast<uint16_t>(bits));
    edge.push_back(static_cast<uint16_t>(bits | 0x8000));
  }
  for (const uint16_t x : edge) {
    for (const uint16_t y : edge) check(x, y);
  }
  simt::Random random(2);
  for (int i = 0; i < kDrawn / 4; ++i) {
    const uint64_t bits = random.next();
    const auto x = static_cast<uint16_t>(bits);
    check(x, static_cast<uint16_t>(bits >> 16));
    check(x, static_cast<uint16_t>(x + (bits >> 32) % 4096));  // of like size
  }
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto x = static_cast<uint16_t>(bits);
    expect(from_float(std::sqrt(to_float(x))), f.nearest(exact_root(f.exact(x))), f.exact(x));
  }
}

}  // namespace

TEST_CASE("simt: the reference of half precision knows some answers") {
  CHECK(half_format().exact(0x0001) == 0x1p-24);
  CHECK(half_format().exact(0x3c01) == 1 + 0x1p-10);
  CHECK(half_format().exact(0xfbff) == -65504);
  CHECK(bfloat_format().exact(0x0001) == 0x1p-133);
  CHECK(bfloat_format().exact(0x7f7f) == 0x1.fep127);
  CHECK(half_format().nearest(65519.99) == 0x7bff);
  CHECK(half_format().nearest(65520) == 0x7c00);
  CHECK(half_format().nearest(-0x1p-25) == 0x8000);
  CHECK(half_format().nearest(0x1.8p-24) == 0x0002);
  CHECK(half_format().nearest(1 + 0x1p-11) == 0x3c00);
  CHECK(half_format().nearest(1 + 0x1p-11 + 0x1p-40) == 0x3c01);
  CHECK(bfloat_format().nearest(1 + 0x1p-8) == 0x3f80);
  CHECK(bfloat_format().nearest(1 + 0x1.8p-7) == 0x3f82);
  CHECK(bfloat_format().nearest(0x1.ffp127) == 0x7f80);
}

TEST_CASE("simt: every float16 and bfloat16 becomes the float that it is") {
  for (uint32_t i = 0; i < 65536; ++i) {
    CAPTURE(i);
    const auto bits = static_cast<uint16_t>(i);
    const __half h = __ushort_as_half(bits);
    const __nv_bfloat16 b = __ushort_as_bfloat16(bits);
    REQUIRE(__half_as_ushort(h) == bits);
    REQUIRE(__bfloat16_as_ushort(b) == bits);
    REQUIRE(same(__half2float(h), half_format().exact(bits)));
    REQUIRE(same(__bfloat162float(b), bfloat_format().exact(bits)));
    // And back; beside another in a pair.
    const __half2 halves = __halves2half2(h, __ushort_as_half(0x3c00));
    const __half2 swapped = __halves2half2(__ushort_as_half(0x3c00), h);
    REQUIRE(__half_as_ushort(__low2half(halves)) == bits);
    REQUIRE(__half_as_ushort(__high2half(swapped)) == bits);
    REQUIRE(__half_as_ushort(__high2half(halves)) == 0x3c00);
    REQUIRE(same(__low2float(halves), half_format().exact(bits)));
    REQUIRE(same(__high2float(swapped), half_format().exact(bits)));
    REQUIRE(__low2float(swapped) == 1);
    const __nv_bfloat16 one = __ushort_as_bfloat16(0x3f80);
    const __nv_bfloat162 bfloats = __halves2bfloat162(b, one);
    REQUIRE(same(__low2float(bfloats), bfloat_format().exact(bits)));
    REQUIRE(same(__high2float(__halves2bfloat162(one, b)), bfloat_format().exact(bits)));
    REQUIRE(__high2float(bfloats) == 1);
    const bool number_h = (bits & 0x7fff) <= half_format().top;
    const bool number_b = (bits & 0x7fff) <= bfloat_format().top;
    REQUIRE(__half_as_ushort(__float2half_rn(__half2float(h))) == (number_h ? bits : 0x7fff));
    REQUIRE(__bfloat16_as_ushort(__float2bfloat16_rn(__bfloat162float(b))) ==
            (number_b ? bits : 0x7fff));
  }
  // The one NaN that the toolkit's headers make of every other.
  CHECK(__float_as_uint(__half2float(__ushort_as_half(0xfe01))) == 0x7fffffffu);
}

TEST_CASE("simt: floats become float16 by one rounding") {
  const Format& f = half_format();
  for_floats(f, [&](float x) {
    const double exact = x;
    const uint16_t want = f.nearest(exact);
    expect(__half_as_ushort(__float2half_rn(x)), want, exact);
    expect(__half_as_ushort(__float2half(x)), want, exact);
    const __half2 pair = __floats2half2_rn(x, -x);
    expect(__half_as_ushort(pair.x), want, exact);
    expect(__half_as_ushort(pair.y), f.nearest(-exact), -exact);
  });
}

TEST_CASE("simt: floats become bfloat16 by one rounding") {
  const Format& f = bfloat_format();
  for_floats(f, [&](float x) {
    const double exact = x;
    const uint16_t want = f.nearest(exact);
    expect(__bfloat16_as_ushort(__float2bfloat16_rn(x)), want, exact);
    expect(__bfloat16_as_ushort(__float2bfloat16(x)), want, exact);
    const __nv_bfloat162 pair = __floats2bfloat162_rn(x, -x);
    expect(__bfloat16_as_ushort(pair.x), want, exact);
    expect(__bfloat16_as_ushort(pair.y), f.nearest(-exact), -exact);
  });
}

TEST_CASE("simt: an operation on floats and a rounding give the exact result rounded once") {
  check_arithmetic(
      half_format(), [](uint16_t bits) { return __half2float(__ushort_as_half(bits)); },
      [](float x) { return __half_as_ushort(__float2half_rn(x)); });
  check_arithmetic(
      bfloat_format(), [](uint16_t bits) { return __bfloat162float(__ushort_as_bfloat16(bits)); },
      [](float x) { return __bfloat16_as_ushort(__float2bfloat16_rn(x)); });
}
