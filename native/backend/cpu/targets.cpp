// What an x86 processor can do, in Highway's terms: the functions that its headers declare for
// dispatch at run time, and what its assertions end with. The library that has them is not linked:
// as it is loaded it measures the processor's clock, which nothing here asks for and which took a
// tenth of the time that the whole package takes to load. On other processors the library is linked
// (see CMakeLists.txt).
#if defined(__x86_64__)

#include <cpuid.h>
#include <hwy/targets.h>

#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>

namespace hwy {

namespace {

struct Registers {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

// All zero for leaves that the processor does not know.
Registers cpuid(uint32_t leaf) {
  Registers r;
  __get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d);
  return r;
}

constexpr bool has_bits(uint32_t value, std::initializer_list<int> positions) {
  for (const int position : positions) {
    if ((value >> position & 1) == 0) return false;
  }
  return true;
}

// Which registers the system keeps between threads; 0 where it says nothing.
uint32_t kept_registers(const Registers& basic) {
  if (!has_bits(basic.c, {27})) return 0;  // OSXSAVE
  uint32_t low = 0;
  uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

int64_t detect_targets() {
  const Registers basic = cpuid(1);
  const Registers more = cpuid(7);
  const Registers extended = cpuid(0x80000001);
  const uint32_t kept = kept_registers(basic);
  int64_t targets = HWY_SCALAR | HWY_EMU128 | HWY_STATIC_TARGET;
  if (!has_bits(basic.c, {0, 9})) return targets;  // SSE3, SSSE3
  targets |= HWY_SSSE3;
  if (!has_bits(basic.c, {1, 19, 20, 25})) return targets;  // PCLMULQDQ, SSE4.1, SSE4.2, AES
  targets |= HWY_SSE4;
  // FMA, AVX, F16C; BMI, AVX2, BMI2; LZCNT; registers XMM and YMM.
  if (!has_bits(basic.c, {12, 28, 29}) || !has_bits(more.b, {3, 5, 8}) ||
      !has_bits(extended.c, {5}) || !has_bits(kept, {1, 2})) {
    return targets;
  }
  targets |= HWY_AVX2;
  // AVX-512 F, DQ, BW, VL; masks and registers ZMM.
  if (!has_bits(more.b, {16, 17, 30, 31}) || !has_bits(kept, {5, 6, 7})) return targets;
  targets |= HWY_AVX3;
  // VBMI, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ.
  if (has_bits(more.c, {1, 6, 8, 9, 10, 11, 12, 14})) targets |= HWY_AVX3_DL;
  return targets;
}

std::atomic<int64_t> allowed{-1};
std::atomic<int64_t> pretended{0};

}  // namespace

int64_t SupportedTargets() {
  static const int64_t detected = detect_targets();
  const int64_t pretence = pretended.load();
  return (pretence != 0 ? pretence : detected) & (allowed.load() | HWY_STATIC_TARGET);
}

void DisableTargets(int64_t disabled_targets) {
  allowed.store(~disabled_targets);
  // What was chosen before is chosen anew by the next call.
  GetChosenTarget().DeInit();
}

void SetSupportedTargetsForTest(int64_t targets) {
  pretended.store(targets);
  GetChosenTarget().DeInit();
}

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

void Abort(const char* file, int line, const char* format, ...) {
  std::va_list args;
  va_start(args, format);
  std::fprintf(stderr, "%s:%d: ", file, line);
  std::vfprintf(stderr, format, args);
  std::fprintf(stderr, "\n");
  va_end(args);
  std::abort();
}

}  // namespace hwy

#endif
