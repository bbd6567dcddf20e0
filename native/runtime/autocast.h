// The first step of the pipeline inside an autocast region: casts the arguments of a listed op as
// its policy says. The casts are ordinary recorded ops, so gradients come back in the dtype of the
// tensor that was cast.
#pragma once

#include "ops/op.h"

namespace ampgrad {

// Casts in place. True when the op is listed: it then runs with autocast off.
bool autocast_arguments(const OpDef& op, Values& args);

// Ends a region; drops the cached casts when it was the last one.
void exit_autocast_region();

}  // namespace ampgrad
