// The registry: OpDef is a row of op_table.def at run time (schema, dtypes, autocast policy,
// differentiability, boxed implementation). Everything that lists ops reads this: the pipeline, the
// JavaScript exports, the TypeScript types, the tests, the docs.
#pragma once

#include "core/device.h"
#include "ops/op_id.h"
#include "ops/schema.h"

namespace ampgrad {

// What autocast does with the floating-point tensors of a call on one kind of device.
enum class Cast : uint8_t {
  None,       // not listed: runs in the dtypes of its inputs
  Lower,      // cast to the region's dtype
  Fp32,       // cast to float32
  Fp32DType,  // inputs stay; a missing `dtype` argument becomes float32
  Promote,    // cast to the widest of the region's dtype and float32 that is present
  Banned,     // raises
  Keep,       // not listed, and neither is what it is made of here: a single op in PyTorch
};

// The column `cast` of the op table. PyTorch's lists for the CPU and for CUDA differ, so every word
// of the column stands for a pair.
struct CastPolicy {
  Cast cpu;
  Cast cuda;
  constexpr Cast on(DeviceType device) const { return device == DeviceType::Cpu ? cpu : cuda; }
};

namespace casts {
inline constexpr CastPolicy None{Cast::None, Cast::None};
inline constexpr CastPolicy Lower{Cast::Lower, Cast::Lower};
inline constexpr CastPolicy Fp32{Cast::Fp32, Cast::Fp32};
inline constexpr CastPolicy LowerOnCuda{Cast::None, Cast::Lower};
inline constexpr CastPolicy Fp32OnCuda{Cast::None, Cast::Fp32};
inline constexpr CastPolicy Fp32OnCpu{Cast::Fp32, Cast::None};
inline constexpr CastPolicy DTypeOnCuda{Cast::None, Cast::Fp32DType};
inline constexpr CastPolicy PromoteOnCuda{Cast::None, Cast::Promote};
inline constexpr CastPolicy PromoteOnCpu{Cast::Promote, Cast::None};
inline constexpr CastPolicy Fp32OrDType{Cast::Fp32, Cast::Fp32DType};  // CPU Fp32, CUDA Fp32DType
inline constexpr CastPolicy Fp32OrPromote{Cast::Fp32, Cast::Promote};  // CPU Fp32, CUDA Promote
inline constexpr CastPolicy Keep{Cast::Keep, Cast::Keep};
inline constexpr CastPolicy KeepOrLower{Cast::Keep, Cast::Lower};
inline constexpr CastPolicy KeepOrPromote{Cast::Keep, Cast::Promote};
inline constexpr CastPolicy Banned{Cast::Fp32, Cast::Banned};  // CPU Fp32, CUDA Banned
}  // namespace casts

enum class Diff : uint8_t {
  Yes,        // has an entry in derivatives.cpp
  No,         // declared non-differentiable
  Composite,  // made of other ops, which record themselves
};

enum class Inplace : uint8_t {
  No,
  Yes,   // name_ exists beside name, and writes its first argument
  View,  // name_ gives its first argument the geometry of the view that name returns
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
  CastPolicy cast;
  Diff diff;
  Inplace inplace;
  BoxedFn fn;
};

// Whether name_ exists beside name.
inline bool has_inplace_form(const OpDef& op) {
  return op.inplace == Inplace::Yes || op.inplace == Inplace::View;
}

// Whether it makes a tensor that nothing it is given carries gradients to: zeros, randnLike.
bool is_factory(const OpDef& op);

// Whether the results can be written into given tensors. Views have no memory of their own, and
// factories are not offered it: fill_, uniform_ and their kind write in place.
inline bool has_out_form(const OpDef& op) {
  return op.return_kind == ReturnKind::Tensor && !op.is_view && op.inplace != Inplace::Only &&
         !is_factory(op);
}

const OpDef& op_def(OpId id);
// nullptr when there is no such op.
const OpDef* find_op(std::string_view name);

inline const char* op_name(OpId id) { return op_def(id).name; }

}  // namespace ampgrad
