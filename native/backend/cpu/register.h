// Explicit registration of the CPU kernels: one function per family, called once at start-up.
#pragma once

namespace ampgrad {

void register_cpu_backend();

namespace cpu {
void register_elementwise();
void register_creation();
void register_gemm();
void register_linalg();
void register_reduce();
void register_softmax();
void register_loss();
void register_ctc();
void register_indexing();
void register_optim();
void register_norm();
void register_conv();
void register_conv_int();
void register_pool();
void register_attention();
void register_resample();
void register_grid();
void register_distance();
void register_margin();
void register_fractional_pool();
void register_batch_norm();
void register_optim_factored();
void register_multi_tensor();
void register_random();
void register_scan();
void register_search();
void register_sort();
void register_statistics();
}  // namespace cpu

}  // namespace ampgrad
