# syntax=docker/dockerfile:1
# The service as an image, without torch:
#   docker build --target cpu .       any machine
#   docker build --target gpu .       NVIDIA GPU, x86-64 or Arm servers
#   docker build --target jetson --build-arg GPU_BASE=... .     Jetson with JetPack 7; the base: docker-compose.yml
#   docker build --target planner .   builds TensorRT plans, once per machine; docker-compose.yml runs it before `gpu`
# Tests run the same steps in a clean virtual environment: make image.

ARG CPU_BASE=python:3.12.12-slim-bookworm
# TensorRT, CUDA 13, cuDNN and Python 3.12.
ARG GPU_BASE=nvcr.io/nvidia/tensorrt:25.10-py3

# What is ours. A change of it leaves the layers with the dependencies alone.
FROM scratch AS project
COPY atttrack /atttrack
COPY engines /engines
COPY edge /edge
COPY service /service
COPY models /models

# Dependencies only: there is no package of ours to install yet, the program runs from its folder.
FROM ${CPU_BASE} AS cpu-packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_CACHE_DIR=/pip-cache
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY requirements ./requirements
RUN python -m venv /venv
RUN --mount=type=cache,target=/pip-cache /venv/bin/pip install --require-hashes -r requirements/run.txt
RUN /venv/bin/pip install --no-deps --no-build-isolation '.[cpu,service,nats]'

FROM ${CPU_BASE} AS cpu
COPY --from=cpu-packages /venv /venv
COPY --from=project / /app/
WORKDIR /app
# A named volume takes over the owner of the folder that it covers.
RUN install -d -o 10001 -g 10001 -m 700 /state
ENV PATH=/venv/bin:$PATH HOME=/tmp PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    ATTTRACK_HOST=0.0.0.0 ATTTRACK_STATE_DIR=/state
EXPOSE 8000
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-m", "service.doctor.healthcheck"]
CMD ["python", "-m", "service"]

FROM ${GPU_BASE} AS gpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_CACHE_DIR=/pip-cache PIP_BREAK_SYSTEM_PACKAGES=1
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
# The base brings TensorRT, which satisfies that part of the extra. Versions: pyproject.toml.
# hadolint ignore=DL3013
RUN --mount=type=cache,target=/pip-cache pip install '.[gpu,service,nats]'
COPY --from=project / /app/
WORKDIR /app
# For every kind of GPU; what is not built here would be built at each start, into a folder that is gone with it.
RUN python -m edge.ops.kernels.build
RUN install -d -o 10001 -g 10001 -m 700 /state /plans
ENV HOME=/tmp PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    ATTTRACK_HOST=0.0.0.0 ATTTRACK_STATE_DIR=/state ATTTRACK_PLANS_DIR=/plans ATTTRACK_BUILD_PLANS=off
EXPOSE 8000
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-m", "service.doctor.healthcheck"]
CMD ["python", "-m", "service"]

FROM gpu AS planner
USER 0:0
# Of the extra `plans` without TensorRT-RTX, which the base makes superfluous.
# hadolint ignore=DL3013
RUN --mount=type=cache,target=/pip-cache pip install 'onnx>=1.18'
COPY export /app/export
USER 10001:10001
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "export.to_plan"]
CMD ["models/yolo-teacher-576x320.onnx", "models/yolo-student-576x320.onnx"]

FROM gpu AS jetson
# TensorRT before 10.16 has nothing for Orin in builds like this one; better told now than at the first plan.
RUN python -c "import tensorrt as t; v = tuple(map(int, t.__version__.split('.')[:2])); \
    assert v >= (10, 16), f'TensorRT {t.__version__} does not know Orin: build with a newer GPU_BASE'"
