// The first step of the pipeline inside an autocast region: casts the arguments of a listed op as
// its policy says. The casts are ordinary recorded ops, so gradients come back in the dtype of the
// tensor that was cast.
#pragma once

#include "ops/op.h"

namespace ampgrad {

struct AutocastOutcome {
  bool listed = false;      // the op has a policy: it runs with autocast off
  bool casts_left = false;  // some arguments are left for the op to round
};

// Casts in place.
AutocastOutcome autocast_arguments(const OpDef& op, Values& args);

// Ends a region; drops the cached casts when it was the last one.
void exit_autocast_region();

}  // namespace ampgrad
