// Calls that write their results into tensors they were given.
#include "amp/autocast.h"
#include "autograd/grad_mode.h"
#include "autograd/op_node.h"
#include "ops/elementwise.h"
#include "ops/ops.h"
#include "runtime/call.h"

namespace ampgrad {

namespace {

bool shares_memory(const Values& args, const Tensor& out) {
  const auto shares = [&](const Tensor& t) { return t.defined() && t.storage() == out.storage(); };
  for (const Value& v : args) {
    if (v.is_tensor() && shares(v.get<Tensor>())) return true;
    if (!v.is<TensorList>()) continue;
    for (const Tensor& t : v.get<TensorList>()) {
      if (shares(t)) return true;
    }
  }
  return false;
}

void check_targets(const OpDef& op, const Values& args, const TensorList& outs) {
  AG_CHECK(has_out_form(op), Value, op.name, ": cannot write its result into a given tensor");
  AG_CHECK(outs.size() == static_cast<size_t>(op.num_returns), Value, op.name, ": expected ",
           op.num_returns, " tensors in 'out', got ", static_cast<int64_t>(outs.size()));
  for (const Tensor& out : outs) {
    AG_CHECK(is_non_overlapping(out.sizes(), out.strides()), Value, op.name,
             ": unsupported operation: more than one element of the written-to tensor refers to a "
             "single memory location. Please clone() the tensor before performing the operation.");
  }
  if (!GradMode::enabled()) return;
  bool wanted = any_requires_grad(args);
  for (const Tensor& out : outs) wanted = wanted || requires_grad(out);
  AG_CHECK(!wanted, Autograd, op.name,
           ": functions with 'out' don't support automatic differentiation, but one of the "
           "arguments requires grad; call it within noGrad()");
}

void check_fits(const OpDef& op, const Tensor& out, const Tensor& result) {
  AG_CHECK(out.sizes() == result.sizes() || out.numel() == 0, Shape, op.name,
           ": argument 'out' must have the shape of the result ", result.sizes(),
           " or no elements, got shape ", out.sizes());
  check_castable(op, "", result, out);
  AG_CHECK(result.device() == out.device(), Device, op.name, ": argument 'out' is on ",
           to_string(out.device()), ", the result on ", to_string(result.device()));
}

void write_result(Tensor* out, const Tensor& result) {
  if (result.is_same(*out)) return;
  if (out->sizes() != result.sizes()) {
    *out = Tensor::empty(result.sizes(), out->dtype(), out->device());
  }
  impl::copy_(*out, Operand(result), false);
}

}  // namespace

void call_op_out(const OpDef& op, Values& args, TensorList& outs) {
  check_targets(op, args, outs);
  const AutocastOff no_casts;
  const GradModeGuard no_grad(false);
  Values results;
  {
    // What an op reads must not change before it is done; nor is one of several results known to be
    // made first.
    const bool direct = outs.size() == 1 && !shares_memory(args, outs[0]);
    const OutputSlot slot(direct ? outs[0] : Tensor(), OutputSlot::Use::Out);
    call_op(op, args, results);
  }
  for (size_t i = 0; i < outs.size(); ++i) check_fits(op, outs[i], results[i].get<Tensor>());
  for (size_t i = 0; i < outs.size(); ++i) {
    write_result(&outs[i], results[i].get<Tensor>());
    outs[i].bump_version();
  }
}

}  // namespace ampgrad
