#include "ops/feed_forward.h"

#include <utility>

#include "ops/gemm_operands.h"
#include "ops/kernels.h"
#include "ops/launch.h"
#include "ops/norm.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

constexpr const char* kName = "feedForward";

// By the value of Activation, less None.
using T = const Tensor&;
const ActivationInfo kActivations[] = {
    {"relu", Activation::Relu, OpId::relu, OpId::thresholdBackward,
     [](T x) -> Tensor { return ops::relu(x); },
     [](T g, T x) -> Tensor { return ops::thresholdBackward(g, x, 0.0); }},
    {"gelu", Activation::Gelu, OpId::gelu, OpId::geluBackward,
     [](T x) -> Tensor { return ops::gelu(x); },
     [](T g, T x) -> Tensor { return ops::geluBackward(g, x); }},
    {"geluTanh", Activation::GeluTanh, OpId::geluTanh, OpId::geluTanhBackward,
     [](T x) -> Tensor { return ops::geluTanh(x); },
     [](T g, T x) -> Tensor { return ops::geluTanhBackward(g, x); }},
    {"silu", Activation::Silu, OpId::silu, OpId::siluBackward,
     [](T x) -> Tensor { return ops::silu(x); },
     [](T g, T x) -> Tensor { return ops::siluBackward(g, x); }},
};

// The matrix products below share the one kernel of the family.
Tensor product(const Tensor& a, const Tensor& b, const Tensor& bias, const GemmEpilogue& epilogue) {
  const Tensor out = Tensor::empty({a.sizes()[0], b.sizes()[1]}, a.dtype(), a.device());
  if (out.numel() == 0) return out;
  const Tensor left = gemm_operand(a);
  const Tensor right = gemm_operand(b);
  const Tensor added = bias.defined() ? as_contiguous(bias) : Tensor();
  GemmParams p = gemm_params(left, right, out);
  if (added.defined()) p.bias = added.data();
  p.epilogue = epilogue;
  KernelTable::run(OpId::nativeFeedForward, out.device(), out.dtype(), p);
  return out;
}

// Rows of whole 16-byte units, as the auxiliary matrices of cuBLASLt need them.
Tensor padded_rows(int64_t rows, int64_t cols, DType dtype, Device device) {
  const int64_t row = (cols + 7) / 8 * 8;
  return Tensor::empty({rows, row}, dtype, device).alias({rows, cols}, {row, 1}, 0);
}

void apply(OpId op, const Tensor& out, Span<Operand> operands) {
  const DType compute = compute_dtype(op, ElementwiseRule::Same, out.dtype());
  launch_elementwise_into(op, compute, out, operands);
}

struct WeightGradients {
  Tensor weight, bias;
};

// Of a layer with gradient `g` [rows, out] and input `x` [rows, in].
WeightGradients layer_gradients(const Tensor& g, const Tensor& x, const Tensor& weight,
                                bool with_weight, bool with_bias, bool widened, bool widened_bias) {
  WeightGradients out;
  // Laid out as the weight is: the gradient of a transposed view is the view of a contiguous one.
  const bool flip = !weight.is_contiguous() && turned(weight).is_contiguous();
  if (with_weight && widened && !flip && g.device().is_cpu()) {
    out.weight = mm_widened(turned(g), x);
  } else if (with_weight) {
    bool fused = false;
    GemmEpilogue epilogue;
    if (with_bias) {
      out.bias = Tensor::empty({g.size(1)}, g.dtype(), g.device());
      epilogue.sums_of = flip ? GemmSums::OfB : GemmSums::OfA;
      epilogue.sums = out.bias.data();
      epilogue.fused = &fused;
    }
    out.weight = flip ? turned(product(turned(x), g, Tensor(), epilogue))
                      : product(turned(g), x, Tensor(), epilogue);
    if (!fused) out.bias = Tensor();
  }
  if (with_bias && !out.bias.defined()) {
    out.bias = widened_bias ? row_sum_widened(g) : ops::sum(g, Dims{0});
  }
  return out;
}

// The gradient of what the activation was applied to, and of the first bias if it came with it.
WeightGradients hidden_gradient(const Tensor& g, const FeedForwardArgs& args, const Tensor& hidden,
                                const Tensor& inner, bool with_bias) {
  WeightGradients out;
  bool fused = false;
  GemmEpilogue epilogue;
  epilogue.activation = args.activation;
  epilogue.backward = true;
  epilogue.fused = &fused;
  if (args.activation != Activation::Relu) {
    epilogue.inner = inner.data();
    epilogue.inner_row = inner.strides()[0];
    if (with_bias) {
      out.bias = Tensor::empty({hidden.size(1)}, g.dtype(), g.device());
      epilogue.sums_of = GemmSums::OfC;
      epilogue.sums = out.bias.data();
    }
  }
  out.weight = product(g, args.weight2, Tensor(), epilogue);
  if (fused) return out;
  out.bias = Tensor();
  const Tensor& from = args.activation == Activation::Relu ? hidden : inner;
  if (out.weight.numel() != 0)
    apply(activation_info(args.activation).slope_op, out.weight, {out.weight, from});
  return out;
}

}  // namespace

const ActivationInfo& activation_info(Activation a) {
  AG_ASSERT(a != Activation::None);
  return kActivations[static_cast<size_t>(a) - 1];
}

Activation feed_forward_activation(const std::string& name) {
  for (const ActivationInfo& info : kActivations) {
    if (name == info.name) return info.value;
  }
  AG_FAIL(Value, kName,
          ": argument 'activation' must be 'relu', 'gelu', 'geluTanh' or 'silu', got '", name, "'");
}

FeedForward feed_forward(const FeedForwardArgs& args, bool keep) {
  const auto& [input, weight1, bias1, weight2, bias2, activation] = args;
  check_linear(kName, input, {weight1, bias1, "weight1", "bias1"});
  AG_CHECK(is_floating(input.dtype()), DType, kName, ": not implemented for ",
           dtype_name(input.dtype()));
  FeedForward r;
  const Tensor x = matrix_of_rows(input);
  const int64_t width = weight1.sizes()[0];
  AG_CHECK(weight2.ndim() == 2 && weight2.sizes()[1] == width, Shape, kName,
           ": argument 'weight2' must have shape [out, ", width, "], got ", describe(weight2));
  check_same_kind(kName, input, weight2);
  check_bias(kName, input, bias2, weight2.sizes()[0], "bias2");
  if (keep) {
    r.inner = activation == Activation::Relu
                  ? no_result(input)
                  : padded_rows(x.size(0), width, input.dtype(), input.device());
  }
  bool fused = false;
  GemmEpilogue epilogue;
  epilogue.activation = activation;
  epilogue.fused = &fused;
  if (keep && activation != Activation::Relu) {
    epilogue.inner = r.inner.data();
    epilogue.inner_row = r.inner.strides()[0];
  }
  r.hidden = product(x, turned(weight1), bias1, epilogue);
  if (!fused && r.hidden.numel() != 0) {
    apply(activation_info(activation).op, r.hidden,
          {epilogue.inner != nullptr ? r.inner : r.hidden});
  }
  Dims sizes = input.sizes();
  sizes.back() = weight2.sizes()[0];
  const Tensor out = impl::linear(r.hidden, weight2, bias2);
  r.output = out.alias(sizes, contiguous_strides(sizes), 0);
  return r;
}

std::array<Tensor, 5> feed_forward_gradients(const Tensor& grad, const FeedForwardArgs& args,
                                             const Tensor& hidden, const Tensor& inner,
                                             const FeedForwardWanted& wanted) {
  const auto& needs = wanted.needs;
  std::array<Tensor, 5> out;
  const Tensor g = matrix_of_rows(grad);
  if (needs[3] || needs[4]) {
    WeightGradients second = layer_gradients(g, hidden, args.weight2, needs[3], needs[4],
                                             wanted.widened[3], wanted.widened[4]);
    out[3] = std::move(second.weight);
    out[4] = std::move(second.bias);
  }
  if (!needs[0] && !needs[1] && !needs[2]) return out;
  WeightGradients inside = hidden_gradient(g, args, hidden, inner, needs[2]);
  const Tensor& h = inside.weight;
  out[2] = inside.bias;
  const bool bias_left = needs[2] && !out[2].defined();
  if (needs[1] || bias_left) {
    WeightGradients first = layer_gradients(h, matrix_of_rows(args.input), args.weight1, needs[1],
                                            bias_left, wanted.widened[1], wanted.widened[2]);
    out[1] = std::move(first.weight);
    if (bias_left) out[2] = std::move(first.bias);
  }
  if (needs[0]) {
    const Tensor x = product(h, args.weight1, Tensor(), {});
    out[0] = x.alias(args.input.sizes(), contiguous_strides(args.input.sizes()), 0);
  }
  return out;
}

namespace impl {

std::tuple<Tensor, Tensor, Tensor> nativeFeedForward(const Tensor& input, const Tensor& weight1,
                                                     const Tensor& bias1, const Tensor& weight2,
                                                     const Tensor& bias2,
                                                     const std::string& activation) {
  FeedForward r = feed_forward(
      {input, weight1, bias1, weight2, bias2, feed_forward_activation(activation)}, true);
  return {r.output, r.hidden, r.inner};
}

}  // namespace impl

}  // namespace ampgrad
