// The one pipeline every op call goes through, from JavaScript, from C++ and from derivatives:
// cast the arguments inside autocast, run the implementation (which checks, promotes, infers and
// launches) and record it on the tape.
#include "runtime/call.h"
#include "amp/autocast.h"
#include "amp/trace.h"
#include "autograd/grad_mode.h"
#include "autograd/op_node.h"
#include "autograd/view.h"
#include "ops/elementwise.h"
#include "ops/ops.h"
#include "runtime/autocast.h"

namespace ampgrad {

namespace {

bool should_record(const OpDef& op, const Values& args) {
  return op.diff == Diff::Yes && GradMode::enabled() && any_requires_grad(args);
}

void attach_views(const OpDef& op, const Values& args, const Values& results) {
  for (const Value& v : results) {
    if (v.is_tensor()) attach_view(v.get<Tensor>(), op, args);
  }
}

// The result of an op that could not write its target directly.
void copy_result_into(const OpDef& op, const Tensor& self, const Tensor& result) {
  if (result.is_same(self)) return;
  AG_CHECK(result.sizes() == self.sizes(), Shape, op.name, "_: output with shape ", self.sizes(),
           " doesn't match the broadcast shape ", result.sizes());
  check_castable(op, "_", result, self);
  impl::copy_(self, Operand(result), false);
}

void finish_inplace(const OpDef& op, const Values& args, const Tensor& self, bool record,
                    const Tensor& overwritten) {
  NodePtr node;
  if (record) {
    const Values results{Value(self)};
    node = record_op(op, args, results, true, overwritten);
  }
  self.bump_version();
  if (node) rebase_history(self, node);
}

// Integer targets never carry gradients, whatever is written into them.
bool should_record_inplace(const OpDef& op, const Values& args, const Tensor& self) {
  return is_floating(self.dtype()) && should_record(op, args);
}

void run_self_writing_op(const OpDef& op, Values& args, Values& results) {
  const Tensor self = args[0].get<Tensor>();
  check_inplace(op, self);
  const bool record = should_record_inplace(op, args, self);
  const Tensor overwritten = record ? copy_if_overwritten(op, args) : Tensor();
  {
    const GradModeGuard below(GradMode::enabled() && !record);
    op.fn(args, results);
  }
  finish_inplace(op, args, self, record, overwritten);
}

void run_op(const OpDef& op, Values& args, Values& results) {
  if (op.diff == Diff::Composite) {
    op.fn(args, results);
    return;
  }
  if (op.inplace == Inplace::Only) {
    run_self_writing_op(op, args, results);
    return;
  }
  if (should_record(op, args)) {
    {
      const GradModeGuard below(false);
      op.fn(args, results);
    }
    record_op(op, args, results, false);
  } else {
    op.fn(args, results);
  }
  if (op.is_view && GradMode::enabled()) attach_views(op, args, results);
}

// Geometry changes, memory stays. Recorded also below noGrad, where the stand-in has no history:
// a view must know how it is made.
void run_view_inplace(const OpDef& op, Values& args) {
  AG_CHECK(args[0].is_tensor(), Type, op.name, "_: argument 'input' must be a Tensor");
  const Tensor self = args[0].get<Tensor>();
  check_inplace(op, self);
  args[0] = Value(stand_in(self));
  Values results;
  const GradModeGuard recording(true);
  run_op(op, args, results);
  become_view(self, results[0].get<Tensor>());
}

void run_op_inplace(const OpDef& op, Values& args) {
  if (op.inplace == Inplace::View) {
    run_view_inplace(op, args);
    return;
  }
  Values results;
  if (op.inplace == Inplace::Only) {
    run_self_writing_op(op, args, results);
    return;
  }
  AG_CHECK(op.inplace == Inplace::Yes, Value, op.name, ": has no in-place form");
  AG_CHECK(args[0].is_tensor(), Type, op.name, "_: argument 'input' must be a Tensor");
  const Tensor self = args[0].get<Tensor>();
  check_inplace(op, self);
  if (op.diff == Diff::Composite) {
    Values inputs = args;
    // What its parts save must survive the copy into self.
    if (GradMode::enabled() && any_requires_grad(args)) inputs[0] = Value(ops::clone(self));
    op.fn(inputs, results);
    Values copy{Value(self), results[0], Value(false)};
    const Tensor& result = results[0].get<Tensor>();
    AG_CHECK(result.sizes() == self.sizes() && can_cast(result.dtype(), self.dtype()), Shape,
             op.name, "_: a result of ", describe(result), " does not fit into ", describe(self));
    run_op_inplace(op_def(OpId::copy_), copy);
    return;
  }
  const bool record = should_record_inplace(op, args, self);
  const Tensor overwritten = record ? copy_if_overwritten(op, args) : Tensor();
  {
    const GradModeGuard below(false);
    OutputSlot slot(self);
    op.fn(args, results);
    if (!slot.taken()) copy_result_into(op, self, results[0].get<Tensor>());
  }
  finish_inplace(op, args, self, record, overwritten);
}

}  // namespace

void call_op(const OpDef& op, Values& args, Values& results) {
  if (AG_UNLIKELY(Autocast::active())) {
    AutocastTrace* trace = AutocastTrace::current();
    if (AG_UNLIKELY(trace != nullptr)) trace->begin(op, args);
    // An op that isn't listed and is made of others leaves the decision to them.
    const AutocastOutcome outcome = autocast_arguments(op, args);
    if (outcome.listed || op.diff != Diff::Composite) {
      const AutocastOff below(outcome.casts_left);
      run_op(op, args, results);
      if (AG_UNLIKELY(trace != nullptr)) trace->end(results);
      return;
    }
  }
  run_op(op, args, results);
}

// In-place forms are never cast: they keep the dtype of what they write.
void call_op_inplace(const OpDef& op, Values& args) {
  if (AG_UNLIKELY(Autocast::active())) {
    const AutocastOff below;
    run_op_inplace(op, args);
    return;
  }
  run_op_inplace(op, args);
}

}  // namespace ampgrad
