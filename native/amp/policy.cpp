#include "amp/policy.h"

namespace ampgrad {

namespace {

// fn(tensor, index of its argument) for every defined tensor.
template <class F>
void each_tensor(const Values& args, F fn) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i].is_tensor()) {
      if (args[i].get<Tensor>().defined()) fn(args[i].get<Tensor>(), i);
    } else if (args[i].is<TensorList>()) {
      for (const Tensor& t : args[i].get<TensorList>()) {
        if (t.defined()) fn(t, i);
      }
    }
  }
}

// The enabled kind of device that the call runs on; CUDA first, as a number-like CPU tensor may
// stand beside CUDA tensors.
std::optional<DeviceType> device_of_call(const Values& args, const AutocastState& state) {
  bool seen[kNumDeviceTypes] = {};
  each_tensor(args,
              [&](const Tensor& t, size_t) { seen[static_cast<size_t>(t.device().type)] = true; });
  for (DeviceType type : {DeviceType::Cuda, DeviceType::Cpu}) {
    if (seen[static_cast<size_t>(type)] && state.on(type).enabled) return type;
  }
  return std::nullopt;
}

const char* argument_name(const OpDef& op, size_t index) { return op.args[index].name.c_str(); }

// The casts would leave a float64 operand beside a half one, which no product accepts.
void reject_float64_mixture(const OpDef& op, const Values& args, DeviceType device, DType fast) {
  int wide = -1;
  int narrow = -1;
  each_tensor(args, [&](const Tensor& t, size_t i) {
    if (t.device().type == device && t.dtype() == DType::Float64) wide = static_cast<int>(i);
    if (autocast_eligible(t, device)) narrow = static_cast<int>(i);
  });
  if (wide < 0 || narrow < 0) return;
  AG_FAIL(DType, op.name, ": argument '", argument_name(op, static_cast<size_t>(wide)),
          "' is float64, which autocast never casts, while argument '",
          argument_name(op, static_cast<size_t>(narrow)), "' is cast to ", dtype_name(fast),
          "; convert the float64 tensor with .float() or compute outside the region");
}

DType promoted(const OpDef& op, const Values& args, DeviceType device, DType fast) {
  DType result = fast;
  each_tensor(args, [&](const Tensor& t, size_t i) {
    if (!autocast_eligible(t, device) || t.dtype() == result) return;
    const bool wide = result == DType::Float32 || t.dtype() == DType::Float32;
    AG_CHECK(wide, DType, op.name, ": unexpected floating dtype ", dtype_name(t.dtype()),
             " of argument '", argument_name(op, i), "' in an autocast region of ",
             dtype_name(fast), "; expected ", dtype_name(fast), " or float32");
    result = DType::Float32;
  });
  return result;
}

[[noreturn]] void raise_banned(const OpDef& op) {
  AG_FAIL(
      Value, op.name,
      " is unsafe to autocast, as is BCELoss: float16 cannot hold its gradients. "
      "Many models use a sigmoid layer right before the binary cross entropy layer. In this case, "
      "combine the two layers using binaryCrossEntropyWithLogits or nn.BCEWithLogitsLoss, which "
      "are safe to autocast. Otherwise compute the loss with float32 inputs in a region of "
      "autocast with enabled: false");
}

void plan_dtype_argument(const OpDef& op, const Values& args, CastPlan* plan) {
  for (const Value& v : args) {
    if (!v.is_tensor()) continue;
    if (!autocast_eligible(v.get<Tensor>(), plan->device)) return;
    break;
  }
  for (size_t i = 0; i < op.args.size(); ++i) {
    if (op.args[i].kind == ArgKind::OptDType && args[i].is_none()) {
      plan->dtype_argument = static_cast<int>(i);
    }
  }
}

}  // namespace

bool autocast_eligible(const Tensor& t, DeviceType device) {
  return t.defined() && t.device().type == device && is_floating(t.dtype()) &&
         t.dtype() != DType::Float64;
}

CastPlan plan_casts(const OpDef& op, const Values& args, const AutocastState& state) {
  CastPlan plan;
  if (op.cast.cpu == Cast::None && op.cast.cuda == Cast::None) return plan;
  const std::optional<DeviceType> device = device_of_call(args, state);
  if (!device) return plan;
  plan.device = *device;
  const AutocastDevice& region = state.on(*device);
  plan.policy = op.cast.on(region.list);
  switch (plan.policy) {
    case Cast::None:
      return plan;
    case Cast::Lower:
      reject_float64_mixture(op, args, *device, region.dtype);
      plan.target = region.dtype;
      break;
    case Cast::Fp32:
      plan.target = DType::Float32;
      break;
    case Cast::Fp32DType:
      plan_dtype_argument(op, args, &plan);
      break;
    case Cast::Promote:
      plan.target = promoted(op, args, *device, region.dtype);
      break;
    case Cast::Banned:
      raise_banned(op);
    case Cast::Keep:
      break;
  }
  plan.listed = true;
  return plan;
}

}  // namespace ampgrad
