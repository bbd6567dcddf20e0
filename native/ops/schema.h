// PyTorch-style schema strings, parsed at compile time: the C++ signature of an op is derived from
// its row in op_table.def, and at run time the same text yields argument names and defaults.
//   "sum(Tensor input, int[]? dim=None, *, bool keepdim=False, ScalarType? dtype=None) -> Tensor"
// Arguments after `*` are options by name only. `Tensor(a)` marks a result that aliases the input.
#pragma once

#include <string_view>
#include <tuple>

#include "ops/value.h"

namespace ampgrad {

inline constexpr int kMaxArgs = 16;

enum class ReturnKind : uint8_t { Tensor, TensorList, Bool, Scalar, Int, None };

struct ParsedSchema {
  ArgKind kinds[kMaxArgs]{};
  std::string_view names[kMaxArgs]{};
  std::string_view defaults[kMaxArgs]{};  // empty: required
  int num_args = 0;
  int num_positional = 0;
  ReturnKind return_kind = ReturnKind::None;
  int num_returns = 0;  // tensors in a fixed tuple
  std::string_view return_names[6]{};
  bool is_view = false;
};

namespace detail {

constexpr std::string_view trim(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

struct KindName {
  std::string_view text;
  ArgKind kind;
};

inline constexpr KindName kKindNames[] = {
    {"Tensor", ArgKind::Tensor},
    {"Tensor?", ArgKind::OptTensor},
    {"Tensor|Scalar", ArgKind::Operand},
    {"Tensor|Scalar?", ArgKind::OptOperand},
    {"Tensor[]", ArgKind::TensorList},
    {"Scalar", ArgKind::Scalar},
    {"Scalar?", ArgKind::OptScalar},
    {"int", ArgKind::Int},
    {"int?", ArgKind::OptInt},
    {"float", ArgKind::Float},
    {"float?", ArgKind::OptFloat},
    {"bool", ArgKind::Bool},
    {"bool?", ArgKind::OptBool},
    {"int[]", ArgKind::IntList},
    {"int[]?", ArgKind::OptIntList},
    {"int[]|str", ArgKind::IntListOrString},
    {"Scalar|str", ArgKind::ScalarOrString},
    {"Scalar|str?", ArgKind::OptScalarOrString},
    {"float[]", ArgKind::FloatList},
    {"float[]?", ArgKind::OptFloatList},
    {"str", ArgKind::String},
    {"str?", ArgKind::OptString},
    {"ScalarType", ArgKind::DType},
    {"ScalarType?", ArgKind::OptDType},
    {"Device?", ArgKind::OptDevice},
};

// Not constexpr on purpose: reaching it during constant evaluation is the compile error.
inline void malformed_schema() {}

constexpr ArgKind parse_kind(std::string_view text) {
  for (const KindName& k : kKindNames) {
    if (k.text == text) return k.kind;
  }
  malformed_schema();
  return ArgKind::Tensor;
}

constexpr void parse_argument(std::string_view text, ParsedSchema* out) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) malformed_schema();
  const size_t equals = text.find('=');
  const int i = out->num_args++;
  out->kinds[i] = parse_kind(text.substr(0, space));
  const size_t name_end = equals == std::string_view::npos ? text.size() : equals;
  out->names[i] = text.substr(space + 1, name_end - space - 1);
  if (equals != std::string_view::npos) out->defaults[i] = text.substr(equals + 1);
}

constexpr void parse_returns(std::string_view text, ParsedSchema* out) {
  if (text == "()") return;
  if (text == "bool") {
    out->return_kind = ReturnKind::Bool;
  } else if (text == "Scalar") {
    out->return_kind = ReturnKind::Scalar;
  } else if (text == "int") {
    out->return_kind = ReturnKind::Int;
  } else if (text == "Tensor[]" || text == "Tensor(a)[]") {
    out->return_kind = ReturnKind::TensorList;
    out->is_view = text == "Tensor(a)[]";
  } else if (text == "Tensor" || text == "Tensor(a)") {
    out->return_kind = ReturnKind::Tensor;
    out->num_returns = 1;
    out->is_view = text == "Tensor(a)";
  } else {
    if (text.empty() || text.front() != '(' || text.back() != ')') malformed_schema();
    out->return_kind = ReturnKind::Tensor;
    text = text.substr(1, text.size() - 2);
    while (!text.empty()) {
      const size_t comma = text.find(',');
      const std::string_view item = trim(text.substr(0, comma));
      if (item.substr(0, 6) != "Tensor") malformed_schema();
      out->return_names[out->num_returns++] = trim(item.substr(6));
      text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    }
  }
}

}  // namespace detail

constexpr ParsedSchema parse_schema(std::string_view text) {
  ParsedSchema out;
  const size_t open = text.find('(');
  const size_t arrow = text.find(") -> ");
  if (open == std::string_view::npos || arrow == std::string_view::npos) detail::malformed_schema();
  std::string_view args = text.substr(open + 1, arrow - open - 1);
  bool keyword_only = false;
  while (!args.empty()) {
    // Commas inside a default such as [0,1] do not separate arguments.
    size_t end = 0;
    int depth = 0;
    while (end < args.size() && (args[end] != ',' || depth > 0)) {
      depth += args[end] == '[' ? 1 : (args[end] == ']' ? -1 : 0);
      ++end;
    }
    const std::string_view item = detail::trim(args.substr(0, end));
    if (item == "*") {
      keyword_only = true;
    } else {
      detail::parse_argument(item, &out);
      if (!keyword_only) out.num_positional = out.num_args;
    }
    args = end == args.size() ? std::string_view() : args.substr(end + 1);
  }
  detail::parse_returns(text.substr(arrow + 5), &out);
  return out;
}

}  // namespace ampgrad
