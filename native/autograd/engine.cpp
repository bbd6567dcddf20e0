#include "autograd/engine.h"

#include <algorithm>
#include <atomic>
#include <queue>

#include "autograd/anomaly.h"
#include "autograd/grad_mode.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

struct NodeState {
  explicit NodeState(Node& n) : node(&n), outer(n.pass) {}

  Node* node;  // alive: the edges that lead to it from the roots are
  Node::Pass outer;
  int waiting = 0;                                    // edges that will still deliver a gradient
  bool visited = false;                               // its edges are counted
  bool needed = true;                                 // lies on a path to a requested input
  TensorList buffer;                                  // gradients of the outputs gathered so far
  std::vector<std::pair<uint32_t, size_t>> captures;  // (output, index of the requested input)
};

uint64_t next_pass() {
  static std::atomic<uint64_t> count{0};
  return count.fetch_add(1, std::memory_order_relaxed) + 1;
}

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
      : options_(options), captured_(captured), pass_(next_pass()) {
    states_.reserve(32);
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  // A hook may have started this pass inside another one over the same nodes.
  ~Engine() {
    for (const NodeState& state : states_) state.node->pass = state.outer;
  }

  // Restricts the pass to what leads to this edge; its gradient goes to captured[index].
  void capture(const Edge& edge, size_t index) {
    enter(*edge.node).captures.emplace_back(edge.output_nr, index);
    selective_ = true;
  }

  void run(const std::vector<Edge>& roots, TensorList&& grads) {
    count_dependencies(roots);
    if (selective_) mark_needed();
    for (size_t i = 0; i < roots.size(); ++i) deliver(roots[i], std::move(grads[i]));
    for (const Edge& root : roots) push_once(state_of(*root.node));
    while (!ready_.empty()) {
      NodeState& state = states_[ready_.top().second];
      ready_.pop();
      evaluate(state);
    }
  }

 private:
  // The state of a node, which stays where it is only until the next is entered.
  NodeState& enter(Node& node) {
    if (node.pass.id != pass_) {
      states_.emplace_back(node);
      node.pass = {pass_, states_.size() - 1};
    }
    return states_[node.pass.index];
  }

  NodeState& state_of(const Node& node) {
    AG_ASSERT(node.pass.id == pass_);
    return states_[node.pass.index];
  }

  // The newest node runs first.
  void push_once(NodeState& state) {
    if (state.waiting != 0) return;
    state.waiting = -1;  // queued
    ready_.emplace(state.node->sequence, state.node->pass.index);
  }

  void count_dependencies(const std::vector<Edge>& roots) {
    std::vector<Node*> stack;
    const auto visit = [&](NodeState& state) {
      if (!state.visited) stack.push_back(state.node);
      state.visited = true;
    };
    for (const Edge& root : roots) visit(enter(*root.node));
    while (!stack.empty()) {
      const Node* node = stack.back();
      stack.pop_back();
      for (const Edge& e : node->edges) {
        if (!e.valid()) continue;
        NodeState& state = enter(*e.node);
        ++state.waiting;
        visit(state);
      }
    }
  }

  // A node is needed if a requested input lies behind it. Nodes are older than what depends on
  // them, so one pass from the oldest to the newest settles it.
  void mark_needed() {
    // Accumulators carry the highest sequence so that they run first; they have no edges.
    const auto age = [](const Node* n) { return n->edges.empty() ? 0 : n->sequence; };
    std::vector<NodeState*> order;
    for (NodeState& state : states_) {
      if (state.visited) order.push_back(&state);
    }
    std::sort(order.begin(), order.end(),
              [&](const NodeState* a, const NodeState* b) { return age(a->node) < age(b->node); });
    for (NodeState* state : order) {
      state->needed = !state->captures.empty() || continues(*state->node);
    }
  }

  void deliver(const Edge& edge, Tensor&& gradient) {
    NodeState& state = state_of(*edge.node);
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

  void evaluate(NodeState& state) {
    Node& node = *state.node;
    TensorList grads = std::move(state.buffer);
    grads.resize(node.outputs.size());
    const bool any =
        std::any_of(grads.begin(), grads.end(), [](const Tensor& t) { return t.defined(); });
    TensorList results;
    if (state.needed && any) {
      run_hooks(node, grads);
      if (captured_ != nullptr) {
        for (const auto& [output, index] : state.captures) (*captured_)[index] = grads[output];
      }
      const bool is_leaf_node = node.edges.empty();
      if (is_leaf_node ? captured_ == nullptr : continues(node)) {
        results = AG_UNLIKELY(AnomalyMode::enabled()) ? apply_watched(node, std::move(grads))
                                                      : node.apply(std::move(grads));
        if (!options_.retain_graph) node.release_saved();
      }
    }
    propagate(node, std::move(results));
  }

  // Whether anything behind this node is wanted.
  bool continues(const Node& node) {
    if (!selective_) return true;
    return std::any_of(node.edges.begin(), node.edges.end(),
                       [&](const Edge& e) { return e.valid() && state_of(*e.node).needed; });
  }

  void propagate(Node& node, TensorList&& results) {
    AG_ASSERT(results.empty() || results.size() == node.edges.size());
    for (size_t i = 0; i < node.edges.size(); ++i) {
      const Edge& e = node.edges[i];
      if (!e.valid()) continue;
      NodeState& next = state_of(*e.node);
      if (!results.empty() && results[i].defined() && next.needed) {
        deliver(e, fit_gradient(std::move(results[i]), e.node->outputs[e.output_nr], node));
      }
      if (--next.waiting == 0) push_once(next);
    }
  }

  const BackwardOptions& options_;
  TensorList* captured_;
  const uint64_t pass_;
  bool selective_ = false;
  std::vector<NodeState> states_;
  std::priority_queue<std::pair<uint64_t, size_t>> ready_;  // (sequence, index of the state)
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
    gradient = GradMode::enabled() ? ops::to(gradient, meta.dtype) : as_dtype(gradient, meta.dtype);
  }
  AG_CHECK(gradient.device() == meta.device, Autograd, producer.name(), " returned a gradient on ",
           to_string(gradient.device()), " but expected one on ", to_string(meta.device));
  return gradient;
}

void backward(const TensorList& tensors, const TensorList& grads, const TensorList& inputs,
              const BackwardOptions& options) {
  const std::vector<Edge> roots = root_edges("backward", tensors);
  const GradModeGuard mode(options.create_graph);
  std::vector<Edge> edges;  // keeps accumulators alive, longer than the engine
  Engine engine(options, nullptr);
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
  std::vector<Edge> edges;  // keeps accumulators alive, longer than the engine
  Engine engine(options, &captured);
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
