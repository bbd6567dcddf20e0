// The tape: graph nodes, the edges between them, and what autograd attaches to a tensor. A node
// turns gradients of its outputs into gradients of its inputs; edges point from a result back to
// what it was computed from.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/inline_vector.h"
#include "core/tensor.h"
#include "ops/op.h"

namespace ampgrad {

class Node;
using NodePtr = IntrusivePtr<Node>;

struct Edge {
  NodePtr node;
  uint32_t output_nr = 0;  // which output of `node` the gradient belongs to
  bool valid() const { return static_cast<bool>(node); }
};

// What a gradient must look like to fit the tensor it belongs to.
struct TensorMeta {
  Dims sizes;
  DType dtype = DType::Float32;
  Device device;

  TensorMeta() = default;
  explicit TensorMeta(const Tensor& t) : sizes(t.sizes()), dtype(t.dtype()), device(t.device()) {}
};

// Called with the gradient of a tensor; returns a replacement or an undefined tensor to keep it.
using GradHook = std::function<Tensor(const Tensor&)>;

struct HookList {
  struct Entry {
    uint64_t id;
    GradHook fn;
  };
  std::vector<Entry> entries;
  uint64_t next_id = 0;
};
using HookListPtr = std::shared_ptr<HookList>;

class Node : public RefCounted {
 public:
  Node();
  ~Node() override;

  // Gradients of the outputs (undefined where nothing flowed) to gradients of the inputs.
  virtual TensorList apply(TensorList&& grads) = 0;
  virtual std::string name() const = 0;
  // Frees saved tensors; apply after this raises.
  virtual void release_saved() {}
  // Whether apply wants to be called at all when every incoming gradient is undefined.
  virtual bool accepts_undefined() const { return false; }

  InlineVector<Edge, 3> edges;          // one per differentiable input
  InlineVector<TensorMeta, 1> outputs;  // one per output
  std::vector<std::pair<uint32_t, HookListPtr>> tensor_hooks;
  uint64_t sequence;  // creation order: a node is always newer than what it depends on
  std::unique_ptr<std::string> origin;  // where it was recorded, under anomaly detection

  // The running backward pass that knows this node, and where it keeps what it knows.
  struct Pass {
    uint64_t id = 0;
    size_t index = 0;
  };
  Pass pass;

  bool needs_edge(size_t i) const { return edges[i].valid(); }

 protected:
  void destroy() override;
};

// Sum of gradients arriving at a leaf: writes .grad.
class AccumulateGrad final : public Node {
 public:
  explicit AccumulateGrad(const Tensor& variable);
  ~AccumulateGrad() override;
  TensorList apply(TensorList&& grads) override;
  std::string name() const override { return "AccumulateGrad"; }
  const Tensor& variable() const { return variable_; }

 private:
  Tensor variable_;
};

// A view of another tensor: how to make it again from its base. Needed when an in-place operation
// on either of them changes history that the other must see.
struct ViewStep {
  const OpDef* op;
  Values args;  // args[0] is replaced by the tensor to view
};
struct ViewInfo {
  Tensor base;
  std::vector<std::shared_ptr<const ViewStep>> steps;
  uint32_t version;       // of the storage when grad_fn was last right
  uint32_t geometry = 0;  // of the base when the view was made

  // Raises when the base was given another geometry since.
  void check_base() const;

  Tensor replay(const Tensor& from) const;
};

struct AutogradMeta final : AutogradMetaBase, Pooled<AutogradMeta> {
  NodePtr grad_fn;
  uint32_t output_nr = 0;
  uint32_t geometry = 0;                  // counts changes by in-place views such as transpose_
  bool requires_grad = false;             // of a leaf; a tensor with grad_fn requires grad by that
  Tensor grad;                            // of a leaf
  std::shared_ptr<Tensor> retained;       // of a non-leaf after retain_grad; shared with its hook
  AccumulateGrad* accumulator = nullptr;  // cleared by its destructor; it owns the tensor
  HookListPtr hooks;
  HookListPtr post_accumulate_hooks;
  std::unique_ptr<ViewInfo> view;

  const Tensor* accumulated_gradient() const override { return &grad; }
};

AutogradMeta& autograd_meta(const Tensor& t);  // creates it
inline AutogradMeta* autograd_meta_or_null(const Tensor& t) {
  return static_cast<AutogradMeta*>(t.impl()->autograd.get());
}

bool requires_grad(const Tensor& t);
bool is_leaf(const Tensor& t);
// The node that computed `t`; regenerates it for a view whose base was modified in place.
NodePtr grad_fn(const Tensor& t);
// Where the gradient of `t` goes: its grad_fn, or the accumulator of a leaf; invalid if none.
Edge gradient_edge(const Tensor& t);
void set_requires_grad(const Tensor& t, bool value);
void set_history(const Tensor& t, const NodePtr& node, uint32_t output_nr);
Tensor grad_of(const Tensor& t);
void set_grad(const Tensor& t, const Tensor& grad);
void retain_grad(const Tensor& t);
// A handle on the same data that is not part of the graph.
Tensor detach(const Tensor& t);

uint64_t add_hook(const Tensor& t, GradHook hook);
void remove_hook(const Tensor& t, uint64_t id);
uint64_t add_post_accumulate_hook(const Tensor& t, GradHook hook);
void remove_post_accumulate_hook(const Tensor& t, uint64_t id);

}  // namespace ampgrad
