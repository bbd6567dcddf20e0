#include "backend/cuda/families.h"

namespace ampgrad::cuda {

void register_families(const CudaHost& host) {
  register_elementwise(host);
  register_copy(host);
  register_fill(host);
  register_reduce(host);
  register_gemm(host);
  register_gemm_integer(host);
  register_optim(host);
  register_softmax(host);
  register_softmax_backward(host);
  register_norm(host);
  register_norm_backward(host);
  register_indexing(host);
  register_nonzero(host);
  register_loss(host);
  register_loss_backward(host);
  register_batch_norm(host);
  register_batch_norm_backward(host);
  register_multi_tensor(host);
  register_distance(host);
  register_margin(host);
  register_ctc(host);
  register_optim_factored(host);
  register_random(host);
  register_randperm(host);
  register_statistics(host);
  register_search(host);
  register_scan(host);
  register_scan_extreme(host);
  register_attention(host);
  register_conv(host);
  register_pool(host);
  register_pool_index(host);
  register_sort(host);
  register_unique(host);
  register_resample(host);
  register_grid(host);
  register_linalg(host);
  register_spectral(host);
  register_lstsq(host);
}

}  // namespace ampgrad::cuda
