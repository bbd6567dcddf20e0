// PyTorch-style schema strings, parsed at compile time: the C++ signature of an op is derived from
// its row in op_table.def, and at run time the same text yields argument names and defaults.
// Every unit that calls an op evaluates all rows, so the parser reads each character once, by
// index: compilers take long over calls and string_views in constant evaluation.
//   "sum(Tensor input, int[]? dim=None, *, bool keepdim=False, ScalarType? dtype=None) -> Tensor"
// Arguments after `*` are options by name only. `Tensor(a)` marks a result that aliases the input.
#pragma once

#include <string_view>
#include <tuple>

#include "ops/value.h"

namespace ampgrad {

inline constexpr int kMaxArgs = 16;
inline constexpr int kMaxReturns = 6;

enum class ReturnKind : uint8_t { Tensor, TensorList, Bool, Scalar, Int, None };

// What the C++ type of an op is made of.
struct SchemaTypes {
  ArgKind kinds[kMaxArgs]{};
  int num_args = 0;
  int num_positional = 0;
  ReturnKind return_kind = ReturnKind::None;
  int num_returns = 0;  // tensors in a fixed tuple
  bool is_view = false;
};

struct SchemaNames {
  std::string_view names[kMaxArgs]{};
  std::string_view defaults[kMaxArgs]{};  // empty: required
  std::string_view return_names[kMaxReturns]{};
};

struct ParsedSchema : SchemaTypes, SchemaNames {};

namespace detail {

// Not constexpr on purpose: reaching it during constant evaluation is the compile error.
inline void malformed_schema() {}

constexpr uint64_t hash_step(uint64_t hash, char c) {
  return hash * 131 + static_cast<unsigned char>(c);
}

// Names a type in a `case`; two that collided would be a repeated label.
constexpr uint64_t operator""_type(const char* text, size_t size) {
  uint64_t hash = 0;
  for (size_t i = 0; i < size; ++i) hash = hash_step(hash, text[i]);
  return hash;
}

// The types of arguments, the most frequent first: constant evaluation walks the cases.
#define AG_FOR_EACH_KIND(X)           \
  X("Tensor", Tensor)                 \
  X("bool", Bool)                     \
  X("int[]", IntList)                 \
  X("int", Int)                       \
  X("float", Float)                   \
  X("Tensor?", OptTensor)             \
  X("Tensor|Scalar", Operand)         \
  X("Tensor[]", TensorList)           \
  X("str", String)                    \
  X("int[]?", OptIntList)             \
  X("ScalarType?", OptDType)          \
  X("Device?", OptDevice)             \
  X("Tensor|Scalar?", OptOperand)     \
  X("Scalar", Scalar)                 \
  X("Scalar?", OptScalar)             \
  X("int?", OptInt)                   \
  X("float?", OptFloat)               \
  X("bool?", OptBool)                 \
  X("int[]|str", IntListOrString)     \
  X("Scalar|str", ScalarOrString)     \
  X("Scalar|str?", OptScalarOrString) \
  X("float[]", FloatList)             \
  X("float[]?", OptFloatList)         \
  X("str?", OptString)                \
  X("ScalarType", DType)

constexpr ArgKind kind_of(uint64_t type) {
#define AG_CASE(text, kind) \
  case text##_type:         \
    return ArgKind::kind;
  switch (type) { AG_FOR_EACH_KIND(AG_CASE) }
#undef AG_CASE
  malformed_schema();
  return ArgKind::Tensor;
}

// "(Tensor first, Tensor second)"
constexpr void parse_tuple(const char* p, SchemaTypes* types, SchemaNames* names) {
  types->return_kind = ReturnKind::Tensor;
  while (*p != ')') {
    ++p;
    while (*p == ' ') ++p;
    uint64_t type = 0;
    while (*p != ' ' && *p != ',' && *p != ')' && *p != 0) type = hash_step(type, *p++);
    if (type != "Tensor"_type) malformed_schema();
    while (*p == ' ') ++p;
    const char* name = p;
    while (*p != ',' && *p != ')' && *p != 0) ++p;
    if (*p == 0) malformed_schema();
    if (names) names->return_names[types->num_returns] = std::string_view(name, p - name);
    ++types->num_returns;
  }
  if (p[1] != 0) malformed_schema();
}

constexpr void parse_returns(const char* text, SchemaTypes* types, SchemaNames* names) {
  uint64_t type = 0;
  for (const char* p = text; *p != 0; ++p) type = hash_step(type, *p);
  switch (type) {
    case "Tensor"_type:
    case "Tensor(a)"_type:
      types->return_kind = ReturnKind::Tensor;
      types->num_returns = 1;
      break;
    case "Tensor[]"_type:
    case "Tensor(a)[]"_type:
      types->return_kind = ReturnKind::TensorList;
      break;
    case "bool"_type:
      types->return_kind = ReturnKind::Bool;
      break;
    case "Scalar"_type:
      types->return_kind = ReturnKind::Scalar;
      break;
    case "int"_type:
      types->return_kind = ReturnKind::Int;
      break;
    case "()"_type:
      break;
    default:
      if (*text != '(') malformed_schema();
      parse_tuple(text, types, names);
  }
  types->is_view = type == "Tensor(a)"_type || type == "Tensor(a)[]"_type;
}

// `names` may be null: constant evaluation leaves the names and defaults alone.
constexpr void parse(const char* p, SchemaTypes* types, SchemaNames* names) {
  while (*p != '(' && *p != 0) ++p;
  if (*p == 0) malformed_schema();
  bool keyword_only = false;
  while (*p != ')') {
    ++p;  // the parenthesis, or the comma after the argument before
    while (*p == ' ') ++p;
    if (*p == ')') break;
    uint64_t type = 0;
    while (*p != ' ' && *p != ',' && *p != ')' && *p != 0) type = hash_step(type, *p++);
    if (type == "*"_type) {
      keyword_only = true;
      continue;
    }
    if (*p != ' ') malformed_schema();
    const int i = types->num_args++;
    types->kinds[i] = kind_of(type);
    if (!keyword_only) types->num_positional = types->num_args;
    const char* name = ++p;
    while (*p != ',' && *p != ')' && *p != '=' && *p != 0) ++p;
    const char* name_end = p;
    // Commas inside a default such as [0,1] do not separate arguments.
    if (*p == '=') {
      for (bool list = false; list || (*p != ',' && *p != ')'); ++p) {
        if (*p == 0) malformed_schema();
        if (*p == '[') list = true;
        if (*p == ']') list = false;
      }
    }
    if (*p == 0) malformed_schema();
    if (names) {
      names->names[i] = std::string_view(name, name_end - name);
      if (p != name_end) names->defaults[i] = std::string_view(name_end + 1, p - name_end - 1);
    }
  }
  constexpr char kArrow[] = ") -> ";
  for (int i = 0; kArrow[i] != 0; ++i, ++p) {
    if (*p != kArrow[i]) malformed_schema();
  }
  parse_returns(p, types, names);
}

}  // namespace detail

constexpr SchemaTypes parse_types(const char* text) {
  SchemaTypes out;
  detail::parse(text, &out, nullptr);
  return out;
}

// The text of a type of arguments.
inline const char* kind_text(ArgKind kind) {
  switch (kind) {
#define AG_TEXT(text, name) \
  case ArgKind::name:       \
    return text;
    AG_FOR_EACH_KIND(AG_TEXT)
#undef AG_TEXT
  }
  return "?";
}

inline ParsedSchema parse_schema(const char* text) {
  ParsedSchema out;
  detail::parse(text, &out, &out);
  return out;
}

}  // namespace ampgrad
