// The processor's instruction sets as Highway's dispatch is told of them.
#include <doctest/doctest.h>
#include <hwy/targets.h>

#include "backend/cpu/capability.h"

#if defined(__x86_64__)

namespace {

// All that the processor has, whatever AMPGRAD_CPU_CAPABILITY says.
struct Unrestricted {
  Unrestricted() { hwy::DisableTargets(0); }
  ~Unrestricted() {
    hwy::DisableTargets(0);
    ampgrad::cpu::restrict_capability();
  }
};

}  // namespace

TEST_CASE("targets: what the compiler's own detection says") {
  const Unrestricted scope;
  const int64_t targets = hwy::SupportedTargets();
  CHECK((targets & HWY_STATIC_TARGET) != 0);
  const auto has = [&](int64_t target) { return (targets & target) != 0; };
  CHECK(has(HWY_SSSE3) == static_cast<bool>(__builtin_cpu_supports("ssse3")));
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  CHECK(has(HWY_AVX2) == avx2);
  const bool avx3 = avx2 && __builtin_cpu_supports("avx512f") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512bw");
  CHECK(has(HWY_AVX3) == avx3);
}

TEST_CASE("targets: what is disabled or pretended") {
  const Unrestricted scope;
  const int64_t all = hwy::SupportedTargets();
  hwy::DisableTargets(HWY_STATIC_TARGET - 1);
  CHECK(hwy::SupportedTargets() == (all & ~(HWY_STATIC_TARGET - 1)));
  hwy::DisableTargets(~int64_t{0});
  CHECK(hwy::SupportedTargets() == HWY_STATIC_TARGET);
  hwy::DisableTargets(0);
  hwy::SetSupportedTargetsForTest(HWY_SSE4);
  CHECK(hwy::SupportedTargets() == HWY_SSE4);
  CHECK_FALSE(hwy::GetChosenTarget().IsInitialized());
  hwy::SetSupportedTargetsForTest(0);
  CHECK(hwy::SupportedTargets() == all);
}

#endif
