#!/usr/bin/env bash
# Write requirements.lock anew from the members' requirements. It names no first-party package and no address.
set -euo pipefail
cd "$(dirname "$0")/../.."
members=(libs/*/pyproject.toml gateway/pyproject.toml services/*/pyproject.toml deploy/local/pyproject.toml)
hide=()
for member in "${members[@]}"; do
  hide+=(--no-emit-package "$(sed -n 's/^name = "\(.*\)"/\1/p' "$member" | head -n 1)")
done
.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --no-annotate "${hide[@]}" "${members[@]}" \
  --group pyproject.toml:dev "$@" -o "${LOCK_OUT:-requirements.lock}"
