#include "backend/cpu/capability.h"

#include <hwy/targets.h>

#include <cstdlib>
#include <string_view>

#include "core/error.h"

namespace ampgrad::cpu {

namespace {

bool avx512_allowed = true;

}  // namespace

void restrict_capability() {
  const char* text = std::getenv("AMPGRAD_CPU_CAPABILITY");
  if (text == nullptr || *text == '\0') return;
  const std::string_view name = text;
  AG_CHECK(name == "avx2" || name == "baseline", Value,
           "AMPGRAD_CPU_CAPABILITY: must be 'avx2' or 'baseline', got '", text, "'");
  avx512_allowed = false;
  // Better targets have lower bits.
  const int64_t kept = name == "avx2" ? HWY_AVX2 : HWY_STATIC_TARGET;
  hwy::DisableTargets(kept - 1);
}

bool may_use_avx512() { return avx512_allowed; }

}  // namespace ampgrad::cpu
