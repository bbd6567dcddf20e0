#include "autograd/node.h"

#include <atomic>

#include "autograd/grad_mode.h"
#include "autograd/view.h"
#include "ops/ops.h"

namespace ampgrad {

namespace {

std::atomic<uint64_t> next_sequence{0};

// Destroying the last node of a long chain must not recurse through the whole chain.
thread_local std::vector<Node*>* pending_destruction = nullptr;

}  // namespace

Node::Node() : sequence(next_sequence.fetch_add(1, std::memory_order_relaxed)) {}
Node::~Node() = default;

void Node::destroy() {
  if (pending_destruction != nullptr) {
    pending_destruction->push_back(this);
    return;
  }
  std::vector<Node*> queue{this};
  pending_destruction = &queue;
  while (!queue.empty()) {
    Node* node = queue.back();
    queue.pop_back();
    delete node;
  }
  pending_destruction = nullptr;
}

AutogradMeta& autograd_meta(const Tensor& t) {
  auto& slot = t.impl()->autograd;
  if (!slot) slot = std::make_unique<AutogradMeta>();
  return static_cast<AutogradMeta&>(*slot);
}

bool requires_grad(const Tensor& t) {
  const AutogradMeta* meta = autograd_meta_or_null(t);
  if (meta == nullptr) return false;
  if (meta->requires_grad || meta->grad_fn) return true;
  // A view whose base began to require grad through an in-place operation.
  return meta->view && grad_fn(t).get() != nullptr;
}

bool is_leaf(const Tensor& t) { return grad_fn(t).get() == nullptr; }

void ViewInfo::check_base() const {
  const AutogradMeta* meta = autograd_meta_or_null(base);
  AG_CHECK((meta == nullptr ? 0 : meta->geometry) == geometry, Autograd,
           "a view was made before an in-place op such as transpose_ changed the shape of its "
           "base; make the view again");
}

Tensor ViewInfo::replay(const Tensor& from) const {
  Tensor current = from;
  for (const auto& step : steps) {
    Values args = step->args;
    args[0] = Value(current);
    Values results;
    call_op(*step->op, args, results);
    current = results[0].get<Tensor>();
  }
  return current;
}

NodePtr grad_fn(const Tensor& t) {
  AutogradMeta* meta = autograd_meta_or_null(t);
  if (meta == nullptr) return nullptr;
  if (meta->view && meta->view->version != t.version()) {
    meta->view->version = t.version();
    const AutogradMeta* base = autograd_meta_or_null(meta->view->base);
    if (base != nullptr && base->grad_fn) {
      meta->view->check_base();
      const GradModeGuard recording(true);
      const Tensor again = meta->view->replay(meta->view->base);
      const AutogradMeta* made = autograd_meta_or_null(again);
      meta->grad_fn = made->grad_fn;
      meta->output_nr = made->output_nr;
    }
  }
  return meta->grad_fn;
}

Edge gradient_edge(const Tensor& t) {
  NodePtr fn = grad_fn(t);
  AutogradMeta* meta = autograd_meta_or_null(t);
  if (fn) return {std::move(fn), meta->output_nr};
  if (meta == nullptr || !meta->requires_grad) return {};
  if (meta->accumulator == nullptr) {
    auto accumulator = make_intrusive<AccumulateGrad>(t);
    meta->accumulator = accumulator.get();
    return {NodePtr(accumulator), 0};
  }
  return {NodePtr(meta->accumulator), 0};
}

void set_requires_grad(const Tensor& t, bool value) {
  AG_CHECK(!value || is_floating(t.dtype()), DType,
           "requiresGrad: only tensors of floating point dtype can require gradients, got ",
           dtype_name(t.dtype()));
  AG_CHECK(is_leaf(t) || value, Autograd,
           "requiresGrad: you can only change requiresGrad flags of leaf tensors; use detach() to "
           "get a tensor that does not require grad");
  if (!is_leaf(t)) return;
  if (!value && autograd_meta_or_null(t) == nullptr) return;
  autograd_meta(t).requires_grad = value;
}

void set_history(const Tensor& t, const NodePtr& node, uint32_t output_nr) {
  AutogradMeta& meta = autograd_meta(t);
  meta.grad_fn = node;
  meta.output_nr = output_nr;
  meta.requires_grad = false;
}

Tensor grad_of(const Tensor& t) {
  const AutogradMeta* meta = autograd_meta_or_null(t);
  if (meta == nullptr) return Tensor();
  return meta->retained ? *meta->retained : meta->grad;
}

void set_grad(const Tensor& t, const Tensor& grad) {
  if (!grad.defined() && autograd_meta_or_null(t) == nullptr) return;
  if (grad.defined()) {
    AG_CHECK(grad.sizes() == t.sizes(), Shape, "grad: expected a gradient of shape ", t.sizes(),
             ", got ", grad.sizes());
    AG_CHECK(grad.dtype() == t.dtype(), DType, "grad: expected a gradient of dtype ",
             dtype_name(t.dtype()), ", got ", dtype_name(grad.dtype()));
    AG_CHECK(grad.device() == t.device(), Device, "grad: expected a gradient on ",
             to_string(t.device()), ", got one on ", to_string(grad.device()));
  }
  AutogradMeta& meta = autograd_meta(t);
  if (meta.retained) {
    *meta.retained = grad;
  } else {
    meta.grad = grad;
  }
}

Tensor detach(const Tensor& t) { return t.alias(); }

namespace {

// The tensor's hooks, attached to the node that delivers its gradient. The accumulator of a leaf
// lives only as long as a graph needs it; each new one takes the hooks from the tensor.
const HookListPtr& hooks_of(const Tensor& t) {
  AutogradMeta& meta = autograd_meta(t);
  if (meta.hooks) return meta.hooks;
  meta.hooks = std::make_shared<HookList>();
  if (const NodePtr fn = grad_fn(t)) {
    fn->tensor_hooks.emplace_back(meta.output_nr, meta.hooks);
  } else if (meta.accumulator != nullptr) {
    meta.accumulator->tensor_hooks.emplace_back(0, meta.hooks);
  }
  return meta.hooks;
}

void remove_from(const HookListPtr& hooks, uint64_t id) {
  if (!hooks) return;
  std::erase_if(hooks->entries, [id](const HookList::Entry& e) { return e.id == id; });
}

uint64_t append(HookList& hooks, GradHook hook) {
  hooks.entries.push_back({hooks.next_id, std::move(hook)});
  return hooks.next_id++;
}

}  // namespace

void retain_grad(const Tensor& t) {
  AG_CHECK(requires_grad(t), Autograd, "retainGrad: the tensor does not require grad");
  if (is_leaf(t)) return;
  AutogradMeta& meta = autograd_meta(t);
  if (meta.retained) return;
  meta.retained = std::make_shared<Tensor>();
  append(*hooks_of(t), [slot = meta.retained](const Tensor& g) {
    *slot = slot->defined() ? ops::add(*slot, g) : (GradMode::enabled() ? g : detach(g));
    return Tensor();
  });
}

uint64_t add_hook(const Tensor& t, GradHook hook) {
  AG_CHECK(requires_grad(t), Autograd,
           "registerHook: cannot register a hook on a tensor that does not require gradient");
  return append(*hooks_of(t), std::move(hook));
}

void remove_hook(const Tensor& t, uint64_t id) { remove_from(autograd_meta(t).hooks, id); }

uint64_t add_post_accumulate_hook(const Tensor& t, GradHook hook) {
  AG_CHECK(is_leaf(t) && requires_grad(t), Autograd,
           "registerPostAccumulateGradHook: the tensor must be a leaf that requires grad");
  AutogradMeta& meta = autograd_meta(t);
  if (!meta.post_accumulate_hooks) meta.post_accumulate_hooks = std::make_shared<HookList>();
  return append(*meta.post_accumulate_hooks, std::move(hook));
}

void remove_post_accumulate_hook(const Tensor& t, uint64_t id) {
  remove_from(autograd_meta(t).post_accumulate_hooks, id);
}

AccumulateGrad::AccumulateGrad(const Tensor& variable) : variable_(variable) {
  outputs.emplace_back(variable);
  sequence = UINT64_MAX;  // gradients of leaves are written as soon as they are complete
  const AutogradMeta& meta = autograd_meta(variable);
  if (meta.hooks) tensor_hooks.emplace_back(0, meta.hooks);
}

AccumulateGrad::~AccumulateGrad() { autograd_meta(variable_).accumulator = nullptr; }

TensorList AccumulateGrad::apply(TensorList&& grads) {
  Tensor g = std::move(grads[0]);
  if (!g.defined()) return {};
  AutogradMeta& meta = autograd_meta(variable_);
  if (!meta.grad.defined()) {
    if (GradMode::enabled()) {
      meta.grad = g;
    } else {
      // Nobody else sees this memory: keep it instead of copying.
      const bool sole = g.impl()->use_count() == 1 && g.storage()->use_count() == 1 &&
                        g.is_contiguous() && g.storage()->bytes() == g.nbytes();
      meta.grad = sole ? detach(g) : detach(ops::clone(g));
    }
  } else if (GradMode::enabled()) {
    meta.grad = ops::add(meta.grad, g);
  } else {
    Values args{Value(meta.grad), Value(g), Value(Scalar(1))};
    call_op_inplace(op_def(OpId::add), args);
  }
  if (meta.post_accumulate_hooks) {
    const auto entries = meta.post_accumulate_hooks->entries;
    for (const auto& entry : entries) entry.fn(variable_);
  }
  return {};
}

}  // namespace ampgrad
