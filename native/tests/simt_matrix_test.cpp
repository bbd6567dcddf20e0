// Warp matrix fragments: right products under every seed and order, and code that counts on where
// elements are, leaves lanes out or misaligns a matrix is caught under each of them.
#include <mma.h>

#include <cmath>
#include <numeric>

#include "simt_support.h"

using simt_test::Buffer;
using simt_test::contains;
using simt_test::for_each_schedule;
using simt_test::launch;
using simt_test::start;

namespace {

namespace wmma = nvcuda::wmma;
using Sums = wmma::fragment<wmma::accumulator, 16, 16, 16, float>;
template <class T>
using Left = wmma::fragment<wmma::matrix_a, 16, 16, 16, T, wmma::row_major>;
template <class T>
using Right = wmma::fragment<wmma::matrix_b, 16, 16, 16, T, wmma::col_major>;

constexpr unsigned kLd = 24;

// 2 a b^T + 1 by elements of fragments, which all lanes treat alike.
template <class T>
void product(const T* a, const T* b, float* out) {
  Left<T> left;
  Right<T> right;
  Sums sums;
  wmma::fill_fragment(sums, 0.5f);
  wmma::load_matrix_sync(left, a, kLd);
  wmma::load_matrix_sync(right, b, kLd);
  wmma::mma_sync(sums, left, right, sums);
  for (float& x : sums.x) x *= 2.0f;
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
}

// Right
void copies(float* out, const float* in) {
  Sums sums;
  wmma::load_matrix_sync(sums, in, 16, wmma::mem_row_major);
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
}

// Bugs that count on where elements are. Each writes a matrix, right if its belief were.

using Place = int (*)(int lane, int i);  // the element, row * 16 + column, at a place of sums

int by_rows(int lane, int i) { return lane * 8 + i; }
int as_hardware(int lane, int i) {
  const int row = lane / 4 + (i / 2 % 2) * 8;
  return row * 16 + lane % 4 * 2 + i % 2 + i / 4 * 8;
}
int transposed(int element) { return element % 16 * 16 + element / 16; }
int by_columns(int lane, int i) { return transposed(by_rows(lane, i)); }
int as_hardware_transposed(int lane, int i) { return transposed(as_hardware(lane, i)); }
constexpr Place kPlaces[] = {by_rows, by_columns, as_hardware, as_hardware_transposed};

float* own(float* out, int i) { return out + static_cast<int>(threadIdx.x) * 8 + i; }

// A matrix is made in registers.
template <Place kPlace>
void makes_in_registers(float* out, const float*) {
  Sums sums;
  wmma::fill_fragment(sums, 0.0f);
  for (int i = 0; i < 8; ++i) {
    sums.x[i] = static_cast<float>(kPlace(static_cast<int>(threadIdx.x), i));
  }
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
}

// A bias by column is added in registers.
template <Place kPlace>
void adds_bias(float* out, const float* in) {
  Sums sums;
  wmma::load_matrix_sync(sums, in, 16, wmma::mem_row_major);
  for (int i = 0; i < 8; ++i) {
    const int e = kPlace(static_cast<int>(threadIdx.x), i);
    sums.x[i] += static_cast<float>(e % 16) - static_cast<float>(e / 16);
  }
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
}

// A matrix is written from registers.
template <Place kPlace>
void writes_from_registers(float* out, const float* in) {
  Sums sums;
  wmma::load_matrix_sync(sums, in, 16, wmma::mem_row_major);
  for (int i = 0; i < 8; ++i) out[kPlace(static_cast<int>(threadIdx.x), i)] = sums.x[i];
}

// One lane hands over the one element that it is believed to hold; the rest is right.
template <Place kPlace>
void writes_one_from_registers(float* out, const float* in) {
  Sums sums;
  wmma::load_matrix_sync(sums, in, 16, wmma::mem_row_major);
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
  if (threadIdx.x == 9) out[kPlace(9, 3)] = sums.x[3];
}

// Two lanes are believed to hold a row of which they need the greatest element.
void takes_maximum_of_rows(float* out, const float* in) {
  Sums sums;
  wmma::load_matrix_sync(sums, in, 16, wmma::mem_row_major);
  float most = sums.x[0];
  for (const float x : sums.x) most = std::max(most, x);
  most = std::max(most, __shfl_xor_sync(0xffffffffu, most, 1));
  for (float& x : sums.x) x = most;
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
}

// The places of a factor are believed to be those of a sum.
void factor_as_sums(float* out, const float*) {
  TEST_SHARED(__half, tile, 256 + 16);
  __half* matrix = tile + (32 - reinterpret_cast<uintptr_t>(tile) % 32) % 32 / sizeof(__half);
  for (unsigned e = threadIdx.x; e < 256; e += 32) {
    matrix[e] = __float2half_rn(static_cast<float>(e));
  }
  __syncwarp();
  Left<__half> left;
  Sums sums;
  wmma::load_matrix_sync(left, matrix, 16);
  for (int i = 0; i < 8; ++i) sums.x[i] = __half2float(left.x[i]);
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
}

// The first of two launches keeps its registers for the second.
void keeps_registers(float* out, const float* in) {
  Sums sums;
  wmma::load_matrix_sync(sums, in, 16, wmma::mem_row_major);
  for (int i = 0; i < 8; ++i) *own(out, i) = sums.x[i];
}
void finds_registers(float* out, const float* kept) {
  Sums sums;
  for (int i = 0; i < 8; ++i) sums.x[i] = kept[threadIdx.x * 8 + static_cast<unsigned>(i)];
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
}

void forgets_to_fill(float* out, const float*) {
  Sums sums;
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
}

// Which elements a factor holds where; its type holds 0 .. 255.
template <class Fragment>
void tells_places(int* out, const __half* in) {
  Fragment factor;
  wmma::load_matrix_sync(factor, in, 16);
  for (unsigned i = 0; i < 16; ++i) {
    out[threadIdx.x * 16 + i] = static_cast<int>(__half2float(factor.x[i]));
  }
}

void half_a_warp(float* out) {
  Sums sums;
  if (threadIdx.x < 16) wmma::load_matrix_sync(sums, out, 16, wmma::mem_row_major);
  out[threadIdx.x] = 1;
}

void misaligned(float* out) {
  Sums sums;
  wmma::load_matrix_sync(sums, out + 1, 16, wmma::mem_row_major);
}

void odd_leading_dimension(float* out) {
  Sums sums;
  wmma::load_matrix_sync(sums, out, 17, wmma::mem_row_major);
}

void different_matrices(float* out) {
  Sums sums;
  wmma::load_matrix_sync(sums, out + threadIdx.x % 2 * 16, 16, wmma::mem_row_major);
}

void different_copies(float* out) {
  Left<__half> left;
  Right<__half> right;
  Sums sums;
  wmma::fill_fragment(sums, 0.0f);
  wmma::fill_fragment(left, 1.0f);
  wmma::fill_fragment(right, 1.0f);
  left.x[0] = __float2half_rn(static_cast<float>(threadIdx.x));
  wmma::mma_sync(sums, left, right, sums);
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
}

void young_types(float* out) {
  Left<__nv_bfloat16> left;
  Right<__nv_bfloat16> right;
  Sums sums;
  wmma::fill_fragment(sums, 0.0f);
  wmma::fill_fragment(left, __float2bfloat16_rn(1));
  wmma::fill_fragment(right, __float2bfloat16_rn(1));
  wmma::mma_sync(sums, left, right, sums);
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
}

// A fresh start under the seed and order of the schedule that runs.
void start_again() { start(simt::config().seed, simt::config().order); }

std::string report_of(const char* name, void (*kernel)(float*), int arch = 90) {
  start_again();
  simt::config().arch = arch;
  Buffer<float> out(std::vector<float>(512, 0.0f));
  launch(name, kernel, 1, 32, 0, nullptr, out.data());
  cudaDeviceSynchronize();
  return simt::last_report();
}

std::vector<float> counting() {
  std::vector<float> all(256);
  std::iota(all.begin(), all.end(), 0.0f);
  return all;
}

using Belief = void (*)(float*, const float*);

// Of counting elements
std::vector<float> result_of(Belief kernel, const std::vector<float>& in = counting()) {
  start_again();
  Buffer<float> source(in);
  Buffer<float> out(256);
  launch("belief", kernel, 1, 32, 0, nullptr, out.data(), source.data());
  const std::vector<float> got = out.host();
  REQUIRE(simt::last_report() == "");
  return got;
}

template <Place kPlace>
void check_beliefs() {
  CHECK(result_of(makes_in_registers<kPlace>) != counting());
  CHECK(result_of(writes_from_registers<kPlace>) != counting());
  CHECK(result_of(writes_one_from_registers<kPlace>) != counting());
  std::vector<float> biased(256);
  for (size_t e = 0; e < 256; ++e)
    biased[e] = static_cast<float>(e + e % 16) - static_cast<float>(e / 16);
  CHECK(result_of(adds_bias<kPlace>) != biased);
}

template <class T, class Make>
void check_product(const Make& make) {
  std::vector<T> a(16 * kLd);
  std::vector<T> b(16 * kLd);
  for (size_t i = 0; i < 16 * kLd; ++i) {
    a[i] = make(static_cast<float>(i % 7) - 3);
    b[i] = make(static_cast<float>(i % 5) - 1);
  }
  for_each_schedule([&] {
    Buffer<T> left(a);
    Buffer<T> right(b);
    Buffer<float> out(256);
    launch("product", product<T>, 1, 32, 0, nullptr, left.data(), right.data(), out.data());
    const std::vector<float> got = out.host();
    REQUIRE(simt::last_report() == "");
    for (size_t i = 0; i < 16; ++i) {
      for (size_t j = 0; j < 16; ++j) {
        float sum = 0.5f;
        for (size_t k = 0; k < 16; ++k) {
          sum += wmma::simt_value(a[i * kLd + k]) * wmma::simt_value(b[j * kLd + k]);
        }
        REQUIRE(got[i * 16 + j] == 2 * sum);
      }
    }
  });
}

}  // namespace

TEST_CASE("simt: matrix fragments multiply, wherever their elements are") {
  check_product<__half>([](float x) { return __float2half_rn(x); });
  check_product<__nv_bfloat16>([](float x) { return __float2bfloat16_rn(x); });
}

TEST_CASE("simt: planted bugs of matrix fragments are caught") {
  for_each_schedule([] {
    CHECK(contains(report_of("half_a_warp", half_a_warp), "deadlock"));
    CHECK(contains(report_of("misaligned", misaligned), "misaligned address"));
    CHECK(contains(report_of("odd", odd_leading_dimension), "bad leading dimension"));
    CHECK(contains(report_of("different", different_matrices), "different matrices"));
    CHECK(contains(report_of("copies", different_copies), "copies of an element"));
    CHECK(contains(report_of("young", young_types, 75), "need sm_80"));
    CHECK(report_of("young", young_types, 80) == "");
  });
}

TEST_CASE("simt: code that counts on where elements are is wrong") {
  for_each_schedule([] {
    CHECK(result_of(copies) == counting());
    check_beliefs<by_rows>();
    check_beliefs<by_columns>();
    check_beliefs<as_hardware>();
    check_beliefs<as_hardware_transposed>();
    CHECK(result_of(factor_as_sums) != counting());
    CHECK(std::isnan(result_of(forgets_to_fill)[0]));
    const std::vector<float> rows = result_of(takes_maximum_of_rows);
    bool right = true;
    for (size_t e = 0; e < 256; ++e)
      right = right && rows[e] == static_cast<float>(e / 16 * 16 + 15);
    CHECK(!right);
    start_again();
    Buffer<float> in(counting());
    Buffer<float> kept(256);
    Buffer<float> out(256);
    launch("keeps_registers", keeps_registers, 1, 32, 0, nullptr, kept.data(), in.data());
    launch("finds_registers", finds_registers, 1, 32, 0, nullptr, out.data(), kept.data());
    CHECK(out.host() != counting());
  });
}

TEST_CASE("simt: no element is where a plain layout or hardware would have it") {
  std::vector<__half> numbers(256);
  for (size_t e = 0; e < 256; ++e) numbers[e] = __float2half_rn(static_cast<float>(e));
  for_each_schedule([&] {
    const std::vector<float> sums = result_of(keeps_registers);
    std::vector<int> seen(256);
    for (int lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < 8; ++i) {
        const auto element = static_cast<int>(sums[static_cast<size_t>(lane * 8 + i)]);
        ++seen[static_cast<size_t>(element)];
        for (const Place place : kPlaces) CHECK(place(lane, i) != element);
      }
    }
    CHECK(seen == std::vector<int>(256, 1));
    for (const bool left : {true, false}) {
      start_again();
      Buffer<__half> in(numbers);
      Buffer<int> out(512);
      launch("tells_places", left ? tells_places<Left<__half>> : tells_places<Right<__half>>, 1, 32,
             0, nullptr, out.data(), in.data());
      const std::vector<int> factor = out.host();
      REQUIRE(simt::last_report() == "");
      std::fill(seen.begin(), seen.end(), 0);
      for (int place = 0; place < 512; ++place) {
        const int element = factor[static_cast<size_t>(place)];
        ++seen[static_cast<size_t>(element)];
        for (const int plain : {place % 256, place / 2}) {
          CHECK(element != plain);
          CHECK(element != transposed(plain));
        }
      }
      CHECK(seen == std::vector<int>(256, 2));
    }
  });
}
