#include "autograd/engine.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

#include "autograd/anomaly.h"
#include "autograd/grad_mode.h"
#include "ops/ops.h"

namespace ampgrad {

namespace {

struct NodeState {
  int waiting = 0;                                    // edges that will still deliver a gradient
  bool needed = true;                                 // lies on a path to a requested input
  TensorList buffer;                                  // gradients of the outputs gathered so far
  std::vector<std::pair<uint32_t, size_t>> captures;  // (output, index of the requested input)
};

bool solely_owned(const Tensor& t) {
  return t.impl()->use_count() == 1 && t.storage()->use_count() == 1;
}

void accumulate(Tensor& slot, Tensor&& gradient) {
  if (!slot.defined()) {
    slot = std::move(gradient);
  } else if (!GradMode::enabled() && solely_owned(slot) && slot.sizes() == gradient.sizes() &&
             slot.dtype() == gradient.dtype() && slot.is_contiguous()) {
    Values args{Value(slot), Value(std::move(gradient)), Value(Scalar(1))};
    call_op_inplace(op_def(OpId::add), args);
  } else {
    slot = ops::add(slot, gradient);
  }
}

class Engine {
 public:
  // captured == nullptr: gradients are accumulated into the leaves.
  Engine(const BackwardOptions& options, TensorList* captured)
      : options_(options), captured_(captured) {}

  // Restricts the pass to what leads to this edge; its gradient goes to captured[index].
  void capture(const Edge& edge, size_t index) {
    states_[edge.node.get()].captures.emplace_back(edge.output_nr, index);
    selective_ = true;
  }

  void run(const std::vector<Edge>& roots, TensorList&& grads) {
    count_dependencies(roots);
    if (selective_) mark_needed();
    for (size_t i = 0; i < roots.size(); ++i) deliver(roots[i], std::move(grads[i]));
    for (const Edge& root : roots) {
      if (states_[root.node.get()].waiting == 0) push_once(root.node);
    }
    while (!ready_.empty()) {
      const NodePtr node = ready_.top();
      ready_.pop();
      evaluate(node);
    }
  }

 private:
  struct Newest {
    bool operator()(const NodePtr& a, const NodePtr& b) const { return a->sequence < b->sequence; }
  };

  void push_once(const NodePtr& node) {
    NodeState& state = states_[node.get()];
    if (state.waiting != 0) return;
    state.waiting = -1;  // queued
    ready_.push(node);
  }

  void count_dependencies(const std::vector<Edge>& roots) {
    std::vector<Node*> stack;
    std::unordered_map<Node*, bool> seen;
    for (const Edge& root : roots) {
      if (seen.emplace(root.node.get(), true).second) stack.push_back(root.node.get());
    }
    while (!stack.empty()) {
      Node* node = stack.back();
      stack.pop_back();
      order_.push_back(node);
      states_[node];
      for (const Edge& e : node->edges) {
        if (!e.valid()) continue;
        ++states_[e.node.get()].waiting;
        if (seen.emplace(e.node.get(), true).second) stack.push_back(e.node.get());
      }
    }
  }

  // A node is needed if a requested input lies behind it. Nodes are older than what depends on
  // them, so one pass from the oldest to the newest settles it.
  void mark_needed() {
    // Accumulators carry the highest sequence so that they run first; they have no edges.
    const auto age = [](const Node* n) { return n->edges.empty() ? 0 : n->sequence; };
    std::sort(order_.begin(), order_.end(), [&](Node* a, Node* b) { return age(a) < age(b); });
    for (Node* node : order_) {
      NodeState& state = states_[node];
      state.needed = !state.captures.empty();
      for (const Edge& e : node->edges) {
        if (e.valid() && states_[e.node.get()].needed) state.needed = true;
      }
    }
  }

  void deliver(const Edge& edge, Tensor&& gradient) {
    NodeState& state = states_[edge.node.get()];
    if (state.buffer.empty()) state.buffer.resize(edge.node->outputs.size());
    if (gradient.defined()) accumulate(state.buffer[edge.output_nr], std::move(gradient));
  }

  void run_hooks(Node& node, TensorList& grads) {
    for (const auto& [output, hooks] : node.tensor_hooks) {
      const auto entries = hooks->entries;  // a hook may remove itself
      for (const auto& entry : entries) {
        if (!grads[output].defined()) break;
        Tensor replacement = entry.fn(grads[output]);
        if (replacement.defined()) {
          grads[output] = fit_gradient(replacement, node.outputs[output], node);
        }
      }
    }
  }

  void evaluate(const NodePtr& node) {
    NodeState& state = states_[node.get()];
    TensorList grads = std::move(state.buffer);
    grads.resize(node->outputs.size());
    const bool any =
        std::any_of(grads.begin(), grads.end(), [](const Tensor& t) { return t.defined(); });
    TensorList results;
    if (state.needed && any) {
      run_hooks(*node, grads);
      if (captured_ != nullptr) {
        for (const auto& [output, index] : state.captures) (*captured_)[index] = grads[output];
      }
      const bool is_leaf_node = node->edges.empty();
      if (is_leaf_node ? captured_ == nullptr : continues(*node)) {
        results = AG_UNLIKELY(AnomalyMode::enabled()) ? apply_watched(*node, std::move(grads))
                                                      : node->apply(std::move(grads));
        if (!options_.retain_graph) node->release_saved();
      }
    }
    propagate(*node, std::move(results));
  }

  // Whether anything behind this node is wanted.
  bool continues(const Node& node) {
    if (!selective_) return true;
    return std::any_of(node.edges.begin(), node.edges.end(),
                       [&](const Edge& e) { return e.valid() && states_[e.node.get()].needed; });
  }

  void propagate(Node& node, TensorList&& results) {
    AG_ASSERT(results.empty() || results.size() == node.edges.size());
    for (size_t i = 0; i < node.edges.size(); ++i) {
      const Edge& e = node.edges[i];
      if (!e.valid()) continue;
      NodeState& next = states_[e.node.get()];
      if (!results.empty() && results[i].defined() && next.needed) {
        deliver(e, fit_gradient(std::move(results[i]), e.node->outputs[e.output_nr], node));
      }
      if (--next.waiting == 0) push_once(e.node);
    }
  }

  const BackwardOptions& options_;
  TensorList* captured_;
  bool selective_ = false;
  std::unordered_map<Node*, NodeState> states_;
  std::vector<Node*> order_;
  std::priority_queue<NodePtr, std::vector<NodePtr>, Newest> ready_;
};

std::vector<Edge> root_edges(const char* op, const TensorList& tensors) {
  std::vector<Edge> roots;
  for (size_t i = 0; i < tensors.size(); ++i) {
    roots.push_back(gradient_edge(tensors[i]));
    AG_CHECK(roots.back().valid(), Autograd, op, ": element ", static_cast<int64_t>(i),
             " of tensors does not require grad and does not have a grad_fn");
  }
  return roots;
}

TensorList root_gradients(const char* op, const TensorList& tensors, const TensorList& grads) {
  AG_CHECK(grads.empty() || grads.size() == tensors.size(), Value, op, ": got ",
           static_cast<int64_t>(tensors.size()), " tensors and ",
           static_cast<int64_t>(grads.size()), " gradients");
  TensorList out;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    if (grads.empty() || !grads[i].defined()) {
      AG_CHECK(t.numel() == 1, Autograd, op,
               ": grad can be implicitly created only for scalar outputs, got shape ", t.sizes());
      out.push_back(ops::full(t.sizes(), Scalar(1.0), t.dtype(), t.device()));
      continue;
    }
    AG_CHECK(grads[i].sizes() == t.sizes(), Shape, op,
             ": mismatch in shape: the gradient has shape ", grads[i].sizes(),
             " and the output has shape ", t.sizes());
    out.push_back(grads[i].dtype() == t.dtype() ? grads[i] : ops::to(grads[i], t.dtype()));
  }
  return out;
}

}  // namespace

Tensor fit_gradient(Tensor gradient, const TensorMeta& meta, const Node& producer) {
  if (gradient.sizes() != meta.sizes) {
    AG_CHECK(can_broadcast_to(meta.sizes, gradient.sizes()), Autograd, producer.name(),
             " returned an invalid gradient: got shape ", gradient.sizes(),
             " but expected a shape compatible with ", meta.sizes);
    gradient = ops::sumToSize(gradient, meta.sizes);
  }
  if (gradient.dtype() != meta.dtype) {
    gradient = ops::to(gradient, meta.dtype);
  }
  AG_CHECK(gradient.device() == meta.device, Autograd, producer.name(), " returned a gradient on ",
           to_string(gradient.device()), " but expected one on ", to_string(meta.device));
  return gradient;
}

void backward(const TensorList& tensors, const TensorList& grads, const TensorList& inputs,
              const BackwardOptions& options) {
  const std::vector<Edge> roots = root_edges("backward", tensors);
  const GradModeGuard mode(options.create_graph);
  Engine engine(options, nullptr);
  std::vector<Edge> edges;  // keeps accumulators alive
  for (size_t i = 0; i < inputs.size(); ++i) {
    AG_CHECK(is_leaf(inputs[i]) && requires_grad(inputs[i]), Autograd, "backward: element ",
             static_cast<int64_t>(i), " of inputs must be a leaf that requires grad");
    edges.push_back(gradient_edge(inputs[i]));
    engine.capture(edges.back(), i);
  }
  engine.run(roots, root_gradients("backward", tensors, grads));
}

TensorList grad(const TensorList& outputs, const TensorList& grads, const TensorList& inputs,
                const BackwardOptions& options) {
  const std::vector<Edge> roots = root_edges("grad", outputs);
  AG_CHECK(!inputs.empty(), Value, "grad: requires non-empty inputs");
  const GradModeGuard mode(options.create_graph);
  TensorList captured(inputs.size());
  Engine engine(options, &captured);
  std::vector<Edge> edges;  // keeps accumulators alive
  for (const Tensor& input : inputs) {
    edges.push_back(gradient_edge(input));
    AG_CHECK(edges.back().valid(), Autograd,
             "grad: one of the differentiated tensors does not require grad");
    engine.capture(edges.back(), edges.size() - 1);
  }
  engine.run(roots, root_gradients("grad", outputs, grads));
  for (size_t i = 0; i < captured.size(); ++i) {
    AG_CHECK(captured[i].defined() || options.allow_unused, Autograd,
             "grad: one of the differentiated tensors appears to not have been used in the graph. "
             "Set allowUnused: true if this is the desired behavior");
  }
  return captured;
}

}  // namespace ampgrad
