// A number from the caller that has a kind (bool, integer, floating point) but no tensor: it takes
// part in type promotion by kind only, as Python scalars do in PyTorch.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/dtype.h"

namespace ampgrad {

class Scalar {
 public:
  enum class Kind : uint8_t { Bool, Int, Float };

  constexpr Scalar() : Scalar(int64_t{0}) {}
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr Scalar(T v) {
    if constexpr (std::is_same_v<T, bool>) {
      kind_ = Kind::Bool;
      int_ = v ? 1 : 0;
    } else if constexpr (std::is_floating_point_v<T>) {
      kind_ = Kind::Float;
      float_ = static_cast<double>(v);
    } else {
      kind_ = Kind::Int;
      int_ = static_cast<int64_t>(v);
    }
  }

  constexpr Kind kind() const { return kind_; }
  constexpr bool is_float() const { return kind_ == Kind::Float; }
  constexpr bool is_int() const { return kind_ == Kind::Int; }
  constexpr bool is_bool() const { return kind_ == Kind::Bool; }
  constexpr double to_double() const { return is_float() ? float_ : static_cast<double>(int_); }
  constexpr int64_t to_int() const { return is_float() ? float_to_int(float_) : int_; }
  constexpr bool to_bool() const { return is_float() ? float_ != 0 : int_ != 0; }

  // Category as in dtype_category.
  constexpr int category() const { return is_float() ? 2 : (is_int() ? 1 : 0); }

  constexpr bool operator==(const Scalar& o) const {
    if (is_float() || o.is_float()) return to_double() == o.to_double();
    return int_ == o.int_;
  }

  // Saturating, NaN -> 0: a plain cast would be undefined behaviour.
  static constexpr int64_t float_to_int(double v) {
    if (!(v == v)) return 0;
    if (v >= 9223372036854775808.0) return INT64_MAX;
    if (v <= -9223372036854775808.0) return INT64_MIN;
    return static_cast<int64_t>(v);
  }

 private:
  Kind kind_ = Kind::Int;
  union {
    int64_t int_ = 0;
    double float_;
  };
};

}  // namespace ampgrad
