// Explicit registration of the CUDA kernels: one function per family, one file (or one per compute
// type) for each. docs/cuda.md says how a family is added.
#pragma once

#include "backend/cuda/library.h"

namespace ampgrad::cuda {

void register_families(const CudaHost& host);

void register_elementwise(const CudaHost& host);
void register_copy(const CudaHost& host);
void register_fill(const CudaHost& host);
void register_reduce(const CudaHost& host);
void register_gemm(const CudaHost& host);
void register_gemm_integer(const CudaHost& host);
void register_optim(const CudaHost& host);
void register_softmax(const CudaHost& host);
void register_softmax_backward(const CudaHost& host);
void register_norm(const CudaHost& host);
void register_norm_backward(const CudaHost& host);
void register_indexing(const CudaHost& host);
void register_nonzero(const CudaHost& host);
void register_loss(const CudaHost& host);
void register_loss_backward(const CudaHost& host);
void register_batch_norm(const CudaHost& host);
void register_batch_norm_backward(const CudaHost& host);
void register_multi_tensor(const CudaHost& host);
void register_distance(const CudaHost& host);
void register_margin(const CudaHost& host);
void register_ctc(const CudaHost& host);
void register_optim_factored(const CudaHost& host);
void register_random(const CudaHost& host);
void register_randperm(const CudaHost& host);
void register_statistics(const CudaHost& host);
void register_search(const CudaHost& host);
void register_scan(const CudaHost& host);
void register_scan_extreme(const CudaHost& host);
void register_attention(const CudaHost& host);
void register_conv(const CudaHost& host);
void register_pool(const CudaHost& host);
void register_pool_index(const CudaHost& host);
void register_sort(const CudaHost& host);
void register_unique(const CudaHost& host);
void register_resample(const CudaHost& host);
void register_grid(const CudaHost& host);
void register_linalg(const CudaHost& host);
void register_spectral(const CudaHost& host);
void register_lstsq(const CudaHost& host);

}  // namespace ampgrad::cuda
