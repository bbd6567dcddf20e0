#include "runtime/autocast.h"

#include "amp/cast_cache.h"
#include "amp/policy.h"
#include "amp/trace.h"
#include "autograd/grad_mode.h"
#include "autograd/node.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

// Only float32 leaves that want gradients: others are used once, or would pile up. Memory that
// JavaScript owns can change without a new version.
bool cacheable(const Tensor& t, DType target, const CastPlan& plan) {
  const AutocastState& state = Autocast::state();
  if (!state.cache_enabled || t.dtype() != DType::Float32) return false;
  if (target != state.on(plan.device).dtype || t.storage()->adopted()) return false;
  const AutogradMeta* meta = autograd_meta_or_null(t);
  return meta != nullptr && meta->requires_grad && !meta->grad_fn && !meta->view;
}

void trace_cast(const Tensor& cast, bool cached) {
  if (AG_UNLIKELY(AutocastTrace::current() != nullptr)) {
    AutocastTrace::current()->cast(cast, cached);
  }
}

// A cast whose gradients go where those of `t` go: what gathers them casts them to its dtype, so
// that no node is needed.
Tensor cast_of(const Tensor& t, DType target, bool record) {
  const Tensor cast = as_dtype(t, target);
  if (record && requires_grad(t)) {
    const Edge edge = gradient_edge(t);
    set_history(cast, edge.node, edge.output_nr);
  }
  trace_cast(cast, false);
  return cast;
}

Tensor cast_tensor(const Tensor& t, DType target, const CastPlan& plan) {
  if (!cacheable(t, target, plan)) return cast_of(t, target, GradMode::enabled());
  CastCache& cache = CastCache::get();
  Tensor cast = cache.find(t, target);
  if (cast.defined()) {
    trace_cast(cast, true);
    return cast;
  }
  // Recorded even under noGrad: a later use of the cached cast may need its history.
  cast = cast_of(t, target, true);
  cache.insert(t, cast);
  return cast;
}

bool wants_cast(const Tensor& t, const CastPlan& plan) {
  return autocast_eligible(t, plan.device) && t.dtype() != *plan.target;
}

// What `linear` rounds by itself on the CPU: its bias, and a weight that is used this once, since
// the input wants no gradient and none of its casts is cached. Not where casts are counted.
bool left_to_linear(const Values& args, size_t index, const CastPlan& plan) {
  if (plan.device != DeviceType::Cpu || AutocastTrace::current() != nullptr) return false;
  const Tensor& x = args[0].get<Tensor>();
  if (index == 0 || x.dtype() != *plan.target) return false;
  const Tensor& t = args[index].get<Tensor>();
  if (t.dtype() != DType::Float32) return false;
  if (index == 2) return true;
  return GradMode::enabled() && !requires_grad(x) &&
         !CastCache::get().find(t, *plan.target).defined();
}

}  // namespace

AutocastOutcome autocast_arguments(const OpDef& op, Values& args) {
  const CastPlan plan = plan_casts(op, args, Autocast::state());
  if (AG_UNLIKELY(AutocastTrace::current() != nullptr)) {
    AutocastTrace::current()->policy(plan.policy);
  }
  AutocastOutcome outcome{.listed = plan.listed};
  if (!plan.listed) return outcome;
  if (plan.dtype_argument >= 0) {
    args[static_cast<size_t>(plan.dtype_argument)] = Value(DType::Float32);
  }
  if (!plan.target) return outcome;
  const AutocastOff off;
  for (size_t i = 0; i < args.size(); ++i) {
    Value& v = args[i];
    if (v.is_tensor()) {
      if (!wants_cast(v.get<Tensor>(), plan)) continue;
      if (op.id == OpId::linear && left_to_linear(args, i, plan)) {
        outcome.casts_left = true;
      } else {
        v = cast_tensor(v.get<Tensor>(), *plan.target, plan);
      }
    } else if (v.is<TensorList>()) {
      for (Tensor& t : v.get<TensorList>()) {
        if (wants_cast(t, plan)) t = cast_tensor(t, *plan.target, plan);
      }
    }
  }
  return outcome;
}

void exit_autocast_region() {
  if (Autocast::exit()) CastCache::get().clear();
}

}  // namespace ampgrad
