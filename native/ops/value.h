// Boxed arguments: the one representation in which a call travels from a caller (JavaScript, C++,
// a derivative) through the runtime pipeline to an op's implementation and into the autograd tape.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/inline_vector.h"
#include "core/tensor.h"

namespace ampgrad {

// An operand of an element-wise op: a tensor, or a number that promotes by kind only.
class Operand {
 public:
  Operand() = default;
  Operand(Tensor t) : tensor_(std::move(t)) {}
  Operand(Scalar s) : scalar_(s) {}
  template <class T>
  requires std::is_arithmetic_v<T> Operand(T v) : scalar_(v) {}

  bool is_tensor() const { return tensor_.defined(); }
  const Tensor& tensor() const { return tensor_; }
  Scalar scalar() const { return scalar_; }

 private:
  Tensor tensor_;
  Scalar scalar_;
};

using Doubles = std::vector<double>;

class Value {
 public:
  using Storage = std::variant<std::monostate, Tensor, Scalar, int64_t, double, bool, DType, Device,
                               Dims, std::string, Doubles, TensorList>;

  Value() = default;
  template <class T>
  requires(!std::is_same_v<T, Value>) &&
      std::is_constructible_v<Storage, std::in_place_type_t<T>, T> Value(T v)
      : data_(std::in_place_type<T>, std::move(v)) {}

  bool is_none() const { return data_.index() == 0; }
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(data_);
  }
  template <class T>
  const T& get() const {
    const T* p = std::get_if<T>(&data_);
    AG_ASSERT(p != nullptr);
    return *p;
  }
  template <class T>
  T& get() {
    T* p = std::get_if<T>(&data_);
    AG_ASSERT(p != nullptr);
    return *p;
  }
  bool is_tensor() const { return is<Tensor>(); }

 private:
  Storage data_;
};

using Values = InlineVector<Value, 6>;

// The kinds of argument and result that a schema can name.
enum class ArgKind : uint8_t {
  Tensor,             // Tensor              const Tensor&
  OptTensor,          // Tensor?             const Tensor& (may be undefined)
  Operand,            // Tensor|Scalar       const Operand&
  OptOperand,         // Tensor|Scalar?      const std::optional<Operand>&
  TensorList,         // Tensor[]            const TensorList&
  Scalar,             // Scalar              Scalar
  OptScalar,          // Scalar?             std::optional<Scalar>
  Int,                // int                 int64_t
  OptInt,             // int?                std::optional<int64_t>
  Float,              // float               double
  OptFloat,           // float?              std::optional<double>
  Bool,               // bool                bool
  OptBool,            // bool?               std::optional<bool>
  IntList,            // int[]               DimsView (one number is accepted for a list of one)
  OptIntList,         // int[]?              std::optional<Dims>
  IntListOrString,    // int[]|str       const Value& (Dims or std::string)
  ScalarOrString,     // Scalar|str          const Value& (Scalar or std::string)
  OptScalarOrString,  // Scalar|str?       const Value& (or none)
  FloatList,          // float[]             const Doubles&
  OptFloatList,       // float[]?            std::optional<Doubles>
  String,             // str                 const std::string&
  OptString,          // str?                std::optional<std::string>
  DType,              // ScalarType          DType
  OptDType,           // ScalarType?         std::optional<DType>
  OptDevice,          // Device?             std::optional<Device>
};

// C++ parameter type of each kind, and conversion from and to a Value.
template <ArgKind K>
struct ArgTraits;

namespace detail {
template <class T, class Stored>
struct PlainArg {
  using type = T;
  static T unbox(const Value& v) { return static_cast<T>(v.get<Stored>()); }
};
template <class T>
struct RefArg {
  using type = const T&;
  static const T& unbox(const Value& v) { return v.get<T>(); }
};
template <class T>
struct OptArg {
  using type = std::optional<T>;
  static type unbox(const Value& v) { return v.is_none() ? type() : type(v.get<T>()); }
};
}  // namespace detail

template <>
struct ArgTraits<ArgKind::Tensor> : detail::RefArg<Tensor> {};
template <>
struct ArgTraits<ArgKind::OptTensor> {
  using type = const Tensor&;
  static const Tensor& unbox(const Value& v) {
    static const Tensor kUndefined;
    return v.is_none() ? kUndefined : v.get<Tensor>();
  }
};
template <>
struct ArgTraits<ArgKind::Operand> {
  using type = const Operand&;
  // By value: binds to the const reference for the duration of the call.
  static Operand unbox(const Value& v) {
    return v.is_tensor() ? Operand(v.get<Tensor>()) : Operand(v.get<Scalar>());
  }
};
template <>
struct ArgTraits<ArgKind::OptOperand> {
  using type = const std::optional<Operand>&;
  static std::optional<Operand> unbox(const Value& v) {
    if (v.is_none()) return std::nullopt;
    return ArgTraits<ArgKind::Operand>::unbox(v);
  }
};
template <>
struct ArgTraits<ArgKind::TensorList> : detail::RefArg<TensorList> {};
template <>
struct ArgTraits<ArgKind::Scalar> : detail::PlainArg<Scalar, Scalar> {};
template <>
struct ArgTraits<ArgKind::OptScalar> : detail::OptArg<Scalar> {};
template <>
struct ArgTraits<ArgKind::Int> : detail::PlainArg<int64_t, int64_t> {};
template <>
struct ArgTraits<ArgKind::OptInt> : detail::OptArg<int64_t> {};
template <>
struct ArgTraits<ArgKind::Float> : detail::PlainArg<double, double> {};
template <>
struct ArgTraits<ArgKind::OptFloat> : detail::OptArg<double> {};
template <>
struct ArgTraits<ArgKind::Bool> : detail::PlainArg<bool, bool> {};
template <>
struct ArgTraits<ArgKind::OptBool> : detail::OptArg<bool> {};
template <>
struct ArgTraits<ArgKind::IntList> {
  using type = DimsView;
  static DimsView unbox(const Value& v) { return v.get<Dims>(); }
};
template <>
struct ArgTraits<ArgKind::OptIntList> : detail::OptArg<Dims> {};
template <>
struct ArgTraits<ArgKind::IntListOrString> {
  using type = const Value&;
  static const Value& unbox(const Value& v) { return v; }
};
template <>
struct ArgTraits<ArgKind::ScalarOrString> : ArgTraits<ArgKind::IntListOrString> {};
template <>
struct ArgTraits<ArgKind::OptScalarOrString> : ArgTraits<ArgKind::IntListOrString> {};
template <>
struct ArgTraits<ArgKind::FloatList> : detail::RefArg<Doubles> {};
template <>
struct ArgTraits<ArgKind::OptFloatList> : detail::OptArg<Doubles> {};
template <>
struct ArgTraits<ArgKind::String> : detail::RefArg<std::string> {};
template <>
struct ArgTraits<ArgKind::OptString> : detail::OptArg<std::string> {};
template <>
struct ArgTraits<ArgKind::DType> : detail::PlainArg<DType, DType> {};
template <>
struct ArgTraits<ArgKind::OptDType> : detail::OptArg<DType> {};
template <>
struct ArgTraits<ArgKind::OptDevice> : detail::OptArg<Device> {};

// Boxing for C++ callers: what they pass is converted to the kind the schema asks for.
inline Value box_arg(const Tensor& t) { return t.defined() ? Value(t) : Value(); }
inline Value box_arg(const Operand& o) {
  return o.is_tensor() ? Value(o.tensor()) : Value(o.scalar());
}
inline Value box_arg(const Value& v) { return v; }
inline Value box_arg(DimsView d) { return Value(Dims(d)); }
inline Value box_arg(const Dims& d) { return Value(d); }
inline Value box_arg(const TensorList& l) { return Value(l); }
inline Value box_arg(const Doubles& l) { return Value(l); }
inline Value box_arg(const std::string& s) { return Value(s); }
inline Value box_arg(Scalar s) { return Value(s); }
inline Value box_arg(int64_t v) { return Value(v); }
inline Value box_arg(double v) { return Value(v); }
inline Value box_arg(bool v) { return Value(v); }
inline Value box_arg(DType v) { return Value(v); }
inline Value box_arg(Device v) { return Value(v); }
template <class T>
Value box_arg(const std::optional<T>& v) {
  return v.has_value() ? box_arg(*v) : Value();
}

}  // namespace ampgrad
