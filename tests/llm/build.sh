#!/usr/bin/env bash
# Build llama-cpp-python's own server from its source package, once, into an environment in the user's cache, at the
# versions of requirements.txt. Needs a C++ compiler; cmake and ninja come from the package index. Some minutes on two cores.
#
#   tests/llm/build.sh          builds what is missing, and prints the folder
#   tests/llm/build.sh --where  prints the folder of the environment
set -euo pipefail

requirements=$(dirname "$(realpath "$0")")/requirements.txt
# A change of a version is a new folder, so that nothing of an old version is used.
folder=${XDG_CACHE_HOME:-$HOME/.cache}/sprat/llama-cpp/$(sha256sum "$requirements" | cut -c1-16)
if [ "${1:-}" = --where ]; then
    echo "$folder"
    exit
fi
if [ ! -f "$folder/.built" ]; then
    command -v "${CXX:-c++}" >/dev/null || { echo "there is no C++ compiler on the PATH: install g++" >&2; exit 1; }
    rm -rf "$folder"
    "${PYTHON:-python3}" -m venv "$folder"
    # The server alone: no tools, no examples, no pictures, nothing that this machine has and another has not.
    export CMAKE_ARGS="-DLLAVA_BUILD=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_CURL=OFF -DGGML_NATIVE=OFF"
    echo "building llama-cpp-python in $folder" >&2
    nice -n 10 "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
        --no-binary llama-cpp-python --requirement "$requirements" >&2
    touch "$folder/.built"
fi
echo "$folder"
