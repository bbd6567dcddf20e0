// The registry: OpId enumerates the rows of op_table.def, OpDef is a row at run time (schema,
// dtypes, autocast policy, differentiability, boxed implementation). Everything that lists ops
// reads this: the pipeline, the JavaScript exports, the TypeScript types, the tests, the docs.
#pragma once

#include "ops/schema.h"

namespace ampgrad {

enum class OpId : uint16_t {
#define AG_ROW(name, ...) name,
#include "ops/op_table.def"
#undef AG_ROW
  kCount
};

inline constexpr int kNumOps = static_cast<int>(OpId::kCount);

// Autocast policy, the column of amp: which dtype floating inputs are cast to inside autocast.
enum class Cast : uint8_t { None, Lower, Fp32, Promote, Banned };

enum class Diff : uint8_t {
  Yes,        // has an entry in derivatives.cpp
  No,         // declared non-differentiable
  Composite,  // made of other ops, which record themselves
};

enum class Inplace : uint8_t {
  No,
  Yes,   // name_ exists beside name
  Only,  // the op itself writes its first argument (copy_, fill_, ...)
};

struct ArgDef {
  std::string name;
  ArgKind kind;
  bool required;
  bool keyword_only;
  Value default_value;
};

using BoxedFn = void (*)(const Values& args, Values& results);

struct OpDef {
  OpId id;
  const char* name;
  const char* schema;
  std::vector<ArgDef> args;
  int num_positional;
  ReturnKind return_kind;
  int num_returns;
  std::vector<std::string> return_names;
  bool is_view;
  DTypeSet dtypes;  // of the main input, after promotion
  Cast cast;
  Diff diff;
  Inplace inplace;
  BoxedFn fn;
};

const OpDef& op_def(OpId id);
// nullptr when there is no such op.
const OpDef* find_op(std::string_view name);

inline const char* op_name(OpId id) { return op_def(id).name; }

}  // namespace ampgrad
