// Finds the CUDA library and makes device type 'cuda' known to the engine. Part of the addon, which
// itself links nothing of CUDA.
#pragma once

namespace ampgrad {

// Once a process. When there is no library, no driver or no device, cuda_unavailable_reason() says
// what is missing.
void register_cuda_backend();

}  // namespace ampgrad
