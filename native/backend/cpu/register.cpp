// Registers every kernel family of the CPU, once a process.
#include "backend/cpu/register.h"

#include <mutex>

#include "backend/cpu/amp.h"
#include "backend/cpu/capability.h"

namespace ampgrad {

void register_cpu_backend() {
  static std::once_flag once;
  std::call_once(once, [] {
    cpu::restrict_capability();
    cpu::register_amp();
    cpu::register_elementwise();
    cpu::register_creation();
    cpu::register_random();
    cpu::register_gemm();
    cpu::register_linalg();
    cpu::register_reduce();
    cpu::register_softmax();
    cpu::register_loss();
    cpu::register_ctc();
    cpu::register_indexing();
    cpu::register_optim();
    cpu::register_norm();
    cpu::register_conv();
    cpu::register_conv_int();
    cpu::register_pool();
    cpu::register_attention();
    cpu::register_resample();
    cpu::register_grid();
    cpu::register_distance();
    cpu::register_margin();
    cpu::register_fractional_pool();
    cpu::register_batch_norm();
    cpu::register_optim_factored();
    cpu::register_multi_tensor();
    cpu::register_statistics();
    cpu::register_scan();
    cpu::register_sort();
    cpu::register_search();
  });
}

}  // namespace ampgrad
