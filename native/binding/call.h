// The one callback behind every op that JavaScript can call.
#pragma once

#include "binding/env.h"

namespace ampgrad::binding {

// Adds `ops` to exports: { name: function, ... } and, for rows with an in-place form, `name_`.
// Each function takes one value per schema argument, in order; undefined stands for the default.
void export_ops(napi_env env, napi_value exports);

// Calls an op with an array of its arguments and writes its results into an array of tensors, as
// call_op_out does.
void call_into(napi_env env, const OpDef& op, napi_value outs, napi_value values);

// { name, schema, args: [...], ... }, a row of the registry as data.
napi_value op_schema(napi_env env, const OpDef& op);

}  // namespace ampgrad::binding
