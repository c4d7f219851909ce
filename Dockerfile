# The service as an image: `docker build --target cpu .` or `--target gpu .`

# TensorRT, CUDA 13, cuDNN and Python 3.12, for x86-64 and arm64 (JetPack 7) alike.
ARG GPU_BASE=nvcr.io/nvidia/tensorrt:25.10-py3

FROM scratch AS project
COPY pyproject.toml README.md LICENSE /
COPY engines /engines
COPY edge /edge
COPY service /service
COPY models /models

FROM python:3.12-slim AS cpu
WORKDIR /app
COPY --from=project / .
RUN pip install --no-cache-dir -e '.[cpu,service]'
ENV ATTTRACK_HOST=0.0.0.0
EXPOSE 8000
USER 10001:10001
HEALTHCHECK --interval=10s --start-period=30s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz')"]
CMD ["python", "-m", "service"]

FROM ${GPU_BASE} AS gpu
WORKDIR /app
COPY --from=project / .
# TensorRT comes with the base; the rest of the extra `gpu` is installed here.
RUN pip install --no-cache-dir -e '.[service]' onnxruntime-gpu pycuda
ENV ATTTRACK_HOST=0.0.0.0
EXPOSE 8000
USER 10001:10001
HEALTHCHECK --interval=10s --start-period=60s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz')"]
CMD ["python", "-m", "service"]
