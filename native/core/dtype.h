// The list of element types, their sizes, categories and names, and the mapping to C++ types.
// AG_FOR_EACH_DTYPE is the only list of dtypes in the engine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/half.h"

namespace ampgrad {

// X(enumerator, C++ storage type, JavaScript name). The order is PyTorch's promotion order
// inside each category: bool < integers < floats.
#define AG_FOR_EACH_DTYPE(X)        \
  X(Bool, bool, "bool")             \
  X(UInt8, uint8_t, "uint8")        \
  X(Int8, int8_t, "int8")           \
  X(Int16, int16_t, "int16")        \
  X(Int32, int32_t, "int32")        \
  X(Int64, int64_t, "int64")        \
  X(Float16, Half, "float16")       \
  X(BFloat16, BFloat16, "bfloat16") \
  X(Float32, float, "float32")      \
  X(Float64, double, "float64")

enum class DType : uint8_t {
#define AG_ENUM(name, type, text) name,
  AG_FOR_EACH_DTYPE(AG_ENUM)
#undef AG_ENUM
};

inline constexpr int kNumDTypes = 10;

template <DType D>
struct DTypeTraits;
template <class T>
struct DTypeOf;

#define AG_TRAITS(name, cpp, text)              \
  template <>                                   \
  struct DTypeTraits<DType::name> {             \
    using type = cpp;                           \
  };                                            \
  template <>                                   \
  struct DTypeOf<cpp> {                         \
    static constexpr DType value = DType::name; \
  };
AG_FOR_EACH_DTYPE(AG_TRAITS)
#undef AG_TRAITS

template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

inline constexpr size_t kDTypeSizes[kNumDTypes] = {
#define AG_SIZE(name, type, text) sizeof(type),
    AG_FOR_EACH_DTYPE(AG_SIZE)
#undef AG_SIZE
};

inline constexpr const char* kDTypeNames[kNumDTypes] = {
#define AG_NAME(name, type, text) text,
    AG_FOR_EACH_DTYPE(AG_NAME)
#undef AG_NAME
};

constexpr size_t dtype_size(DType d) { return kDTypeSizes[static_cast<int>(d)]; }
constexpr const char* dtype_name(DType d) { return kDTypeNames[static_cast<int>(d)]; }
constexpr bool is_floating(DType d) { return d >= DType::Float16; }
constexpr bool is_integral(DType d) { return d >= DType::UInt8 && d <= DType::Int64; }
constexpr bool is_low_precision(DType d) { return d == DType::Float16 || d == DType::BFloat16; }

// 0 = bool, 1 = integer, 2 = floating point.
constexpr int dtype_category(DType d) { return is_floating(d) ? 2 : (is_integral(d) ? 1 : 0); }

// The type arithmetic is done in: float for float16 and bfloat16, otherwise the type itself.
constexpr DType opmath_dtype(DType d) { return is_low_precision(d) ? DType::Float32 : d; }

// A set of dtypes as a bit mask; the named sets are the vocabulary of op_table.def.
class DTypeSet {
 public:
  constexpr DTypeSet() = default;
  constexpr explicit DTypeSet(uint16_t bits) : bits_(bits) {}
  static constexpr DTypeSet of(DType d) {
    return DTypeSet(static_cast<uint16_t>(1u << static_cast<int>(d)));
  }
  constexpr bool has(DType d) const { return (bits_ >> static_cast<int>(d) & 1u) != 0; }
  constexpr DTypeSet operator|(DTypeSet o) const {
    return DTypeSet(static_cast<uint16_t>(bits_ | o.bits_));
  }
  constexpr uint16_t bits() const { return bits_; }

 private:
  uint16_t bits_ = 0;
};

namespace dtypes {
inline constexpr DTypeSet kBool = DTypeSet::of(DType::Bool);
inline constexpr DTypeSet kInt = DTypeSet::of(DType::UInt8) | DTypeSet::of(DType::Int8) |
                                 DTypeSet::of(DType::Int16) | DTypeSet::of(DType::Int32) |
                                 DTypeSet::of(DType::Int64);
inline constexpr DTypeSet kHalf = DTypeSet::of(DType::Float16) | DTypeSet::of(DType::BFloat16);
inline constexpr DTypeSet kFull = DTypeSet::of(DType::Float32) | DTypeSet::of(DType::Float64);
inline constexpr DTypeSet kFloat = kHalf | kFull;
inline constexpr DTypeSet kIntBool = kInt | kBool;
inline constexpr DTypeSet kNumeric = kInt | kFloat;
inline constexpr DTypeSet kFloatByte = kFloat | DTypeSet::of(DType::UInt8);
inline constexpr DTypeSet kFloatLong = kFloat | DTypeSet::of(DType::Int64);
inline constexpr DTypeSet kFloatBool = kFloat | kBool;
inline constexpr DTypeSet kAll = kNumeric | kBool;
}  // namespace dtypes

// Parses a JavaScript dtype name; returns false when the name is unknown.
bool parse_dtype(const char* name, size_t length, DType* out);

// PyTorch's promotion of two dtypes (torch.promote_types).
DType promote_types(DType a, DType b);

// torch.can_cast: is a cast from -> to allowed for the result of an in-place operation?
constexpr bool can_cast(DType from, DType to) { return dtype_category(from) <= dtype_category(to); }

}  // namespace ampgrad
