// CPU kernels of gradient scaling.
#pragma once

namespace ampgrad::cpu {

void register_amp();

}  // namespace ampgrad::cpu
