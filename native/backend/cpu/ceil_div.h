// Whole units that hold x >= 0 elements.
#pragma once

#include <cstdint>

namespace ampgrad::cpu {

constexpr int64_t ceil_div(int64_t x, int64_t unit) { return (x + unit - 1) / unit; }
constexpr int64_t round_up(int64_t x, int64_t unit) { return ceil_div(x, unit) * unit; }

}  // namespace ampgrad::cpu
