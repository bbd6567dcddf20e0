// Warp matrix fragments and the storage types of half precision: right products under every seed,
// and code that leans on a layout, leaves lanes out or misaligns a matrix is caught.
#include <mma.h>

#include "simt_support.h"

using simt_test::Buffer;
using simt_test::contains;
using simt_test::kSeeds;
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

void leans_on_layout(float* out) {
  Sums sums;
  wmma::fill_fragment(sums, 0.0f);
  // As some hardware holds it: row lane / 4, two columns from 2 (lane % 4).
  for (int i = 0; i < 8; ++i) {
    const int row = static_cast<int>(threadIdx.x) / 4 + (i / 2 % 2) * 8;
    const int column = static_cast<int>(threadIdx.x) % 4 * 2 + i % 2 + i / 4 * 8;
    sums.x[i] = static_cast<float>(row * 16 + column);
  }
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
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

std::string report_of(const char* name, void (*kernel)(float*), uint64_t seed, int arch = 90) {
  start(seed);
  simt::config().arch = arch;
  Buffer<float> out(std::vector<float>(512, 0.0f));
  launch(name, kernel, 1, 32, 0, nullptr, out.data());
  cudaDeviceSynchronize();
  return simt::last_report();
}

template <class T, class Make>
void check_product(const Make& make) {
  std::vector<T> a(16 * kLd);
  std::vector<T> b(16 * kLd);
  for (size_t i = 0; i < 16 * kLd; ++i) {
    a[i] = make(static_cast<float>(i % 7) - 3);
    b[i] = make(static_cast<float>(i % 5) - 1);
  }
  for (int seed = 0; seed < kSeeds; ++seed) {
    start(static_cast<uint64_t>(seed));
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
  }
}

}  // namespace

TEST_CASE("simt: matrix fragments multiply, wherever their elements are") {
  check_product<__half>([](float x) { return __float2half_rn(x); });
  check_product<__nv_bfloat16>([](float x) { return __float2bfloat16_rn(x); });
}

TEST_CASE("simt: planted bugs of matrix fragments are caught") {
  for (int seed = 0; seed < kSeeds; ++seed) {
    const auto at = static_cast<uint64_t>(seed);
    CHECK(contains(report_of("half_a_warp", half_a_warp, at), "deadlock"));
    CHECK(contains(report_of("misaligned", misaligned, at), "misaligned address"));
    CHECK(contains(report_of("odd", odd_leading_dimension, at), "bad leading dimension"));
    CHECK(contains(report_of("different", different_matrices, at), "different matrices"));
    CHECK(contains(report_of("copies", different_copies, at), "copies of an element"));
    CHECK(contains(report_of("young", young_types, at, 75), "need sm_80"));
    CHECK(report_of("young", young_types, at, 80) == "");
    start(at);
    Buffer<float> out(256);
    launch("leans_on_layout", leans_on_layout, 1, 32, 0, nullptr, out.data());
    const std::vector<float> got = out.host();
    bool as_hoped = true;
    for (size_t i = 0; i < 256; ++i) as_hoped = as_hoped && got[i] == static_cast<float>(i);
    CHECK(!as_hoped);
  }
}

TEST_CASE("simt: half precision is rounded once, to the nearest even") {
  CHECK(__float2half_rn(65519.0f).bits == 0x7bff);
  CHECK(__float2half_rn(65520.0f).bits == 0x7c00);
  CHECK(__float2half_rn(1.0f + 0x1p-11f).bits == 0x3c00);
  CHECK(__float2half_rn(1.0f + 0x1.8p-10f).bits == 0x3c02);
  CHECK(__float2half_rn(0x1p-25f).bits == 0);
  CHECK(__half2float(__half{0x0001}) == 0x1p-24f);
  CHECK(__float2bfloat16_rn(1.0f + 0x1p-8f).bits == 0x3f80);
  CHECK(__float2bfloat16_rn(1.0f + 0x1.8p-7f).bits == 0x3f82);
  const __half2 pair = __floats2half2_rn(1, -2);
  CHECK(__low2float(pair) == 1);
  CHECK(__high2float(pair) == -2);
}
