// How a derivative is written: what to save, and a function from (saved values, attributes,
// gradients) to input gradients, made of public ops so that it can itself be differentiated.
// The engine does the rest: masks, sums over broadcast dimensions, dtypes, accumulation, release.
//
//   {OpId::mul, {in(0).when(1), in(1).when(0)}, [](Backward& b) {
//      b.set(0, [&] { return ops::mul(b.grad(), b.operand(1)); });
//      b.set(1, [&] { return ops::mul(b.grad(), b.operand(0)); });
//    }},
#pragma once

#include "autograd/node.h"
#include "ops/ops.h"

namespace ampgrad {

// An input or output to keep for the backward pass; `when(i)`: only if argument i needs a gradient.
struct Save {
  bool is_output;
  uint8_t index;
  uint16_t needed_by = 0;  // 0: always

  template <class... I>
  constexpr Save when(I... args) const {
    return {is_output, index, static_cast<uint16_t>(needed_by | ((1u << args) | ...))};
  }
};
constexpr Save in(int index) { return {false, static_cast<uint8_t>(index)}; }
constexpr Save out(int index = 0) { return {true, static_cast<uint8_t>(index)}; }

class OpNode;

class Backward {
 public:
  Backward(OpNode& node, TensorList&& grads, TensorList* result)
      : node_(node), grads_(std::move(grads)), result_(result) {}

  // Gradient of output i, zeros if none arrived.
  const Tensor& grad(size_t i = 0);
  bool has_grad(size_t i) const { return grads_[i].defined(); }
  // A saved input (argument index) or output; checks that it was not modified since.
  Tensor input(int arg);
  Tensor output(int i = 0);
  // A saved tensor operand, or the number that stood in its place.
  Operand operand(int arg);
  // Saved tensors of a Tensor[] argument.
  TensorList input_list(int arg);
  // Sizes, dtype and device of a tensor argument (no need to save it for that).
  const TensorMeta& meta(int arg) const;
  const TensorMeta& meta(int arg, size_t element) const;
  const TensorMeta& output_meta(int i = 0) const;
  bool is_tensor(int arg) const;
  size_t list_size(int arg) const;

  template <class T>
  const T& attr(int arg) const {
    return value(arg).get<T>();
  }
  template <class T>
  std::optional<T> opt_attr(int arg) const {
    return value(arg).is_none() ? std::nullopt : std::optional<T>(value(arg).get<T>());
  }

  // Does argument `arg` (element of a list) need a gradient?
  bool needs(int arg) const;
  bool needs(int arg, size_t element) const;
  // Is the gradient of a half dtype, and that of `arg` gathered in float32, because autocast made
  // it of a float32 tensor? Then a formula may round and widen in one pass. Never under
  // createGraph.
  bool widens(int arg);

  void set(int arg, Tensor gradient);
  void set(int arg, size_t element, Tensor gradient);
  template <class F>
  requires std::is_invocable_r_v<Tensor, F>
  void set(int arg, F&& compute) {
    if (needs(arg)) set(arg, Tensor(compute()));
  }

 private:
  const Value& value(int arg) const;

  OpNode& node_;
  TensorList grads_;
  TensorList* result_;
};

using BackwardFn = void (*)(Backward&);

struct Derivative {
  OpId op;
  std::vector<Save> saves;
  BackwardFn fn = nullptr;
};

// Every formula, by family (autograd/derivatives/<family>.cpp).
namespace derivatives {
#define AG_FAMILY(name) std::vector<Derivative> name();
#include "autograd/derivatives/families.def"
#undef AG_FAMILY
}  // namespace derivatives

// nullptr when the op has no formula.
const Derivative* find_derivative(OpId op);

// Names of rows that declare Diff::Yes without a formula, or have one without declaring it.
std::vector<std::string> inconsistent_derivatives();

}  // namespace ampgrad
