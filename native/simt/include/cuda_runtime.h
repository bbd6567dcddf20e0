// Stands in for the CUDA toolkit's header of the same name in builds on the emulator: the part of
// the runtime API and of the device language that this repository's .cu sources use.
#pragma once

#include "simt/api.h"
#include "simt/device.h"
