#!/bin/sh
# Starts the profile of docker-compose.yml that this machine is for, and says which and why. Arguments go to
# `docker compose up`. ROOT, DOCKER and NVIDIA_SMI are there for the tests.
set -eu
ROOT=${ROOT:-}
DOCKER=${DOCKER:-docker}
NVIDIA_SMI=${NVIDIA_SMI:-nvidia-smi}

gid() { getent group "$1" 2>/dev/null | cut -d: -f3; }
say() { echo "make up: $*" >&2; }

has_nvidia_gpu() {
  for device in "$ROOT"/sys/bus/pci/devices/*; do
    [ -r "$device/vendor" ] && [ "$(cat "$device/vendor")" = 0x10de ] || continue
    case $(cat "$device/class") in 0x03*) return 0 ;; esac
  done
  return 1
}

reaches_gpus() { "$DOCKER" info --format '{{json .Runtimes}} {{json .CDISpecDirs}}' 2>/dev/null | grep -q nvidia; }

toolkit="https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"
if [ -r "$ROOT/etc/nv_tegra_release" ]; then
  release=$(sed -n 's/^# R\([0-9]*\).*/\1/p' "$ROOT/etc/nv_tegra_release")
  if [ "${release:-0}" -lt 38 ]; then
    say "this is a Jetson with Jetson Linux ${release:-of unknown release}; the image is for JetPack 7 (38 or newer)"
    say "without a container: docs/GPU.md, \"A Jetson\""
    exit 1
  fi
  profile=jetson why="a Jetson with Jetson Linux $release"
  ATTTRACK_VIDEO_GID=${ATTTRACK_VIDEO_GID:-$(gid video)}
  ATTTRACK_RENDER_GID=${ATTTRACK_RENDER_GID:-$(gid render)}
  export ATTTRACK_VIDEO_GID ATTTRACK_RENDER_GID
elif has_nvidia_gpu; then
  profile=gpu why="an NVIDIA GPU"
  if ! "$NVIDIA_SMI" -L >/dev/null 2>&1; then
    say "there is an NVIDIA GPU, but no driver that answers: install NVIDIA's driver 580 or newer"
    say "to serve on the CPU all the same: docker compose --profile cpu up"
    exit 1
  fi
else
  profile=cpu why="no NVIDIA GPU here"
fi
if [ $profile != cpu ] && ! reaches_gpus; then
  say "there is $why, but Docker does not reach it: install the NVIDIA Container Toolkit, $toolkit"
  say "to serve on the CPU all the same: docker compose --profile cpu up"
  exit 1
fi
say "profile $profile: $why"
COMPOSE_PROFILES=$profile exec "$DOCKER" compose up "$@"
