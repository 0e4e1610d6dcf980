#!/usr/bin/env bash
# Build what the tests of the chart run: helm, a Kubernetes API server and its controllers, KEDA's operator and its server
# of metrics, and fetch the definitions of custom resources. All from Go modules at fixed versions, once, into the user's
# cache. Needs Go; etcd and kubectl are not built. About 20 minutes on two cores, and up to 2.5 GB of memory.
#
#   tests/kubernetes/build.sh          builds what is missing
#   tests/kubernetes/build.sh --where  prints the folder of the programs
set -euo pipefail

HELM=v4.3.1
KUBERNETES=v1.37.2
KEDA=v2.20.2
PROMETHEUS_OPERATOR=v0.85.0

# A change of a version above is a new folder, so that nothing of an old version is used.
folder=${XDG_CACHE_HOME:-$HOME/.cache}/sprat/kubernetes/$HELM-$KUBERNETES-$KEDA-$PROMETHEUS_OPERATOR
if [ "${1:-}" = --where ]; then
    echo "$folder"
    exit
fi
command -v go >/dev/null || { echo "there is no go on the PATH: install Go 1.26 or later" >&2; exit 1; }
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod

# module NAME VERSION: an empty module in $work/module, with the replacements of that one, which Go ignores otherwise.
module() {
    rm -rf "$work/module"
    mkdir "$work/module"
    cd "$work/module"
    go mod init build >/dev/null 2>&1
    go mod download -json "$1@$2" >"$work/download.json"
    source=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' "$work/download.json")
    declared=$(sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p' "$work/download.json")
    # Modules that Kubernetes keeps in its own tree are published as v0.X.Y where it is v1.X.Y.
    awk -v version="v0${2#v?}" '
        $1 == "replace" { $1 = ""; $0 = $0; $1 = $1 }
        $2 == "=>" { print "-replace=" $1 "=" ($3 ~ /^\.\// ? $1 "@" version : $3 "@" $4) }
        $3 == "=>" { print "-replace=" $1 "@" $2 "=" $4 "@" $5 }
    ' "$declared" >"$work/replacements"
    xargs --no-run-if-empty --arg-file="$work/replacements" go mod edit -require="$1@$2"
    go mod edit -require="$1@$2"
}

# build NAME PACKAGE [FLAGS]: builds into the cache; a build that was stopped leaves nothing there.
build() {
    echo "building $1"
    go build -ldflags="-s -w ${3:-}" -o "$work/$1" "$2"
    mv "$work/$1" "$folder/$1"
}

if [ ! -x "$folder/helm" ]; then
    module helm.sh/helm/v4 $HELM
    build helm helm.sh/helm/v4/cmd/helm
fi
if [ ! -d "$folder/crds" ]; then
    mkdir "$work/crds"
    module github.com/prometheus-operator/prometheus-operator $PROMETHEUS_OPERATOR
    cp "$source"/example/prometheus-operator-crd/monitoring.coreos.com_{podmonitors,servicemonitors,prometheusrules}.yaml "$work/crds"
    module github.com/kedacore/keda/v2 $KEDA
    cp "$source"/config/crd/bases/*.yaml "$work/crds"
    chmod u+w "$work"/crds/*
    mv "$work/crds" "$folder/crds"
fi
for name in kube-apiserver kube-controller-manager; do
    if [ ! -x "$folder/$name" ]; then
        module k8s.io/kubernetes $KUBERNETES
        build $name k8s.io/kubernetes/cmd/$name "-X k8s.io/component-base/version.gitVersion=$KUBERNETES"
    fi
done
if [ ! -x "$folder/keda" ]; then
    module github.com/kedacore/keda/v2 $KEDA
    build keda github.com/kedacore/keda/v2/cmd/operator
fi
if [ ! -x "$folder/keda-adapter" ]; then
    module github.com/kedacore/keda/v2 $KEDA
    build keda-adapter github.com/kedacore/keda/v2/cmd/adapter
fi
echo "$folder"
