// Exports of autograd: flags, gradients, backward, hooks and custom functions written in
// JavaScript.
#include "amp/autocast.h"
#include "autograd/anomaly.h"
#include "autograd/engine.h"
#include "autograd/grad_mode.h"
#include "autograd/op_node.h"
#include "autograd/view.h"
#include "binding/function.h"

namespace ampgrad::binding {

namespace {

// A JavaScript function held by the graph. Released inside the collector or on backward, so the
// reference is only queued for deletion.
class JsFunction {
 public:
  JsFunction(EnvState* state, napi_value fn) : state_(state) {
    check_status(state->env, napi_create_reference(state->env, fn, 1, &ref_));
  }
  ~JsFunction() {
    if (!state_->closed) state_->dead_refs.push_back(ref_);
  }
  JsFunction(const JsFunction&) = delete;
  JsFunction& operator=(const JsFunction&) = delete;

  napi_env env() const { return state_->env; }
  EnvState* state() const { return state_; }

  napi_value call(size_t argc, const napi_value* argv) const {
    napi_value fn;
    napi_value undefined;
    napi_value result;
    check_status(env(), napi_get_reference_value(env(), ref_, &fn));
    check_status(env(), napi_get_undefined(env(), &undefined));
    check_status(env(), napi_call_function(env(), undefined, fn, argc, argv, &result));
    return result;
  }

 private:
  EnvState* state_;
  napi_ref ref_ = nullptr;
};

class HandleScope {
 public:
  explicit HandleScope(napi_env env) : env_(env) {
    check_status(env, napi_open_handle_scope(env, &scope_));
  }
  ~HandleScope() { napi_close_handle_scope(env_, scope_); }
  HandleScope(const HandleScope&) = delete;
  HandleScope& operator=(const HandleScope&) = delete;

 private:
  napi_env env_;
  napi_handle_scope scope_ = nullptr;
};

bool is_nullish(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  check_status(env, napi_typeof(env, value, &type));
  return type == napi_undefined || type == napi_null;
}

GradHook make_hook(const Call& c, size_t i) {
  auto fn = std::make_shared<JsFunction>(c.state, c.argv[i]);
  return [fn](const Tensor& t) {
    const HandleScope scope(fn->env());
    const napi_value argument = wrap_tensor(fn->state(), t);
    const napi_value result = fn->call(1, &argument);
    return is_nullish(fn->env(), result) ? Tensor()
                                         : tensor_argument(fn->env(), result, "hook: result");
  };
}

// Backward of a custom Function: calls JavaScript with an array of gradients (null where none
// arrived), expects an array with a gradient or null per tensor input.
class JsNode final : public Node {
 public:
  JsNode(EnvState* state, napi_value fn, std::string name)
      : fn_(state, fn), name_(std::move(name)) {}

  std::string name() const override { return name_; }

  TensorList apply(TensorList&& grads) override {
    napi_env env = fn_.env();
    const HandleScope scope(env);
    napi_value list;
    check_status(env, napi_create_array_with_length(env, grads.size(), &list));
    for (size_t i = 0; i < grads.size(); ++i) {
      napi_value element;
      if (grads[i].defined()) {
        element = wrap_tensor(fn_.state(), grads[i]);
      } else {
        check_status(env, napi_get_null(env, &element));
      }
      check_status(env, napi_set_element(env, list, static_cast<uint32_t>(i), element));
    }
    Call result{env, fn_.state(), 1, {fn_.call(1, &list)}};
    const std::string where = name_ + ": result of backward";
    TensorList out = result.tensors(0, where.c_str());
    AG_CHECK(out.size() == edges.size(), Autograd, name_,
             " returned an incorrect number of gradients (expected ",
             static_cast<int64_t>(edges.size()), ", got ", static_cast<int64_t>(out.size()), ")");
    return out;
  }

 private:
  JsFunction fn_;
  std::string name_;
};

// (name, inputs, outputs, backward): makes the outputs results of a node. Outputs must be fresh
// tensors; inputs that do not require grad get no edge.
napi_value custom_function(const Call& c) {
  napi_valuetype kinds[2] = {napi_undefined, napi_undefined};
  check_status(c.env, napi_typeof(c.env, c.argv[0], &kinds[0]));
  check_status(c.env, napi_typeof(c.env, c.argv[3], &kinds[1]));
  AG_CHECK(kinds[0] == napi_string && kinds[1] == napi_function, Type,
           "Function.apply: expected a name and a backward function");
  const TensorList inputs = c.tensors(1, "Function.apply: inputs");
  const TensorList outputs = c.tensors(2, "Function.apply: outputs");
  auto node = make_intrusive<JsNode>(c.state, c.argv[3], c.string(0));
  if (AnomalyMode::enabled()) AnomalyMode::note_origin(*node);
  for (const Tensor& t : inputs) node->edges.push_back(gradient_edge(t));
  for (size_t i = 0; i < outputs.size(); ++i) {
    AG_CHECK(outputs[i].defined(), Type, node->name(), ": forward must return Tensors");
    node->outputs.emplace_back(outputs[i]);
    if (is_floating(outputs[i].dtype())) {
      set_history(outputs[i], NodePtr(node), static_cast<uint32_t>(i));
    }
  }
  return c.undefined();
}

// ctx.saveForBackward keeps tensors natively, with version checks and without cycles.
napi_value requires_grad_of(const Call& c) {
  return c.boolean_value(requires_grad(c.tensor(0, "requiresGrad")));
}
napi_value set_requires_grad_of(const Call& c) {
  set_requires_grad(c.tensor(0, "requiresGrad"), c.boolean(1));
  return c.undefined();
}
napi_value is_leaf_of(const Call& c) { return c.boolean_value(is_leaf(c.tensor(0, "isLeaf"))); }
napi_value grad_fn_of(const Call& c) {
  const NodePtr fn = grad_fn(c.tensor(0, "gradFn"));
  return fn ? c.text(fn->name()) : c.null();
}
napi_value grad_get(const Call& c) { return c.wrap(grad_of(c.tensor(0, "grad"))); }
napi_value grad_set(const Call& c) {
  set_grad(c.tensor(0, "grad"), c.is_absent(1) ? Tensor() : c.tensor(1, "grad"));
  return c.undefined();
}
napi_value retain_grad_of(const Call& c) {
  retain_grad(c.tensor(0, "retainGrad"));
  return c.undefined();
}
napi_value detach_(const Call& c) {
  const Tensor& t = c.tensor(0, "detach_");
  if (AutogradMeta* meta = autograd_meta_or_null(t)) {
    AG_CHECK(!meta->view, Autograd, "detach_: can't detach views in-place; use detach() instead");
    meta->grad_fn.reset();
    meta->requires_grad = false;
  }
  return c.undefined();
}

napi_value zero_grads(const Call& c) {
  const bool set_to_none = c.boolean(1);
  for (const Tensor& t : c.tensors(0, "zeroGrad")) {
    const Tensor g = grad_of(t);
    if (!g.defined()) continue;
    if (set_to_none) {
      set_grad(t, Tensor());
    } else {
      const GradModeGuard off(false);
      ops::zero_(detach(g));
    }
  }
  return c.undefined();
}

napi_value grads_of(const Call& c) {
  TensorList out;
  for (const Tensor& t : c.tensors(0, "grads")) out.push_back(grad_of(t));
  return c.wrap_list(out);
}

// The kinds of gradients that tensors have, as dtype, device and the index of the first tensor with
// it, one kind after the other. No handles of gradients are made: until they are collected they
// would keep the memory that the next step's gradients could have.
napi_value gradient_kinds(const Call& c) {
  struct Kind {
    DType dtype;
    Device device;
  };
  SmallVector<Kind, 4> kinds;
  napi_value out;
  check_status(c.env, napi_create_array(c.env, &out));
  uint32_t length = 0;
  const auto push = [&](napi_value v) {
    check_status(c.env, napi_set_element(c.env, out, length++, v));
  };
  const TensorList tensors = c.tensors(0, "gradientKinds");
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor g = grad_of(tensors[i]);
    if (!g.defined()) continue;
    const bool known = std::any_of(kinds.begin(), kinds.end(), [&](const Kind& k) {
      return k.dtype == g.dtype() && k.device == g.device();
    });
    if (known) continue;
    kinds.push_back({g.dtype(), g.device()});
    push(c.text(dtype_name(g.dtype())));
    push(c.text(to_string(g.device())));
    push(c.number(static_cast<double>(i)));
  }
  return out;
}

// ampUnscaleStep_ of the gradients of tensors that are where the flag is.
napi_value unscale_gradients(const Call& c) {
  const Tensor& flag = c.tensor(1, "unscaleGradients: flag");
  TensorList gradients;
  for (const Tensor& t : c.tensors(0, "unscaleGradients")) {
    Tensor g = grad_of(t);
    if (g.defined() && g.device() == flag.device()) gradients.push_back(std::move(g));
  }
  ops::ampUnscaleStep_(gradients, flag, c.tensor(2, "unscaleGradients: factor"));
  return c.undefined();
}

// Backward passes run outside autocast: every formula keeps to the dtypes of the forward pass.
napi_value run_backward(const Call& c) {
  const AutocastOff no_casts;
  backward(c.tensors(0, "backward: tensors"), c.tensors(1, "backward: gradient"),
           c.tensors(2, "backward: inputs"),
           {.retain_graph = c.boolean(3), .create_graph = c.boolean(4)});
  return c.undefined();
}

napi_value run_grad(const Call& c) {
  const AutocastOff no_casts;
  return c.wrap_list(grad(
      c.tensors(0, "grad: outputs"), c.tensors(1, "grad: gradOutputs"),
      c.tensors(2, "grad: inputs"),
      {.retain_graph = c.boolean(3), .create_graph = c.boolean(4), .allow_unused = c.boolean(5)}));
}

napi_value hook_add(const Call& c) {
  return c.number(static_cast<double>(add_hook(c.tensor(0, "registerHook"), make_hook(c, 1))));
}
napi_value hook_remove(const Call& c) {
  const Handle* handle = handle_of(c.env, c.argv[0]);
  if (handle != nullptr && handle->tensor.defined()) {
    remove_hook(handle->tensor, static_cast<uint64_t>(c.integer(1, "hook")));
  }
  return c.undefined();
}
napi_value post_hook_add(const Call& c) {
  const Tensor& t = c.tensor(0, "registerPostAccumulateGradHook");
  return c.number(static_cast<double>(add_post_accumulate_hook(t, make_hook(c, 1))));
}
napi_value post_hook_remove(const Call& c) {
  const Handle* handle = handle_of(c.env, c.argv[0]);
  if (handle != nullptr && handle->tensor.defined()) {
    remove_post_accumulate_hook(handle->tensor, static_cast<uint64_t>(c.integer(1, "hook")));
  }
  return c.undefined();
}

napi_value grad_enabled(const Call& c) { return c.boolean_value(GradMode::enabled()); }
napi_value set_grad_enabled(const Call& c) {
  const bool previous = GradMode::enabled();
  GradMode::set_enabled(c.boolean(0));
  return c.boolean_value(previous);
}

// In-place writes from JavaScript (custom functions) must be seen by version checks.
napi_value bump_version(const Call& c) {
  c.tensor(0, "markDirty").bump_version();
  return c.undefined();
}

// (check for NaN, () => where the program is)
napi_value enable_anomaly(const Call& c) {
  auto fn = std::make_shared<JsFunction>(c.state, c.argv[1]);
  AnomalyMode::enable(c.boolean(0), [fn] {
    const HandleScope scope(fn->env());
    return string_of(fn->env(), fn->call(0, nullptr));
  });
  return c.undefined();
}
napi_value disable_anomaly(const Call& c) {
  AnomalyMode::disable();
  return c.undefined();
}

napi_value inconsistent(const Call& c) {
  napi_value out;
  const auto names = inconsistent_derivatives();
  check_status(c.env, napi_create_array_with_length(c.env, names.size(), &out));
  for (size_t i = 0; i < names.size(); ++i) {
    check_status(c.env, napi_set_element(c.env, out, static_cast<uint32_t>(i), c.text(names[i])));
  }
  return out;
}

}  // namespace

void export_autograd_functions(napi_env env, napi_value exports) {
  static constexpr Export kExports[] = {
      {"requiresGrad", entry<requires_grad_of>},
      {"setRequiresGrad", entry<set_requires_grad_of>},
      {"isLeaf", entry<is_leaf_of>},
      {"gradFn", entry<grad_fn_of>},
      {"grad", entry<grad_get>},
      {"setGrad", entry<grad_set>},
      {"grads", entry<grads_of>},
      {"gradientKinds", entry<gradient_kinds>},
      {"unscaleGradients", entry<unscale_gradients>},
      {"zeroGrads", entry<zero_grads>},
      {"retainGrad", entry<retain_grad_of>},
      {"detachInPlace", entry<detach_>},
      {"runBackward", entry<run_backward>},
      {"runGrad", entry<run_grad>},
      {"addHook", entry<hook_add>},
      {"removeHook", entry<hook_remove>},
      {"addPostAccumulateHook", entry<post_hook_add>},
      {"removePostAccumulateHook", entry<post_hook_remove>},
      {"isGradEnabled", entry<grad_enabled>},
      {"setGradEnabled", entry<set_grad_enabled>},
      {"customFunction", entry<custom_function>},
      {"bumpVersion", entry<bump_version>},
      {"enableAnomaly", entry<enable_anomaly>},
      {"disableAnomaly", entry<disable_anomaly>},
      {"inconsistentDerivatives", entry<inconsistent>},
  };
  export_functions(env, exports, kExports, std::size(kExports));
}

}  // namespace ampgrad::binding
