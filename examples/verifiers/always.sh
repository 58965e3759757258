#!/bin/sh
# The shortest verifier: every completion is worth 1. The contract is in verifiers/README.md.
#
#     stampede generate --verifier always='sh examples/verifiers/always.sh' ...
while IFS= read -r request; do
    id=${request#'{"id":'}
    echo "{\"id\":${id%%,*},\"value\":1}"
done
