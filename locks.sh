#!/bin/sh
# Resolve both lock files: exact versions and hashes, no URL. Needs uv on the PATH.
# numpy, scipy and contourpy are held so that one version serves every supported Python.
set -eu
hold=$(mktemp)
trap 'rm -f "$hold"' EXIT
printf 'numpy<2.5\nscipy<1.18\ncontourpy<1.4\n' >"$hold"
compile() {
    uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --universal \
        --python-version 3.11 --no-header -c "$hold" "$@"
}
compile --extra build pyproject.toml -o requirements.lock
compile -c requirements.lock --extra dev --extra build pyproject.toml -o requirements-dev.lock
