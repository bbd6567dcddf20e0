#!/usr/bin/env bash
# Random calls of every op under AddressSanitizer and UndefinedBehaviorSanitizer:
#   npm run fuzz -- --calls 100000 --seed 1
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/sanitized.sh
sanitized_build ampgrad
sanitized_node --import tsx test/fuzz/main.ts "$@"
