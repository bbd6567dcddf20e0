#include "amp/autocast.h"

namespace ampgrad {

thread_local AutocastState Autocast::state_;

void Autocast::set_state(const AutocastState& state) {
  state_ = state;
  active_ = state.any();
  ever_used_ = ever_used_ || active_;
}

}  // namespace ampgrad
