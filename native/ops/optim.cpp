// The optimizer steps: from named options to OptimParams.
#include "ops/optim.h"

#include "ops/ops.h"

namespace ampgrad {

namespace {

void set_betas(OpId op, const Doubles& betas, OptimParams* p) {
  AG_CHECK(betas.size() == 2, Value, op_name(op), ": argument 'betas' must have 2 elements, got ",
           static_cast<int64_t>(betas.size()));
  p->beta1 = betas[0];
  p->beta2 = betas[1];
}

}  // namespace

namespace impl {

TensorList sgdStep_(const TensorList& params, const TensorList& grads, const TensorList& scalars,
                    const TensorList& states, const TensorList& masters, double lr, double momentum,
                    double dampening, double weightDecay, bool nesterov, bool maximize,
                    const Tensor& gradScale, const Tensor& foundInf) {
  OptimParams p;
  p.lr = lr;
  p.momentum = momentum;
  p.dampening = dampening;
  p.weight_decay = weightDecay;
  p.nesterov = nesterov;
  p.maximize = maximize;
  OptimSpec spec;
  spec.num_states = momentum != 0 ? 1 : 0;
  // Without dampening a buffer of zeros is as good as none.
  spec.num_scalars = momentum != 0 && dampening != 0 ? 1 : 0;
  return run_optim_step(OpId::sgdStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

TensorList adamStep_(const TensorList& params, const TensorList& grads, const TensorList& scalars,
                     const TensorList& states, const TensorList& masters, double lr,
                     const Doubles& betas, double eps, double weightDecay, bool amsgrad,
                     bool maximize, bool decoupledWeightDecay, const Tensor& gradScale,
                     const Tensor& foundInf) {
  OptimParams p;
  p.lr = lr;
  set_betas(OpId::adamStep_, betas, &p);
  p.eps = eps;
  p.weight_decay = weightDecay;
  p.amsgrad = amsgrad;
  p.maximize = maximize;
  p.decoupled_decay = decoupledWeightDecay;
  OptimSpec spec;
  spec.num_scalars = 1;
  spec.num_states = amsgrad ? 3 : 2;
  return run_optim_step(OpId::adamStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

TensorList rmspropStep_(const TensorList& params, const TensorList& grads,
                        const TensorList& scalars, const TensorList& states,
                        const TensorList& masters, double lr, double alpha, double eps,
                        double weightDecay, double momentum, bool centered, bool maximize,
                        const Tensor& gradScale, const Tensor& foundInf) {
  OptimParams p;
  p.lr = lr;
  p.beta2 = alpha;
  p.eps = eps;
  p.weight_decay = weightDecay;
  p.momentum = momentum;
  p.centered = centered;
  p.maximize = maximize;
  OptimSpec spec;
  spec.num_scalars = 1;
  spec.num_states = 1;
  if (momentum != 0) spec.slots[spec.num_states++] = 1;
  if (centered) spec.slots[spec.num_states++] = 2;
  return run_optim_step(OpId::rmspropStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

TensorList adagradStep_(const TensorList& params, const TensorList& grads,
                        const TensorList& scalars, const TensorList& states,
                        const TensorList& masters, double lr, double lrDecay, double eps,
                        double weightDecay, double initialAccumulatorValue, bool maximize,
                        const Tensor& gradScale, const Tensor& foundInf) {
  OptimParams p;
  p.lr = lr;
  p.lr_decay = lrDecay;
  p.eps = eps;
  p.weight_decay = weightDecay;
  p.maximize = maximize;
  OptimSpec spec;
  spec.num_scalars = 1;
  spec.num_states = 1;
  spec.state_init[0] = initialAccumulatorValue;
  return run_optim_step(OpId::adagradStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

TensorList adadeltaStep_(const TensorList& params, const TensorList& grads,
                         const TensorList& scalars, const TensorList& states,
                         const TensorList& masters, double lr, double rho, double eps,
                         double weightDecay, bool maximize, const Tensor& gradScale,
                         const Tensor& foundInf) {
  OptimParams p;
  p.lr = lr;
  p.beta2 = rho;
  p.eps = eps;
  p.weight_decay = weightDecay;
  p.maximize = maximize;
  OptimSpec spec;
  spec.num_scalars = 1;
  spec.num_states = 2;
  return run_optim_step(OpId::adadeltaStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

TensorList adamaxStep_(const TensorList& params, const TensorList& grads, const TensorList& scalars,
                       const TensorList& states, const TensorList& masters, double lr,
                       const Doubles& betas, double eps, double weightDecay, bool maximize,
                       const Tensor& gradScale, const Tensor& foundInf) {
  OptimParams p;
  p.lr = lr;
  set_betas(OpId::adamaxStep_, betas, &p);
  p.eps = eps;
  p.weight_decay = weightDecay;
  p.maximize = maximize;
  OptimSpec spec;
  spec.num_scalars = 1;
  spec.num_states = 2;
  return run_optim_step(OpId::adamaxStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

TensorList nadamStep_(const TensorList& params, const TensorList& grads, const TensorList& scalars,
                      const TensorList& states, const TensorList& masters, double lr,
                      const Doubles& betas, double eps, double momentumDecay, double weightDecay,
                      bool maximize, bool decoupledWeightDecay, const Tensor& gradScale,
                      const Tensor& foundInf) {
  OptimParams p;
  p.lr = lr;
  set_betas(OpId::nadamStep_, betas, &p);
  p.eps = eps;
  p.momentum_decay = momentumDecay;
  p.weight_decay = weightDecay;
  p.maximize = maximize;
  p.decoupled_decay = decoupledWeightDecay;
  OptimSpec spec;
  spec.num_scalars = 2;
  spec.scalar_init[1] = 1;
  spec.num_states = 2;
  return run_optim_step(OpId::nadamStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

TensorList radamStep_(const TensorList& params, const TensorList& grads, const TensorList& scalars,
                      const TensorList& states, const TensorList& masters, double lr,
                      const Doubles& betas, double eps, double weightDecay, bool maximize,
                      bool decoupledWeightDecay, const Tensor& gradScale, const Tensor& foundInf) {
  OptimParams p;
  p.lr = lr;
  set_betas(OpId::radamStep_, betas, &p);
  p.eps = eps;
  p.weight_decay = weightDecay;
  p.maximize = maximize;
  p.decoupled_decay = decoupledWeightDecay;
  OptimSpec spec;
  spec.num_scalars = 1;
  spec.num_states = 2;
  return run_optim_step(OpId::radamStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

TensorList rpropStep_(const TensorList& params, const TensorList& grads, const TensorList& scalars,
                      const TensorList& states, const TensorList& masters, double lr,
                      const Doubles& etas, const Doubles& stepSizes, bool maximize,
                      const Tensor& gradScale, const Tensor& foundInf) {
  AG_CHECK(etas.size() == 2 && stepSizes.size() == 2, Value,
           "rpropStep_: arguments 'etas' and 'stepSizes' must have 2 elements each");
  OptimParams p;
  p.eta_minus = etas[0];
  p.eta_plus = etas[1];
  p.step_min = stepSizes[0];
  p.step_max = stepSizes[1];
  p.maximize = maximize;
  OptimSpec spec;
  spec.num_scalars = 1;
  spec.num_states = 2;
  spec.state_init[1] = lr;
  return run_optim_step(OpId::rpropStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

TensorList asgdStep_(const TensorList& params, const TensorList& grads, const TensorList& scalars,
                     const TensorList& states, const TensorList& masters, double lr, double lambd,
                     double alpha, double t0, double weightDecay, bool maximize,
                     const Tensor& gradScale, const Tensor& foundInf) {
  OptimParams p;
  p.lr = lr;
  p.lambd = lambd;
  p.alpha = alpha;
  p.t0 = t0;
  p.weight_decay = weightDecay;
  p.maximize = maximize;
  OptimSpec spec;
  spec.num_scalars = 3;
  spec.scalar_init[1] = lr;
  spec.scalar_init[2] = 1;
  spec.num_states = 1;
  return run_optim_step(OpId::asgdStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

TensorList lionStep_(const TensorList& params, const TensorList& grads, const TensorList& scalars,
                     const TensorList& states, const TensorList& masters, double lr,
                     const Doubles& betas, double weightDecay, bool maximize,
                     const Tensor& gradScale, const Tensor& foundInf) {
  OptimParams p;
  p.lr = lr;
  set_betas(OpId::lionStep_, betas, &p);
  p.weight_decay = weightDecay;
  p.maximize = maximize;
  OptimSpec spec;
  spec.num_scalars = 1;
  spec.num_states = 1;
  return run_optim_step(OpId::lionStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

TensorList adafactorStep_(const TensorList& params, const TensorList& grads,
                          const TensorList& scalars, const TensorList& states,
                          const TensorList& masters, double lr, double beta2Decay, double eps2,
                          double d, std::optional<double> eps1, double weightDecay, bool maximize,
                          const Tensor& gradScale, const Tensor& foundInf) {
  OptimParams p;
  p.lr = lr;
  p.beta2_decay = beta2Decay;
  p.eps = eps1.value_or(0);
  p.default_eps = !eps1.has_value();
  p.eps2 = eps2;
  p.clip = d;
  p.weight_decay = weightDecay;
  p.maximize = maximize;
  OptimSpec spec;
  spec.num_scalars = 1;
  spec.num_states = 3;
  spec.factored = true;
  return run_optim_step(OpId::adafactorStep_, {params, grads, scalars, states, masters}, spec, p,
                        gradScale, foundInf);
}

}  // namespace impl

}  // namespace ampgrad
