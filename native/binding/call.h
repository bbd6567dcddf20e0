// The one callback behind every op that JavaScript can call.
#pragma once

#include "binding/env.h"

namespace ampgrad::binding {

// Adds `opNames()` to exports, the names of the rows and, for rows with an in-place form, `name_`;
// and `op(name)`, the function of that name or undefined. Each takes one value per schema argument,
// in order; undefined stands for the default.
void export_op_functions(napi_env env, napi_value exports);

// Calls an op with an array of its arguments and writes its results into an array of tensors, as
// call_op_out does.
void call_into(napi_env env, const OpDef& op, napi_value outs, napi_value values);

// { name, schema, args: [...], ... }, a row of the registry as data.
napi_value op_schema(napi_env env, const OpDef& op);

}  // namespace ampgrad::binding
