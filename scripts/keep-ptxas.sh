#!/usr/bin/env bash
# Runs a compiler command. What ptxas reports (-Xptxas -v) goes to a file beside the object,
# <object>.ptxas; everything else that the command prints passes through.
out=
previous=
for argument in "$@"; do
  if [[ $previous == -o ]]; then out=$argument; fi
  previous=$argument
done
log=$(mktemp)
"$@" 2>"$log"
status=$?
report='^ptxas info|^ +[0-9]+ bytes stack frame'
if [[ -n $out && $status == 0 ]] && grep -qE "$report" "$log"; then
  grep -E "$report" "$log" >"$out.ptxas"
fi
grep -vE "$report" "$log" >&2
rm -f "$log"
exit "$status"
