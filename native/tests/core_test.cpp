// The core: half conversions over every bit pattern, promotion, shapes, containers, the caching
// allocator and the known answers of Philox.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "core/allocator.h"
#include "core/inline_vector.h"
#include "core/rng.h"
#include "core/shape.h"
#include "core/tensor.h"

using namespace ampgrad;

namespace {

double exact_half(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f;
  const int mantissa = bits & 0x3ff;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

// Nearest half of a finite double by search over neighbours, ties to even.
uint16_t nearest_half(double x) {
  if (std::fabs(x) >= 65520) return x < 0 ? 0xfc00 : 0x7c00;
  uint16_t low = 0;
  uint16_t high = 0x7bff;
  const double a = std::fabs(x);
  while (high - low > 1) {
    const uint16_t middle = static_cast<uint16_t>((low + high) / 2);
    (exact_half(middle) <= a ? low : high) = middle;
  }
  const double below = a - exact_half(low);
  const double above = exact_half(high) - a;
  uint16_t best = low;
  if (above < below || (above == below && (low & 1) != 0)) best = high;
  return static_cast<uint16_t>(best | (std::signbit(x) ? 0x8000 : 0));
}

}  // namespace

TEST_CASE("every half converts to float exactly and back to itself") {
  for (uint32_t i = 0; i < 65536; ++i) {
    const Half h{static_cast<uint16_t>(i)};
    const double want = exact_half(h.bits);
    const float got = to_float(h);
    if (std::isnan(want)) {
      REQUIRE(std::isnan(got));
      REQUIRE((to_half(got).bits & 0x7c00) == 0x7c00);
      REQUIRE((to_half(got).bits & 0x3ff) != 0);
      continue;
    }
    REQUIRE(static_cast<double>(got) == want);
    REQUIRE(to_half(got).bits == h.bits);
  }
}

TEST_CASE("float and double round to the nearest half, ties to even") {
  for (uint32_t i = 0; i < 0x7bff; ++i) {
    const double a = exact_half(static_cast<uint16_t>(i));
    const double b = exact_half(static_cast<uint16_t>(i + 1));
    const double middle = (a + b) / 2;
    const double step = (b - a) * 1e-9;
    for (double x : {middle, middle - step, middle + step, a + (b - a) / 3}) {
      REQUIRE(to_half(x).bits == nearest_half(x));
      REQUIRE(to_half(-x).bits == nearest_half(-x));
      const float f = static_cast<float>(x);
      REQUIRE(to_half(f).bits == nearest_half(static_cast<double>(f)));
    }
  }
  CHECK(to_half(65519.0f).bits == 0x7bff);
  CHECK(to_half(65520.0f).bits == 0x7c00);
  CHECK(to_half(-1e30f).bits == 0xfc00);
}

TEST_CASE("bfloat16 keeps the upper half of a float, rounded to even") {
  for (uint32_t i = 0; i < 65536; ++i) {
    const BFloat16 b{static_cast<uint16_t>(i)};
    const float f = to_float(b);
    if (std::isnan(f)) {
      REQUIRE(std::isnan(to_float(to_bfloat16(f))));
      continue;
    }
    REQUIRE(to_bfloat16(f).bits == b.bits);
  }
  CHECK(to_bfloat16(bits_float(0x3f808000u)).bits == 0x3f80);  // tie, even below
  CHECK(to_bfloat16(bits_float(0x3f818000u)).bits == 0x3f82);  // tie, even above
  CHECK(to_bfloat16(bits_float(0x7f7fffffu)).bits == 0x7f80);  // overflows to infinity
  // Just above the middle of two bfloat16: double rounding through float would fall onto it.
  CHECK(to_bfloat16(1.0 + std::ldexp(1.0, -8) + std::ldexp(1.0, -40)).bits == 0x3f81);
}

TEST_CASE("promotion follows PyTorch") {
  CHECK(promote_types(DType::UInt8, DType::Int8) == DType::Int16);
  CHECK(promote_types(DType::Float16, DType::BFloat16) == DType::Float32);
  CHECK(promote_types(DType::Int64, DType::Float16) == DType::Float16);
  CHECK(promote_types(DType::Bool, DType::UInt8) == DType::UInt8);
  for (int i = 0; i < kNumDTypes; ++i) {
    for (int j = 0; j < kNumDTypes; ++j) {
      const auto a = static_cast<DType>(i);
      const auto b = static_cast<DType>(j);
      CHECK(promote_types(a, b) == promote_types(b, a));
      CHECK(can_cast(a, promote_types(a, b)));
    }
  }
}

TEST_CASE("shapes: contiguity, views, broadcasting, limits") {
  CHECK(contiguous_strides(Dims{2, 3, 4}) == Dims{12, 4, 1});
  CHECK(is_contiguous(Dims{2, 0, 4}, Dims{7, 7, 7}));
  CHECK(is_contiguous(Dims{1, 3}, Dims{99, 1}));
  CHECK_FALSE(is_contiguous(Dims{3, 2}, Dims{1, 3}));
  CHECK_FALSE(is_non_overlapping(Dims{3, 3}, Dims{1, 1}));
  CHECK(is_non_overlapping(Dims{3, 2}, Dims{1, 3}));
  Dims strides;
  CHECK(view_strides(Dims{4, 6}, Dims{6, 1}, Dims{2, 2, 6}, &strides));
  CHECK(strides == Dims{12, 6, 1});
  CHECK_FALSE(view_strides(Dims{4, 6}, Dims{1, 4}, Dims{24}, &strides));
  CHECK(broadcast_shapes("test", Dims{3, 1}, Dims{2, 1, 5}) == Dims{2, 3, 5});
  CHECK_THROWS_AS(broadcast_shapes("test", Dims{3}, Dims{4}), Error);
  CHECK_THROWS_AS(check_sizes("test", Dims{int64_t{1} << 40, int64_t{1} << 40}, 4), Error);
  CHECK_THROWS_AS(check_sizes("test", Dims{0, int64_t{1} << 40, int64_t{1} << 40}, 4), Error);
  CHECK_THROWS_AS(check_sizes("test", Dims{-1}, 4), Error);
  CHECK_THROWS_AS(wrap_dim("test", 3, 3), Error);
  CHECK(wrap_dim("test", -1, 3) == 2);
  CHECK(infer_size("test", Dims{2, -1}, 6) == Dims{2, 3});
  CHECK_THROWS_AS(infer_size("test", Dims{-1, -1}, 6), Error);
  CHECK_THROWS_AS(infer_size("test", Dims{-1, 0}, 0), Error);
}

TEST_CASE("inline vectors move between inline room and heap without losing values") {
  using Vector = InlineVector<std::string, 2>;
  Vector v{"a", "b"};
  Vector copy = v;
  v.push_back(v[0]);  // grows while the argument lives in it
  v.emplace_back("d");
  REQUIRE(v.size() == 4);
  CHECK(v[2] == "a");
  Vector moved = std::move(v);
  CHECK(moved[3] == "d");
  CHECK(v.empty());
  v = moved;
  CHECK(v.size() == 4);
  moved = std::move(copy);
  CHECK(moved.size() == 2);
  CHECK(moved[1] == "b");
  moved.resize(1);
  CHECK(moved.size() == 1);
}

TEST_CASE("the caching allocator aligns, reuses and gives back") {
  Allocator& a = cpu_allocator();
  a.empty_cache();
  const MemoryStats before = a.stats();
  for (size_t size : {size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{1000}, size_t{1} << 20,
                      (size_t{5} << 20) + 3}) {
    void* block = a.allocate(size);
    REQUIRE(block != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(block) % kAlignment == 0);
    std::memset(block, 1, size);
    a.release(block, size);
    void* again = a.allocate(size);
#if defined(__SANITIZE_ADDRESS__)
    CHECK(again != nullptr);  // nothing is kept there
#else
    CHECK(again == block);
#endif
    a.release(again, size);
  }
  CHECK(a.stats().allocated == before.allocated);
  a.empty_cache();
  CHECK(a.stats().reserved - a.stats().allocated <= before.reserved - before.allocated + (1 << 20));
}

#if !defined(__SANITIZE_ADDRESS__)  // nothing is kept there
TEST_CASE("the cache follows bytes in use, not the number of blocks freed") {
  Allocator& a = cpu_allocator();
  a.empty_cache();
  constexpr size_t kMiB = size_t{1} << 20;
  const auto churn = [&](size_t size, int times) {
    for (int i = 0; i < times; ++i) a.release(a.allocate(size), size);
  };
  std::vector<void*> live;
  for (int i = 0; i < 8; ++i) live.push_back(a.allocate(48 * kMiB));
  // Garbage that is collected once in many steps of many blocks: its memory serves the next steps.
  std::vector<void*> garbage(4);
  for (void*& block : garbage) block = a.allocate(24 * kMiB);
  for (void* block : garbage) a.release(block, 24 * kMiB);
  churn(64 << 10, 4000);
  const uint64_t before = a.stats().system_allocations;
  for (void*& block : garbage) block = a.allocate(24 * kMiB);
  CHECK(a.stats().system_allocations == before);
  // A phase that is over does not pin its memory.
  for (void* block : garbage) a.release(block, 24 * kMiB);
  for (size_t i = 1; i < live.size(); ++i) a.release(live[i], 48 * kMiB);
  churn(24 * kMiB, 1000);
  const MemoryStats after = a.stats();
  CHECK(after.reserved < after.allocated + after.allocated / 2 + 128 * kMiB);
  a.release(live[0], 48 * kMiB);
  a.empty_cache();
}

TEST_CASE("classes of blocks that are needed at different times all stay in the cache") {
  Allocator& a = cpu_allocator();
  a.empty_cache();
  a.reset_peak_stats();
  const uint64_t small = a.stats().reserved;
  constexpr size_t kMiB = size_t{1} << 20;
  void* parameters = a.allocate(256 * kMiB);
  // One after the other needs 128 MiB: together half the peak more than the peak.
  const auto step = [&](size_t size) {
    std::vector<void*> blocks(128 * kMiB / size);
    for (void*& block : blocks) block = a.allocate(size);
    for (void* block : blocks) a.release(block, size);
  };
  const auto cycle = [&] {
    step(8 * kMiB);
    step(16 * kMiB);
  };
  cycle();
  const MemoryStats first = a.stats();
  for (int i = 0; i < 100; ++i) cycle();
  CHECK(a.stats().system_allocations == first.system_allocations);
  CHECK(a.stats().reserved == first.reserved);
  // Shapes that come once are not all kept.
  for (size_t size = 2; size <= 32; ++size) {
    step(size * kMiB);
    const MemoryStats now = a.stats();
    CHECK(now.reserved <= small + now.peak_allocated * 3 / 2 + 32 * kMiB);
  }
  // A class that is not needed any more is given back, though the peak of use stays.
  for (int i = 0; i < 400; ++i) step(8 * kMiB);
  CHECK(a.stats().reserved <= small + (256 + 128 + 32) * kMiB);
  a.release(parameters, 256 * kMiB);
  a.empty_cache();
}
#endif

TEST_CASE("tensors released by another thread than their maker's") {
  const int64_t live = live_tensor_count();
  std::vector<Tensor> made(1000);
  std::thread maker([&] {
    for (Tensor& t : made) t = Tensor::empty({16}, DType::Float32);
  });
  maker.join();
  CHECK(live_tensor_count() == live + 1000);
  std::thread([&] { made.clear(); }).join();
  CHECK(live_tensor_count() == live);
}

TEST_CASE("an impossible allocation is an error, not a crash") {
  try {
    Tensor::empty({int64_t{1} << 59}, DType::Float32);
    FAIL("allocated 2 EiB");
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::OutOfMemory);
  }
}

// Known-answer vectors of Random123 (Salmon et al., kat_vectors, philox4x32 with 10 rounds).
TEST_CASE("Philox gives the published numbers") {
  const auto run = [](const uint32_t(&counter)[4], const uint32_t(&key)[2]) {
    const PhiloxBlock b = philox(counter, key);
    return std::vector<uint32_t>(b.words, b.words + 4);
  };
  CHECK(run({0, 0, 0, 0}, {0, 0}) ==
        std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(run({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        std::vector<uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(run({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::vector<uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}
