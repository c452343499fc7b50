# syntax=docker/dockerfile:1.7
# Targets: light (callers, migrations), flower, worker (GPUs), worker-cpu. No image holds a secret
# or a model. `docker compose` builds them; by hand:  docker build --target light -t penstock:light .

FROM python:3.11.13-slim-bookworm AS python
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin penstock \
 && install --directory --owner=penstock --mode=0700 /home/penstock/.cache /var/lib/penstock
ENV PENSTOCK_HOME=/var/lib/penstock
WORKDIR /var/lib/penstock


FROM python AS wheel
WORKDIR /src
COPY pyproject.toml README.md ./
COPY shared shared
COPY producer producer
COPY workers workers
COPY migrations migrations
RUN pip wheel --no-deps --wheel-dir /wheels .


# What a caller installs. The lock only constrains here: nothing of the GPU side comes in.
FROM python AS light
RUN --mount=from=wheel,source=/wheels,target=/wheels --mount=source=.locks,target=/locks \
    pip install --constraint /locks/cpu.txt /wheels/*.whl
USER penstock
CMD ["penstock", "--help"]


FROM light AS flower
USER root
RUN --mount=source=.locks,target=/locks pip install --constraint /locks/cpu.txt flower
USER penstock
CMD ["penstock-worker", "flower"]


# vLLM's wheels carry CUDA; triton wants a C compiler when it builds its kernels. The machine needs
# an NVIDIA driver and the NVIDIA Container Toolkit.
FROM python AS worker
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
ARG VLLM_VERSION=0.32.0
RUN pip install "vllm==${VLLM_VERSION}"
RUN --mount=from=wheel,source=/wheels,target=/wheels \
    pip install "$(echo /wheels/*.whl)[gpu]" "vllm==${VLLM_VERSION}"
ENV TRITON_CACHE_DIR=/home/penstock/.cache/triton
USER penstock
CMD ["penstock-worker", "--help"]


# The lock is installed as it is: the CPU build of vLLM asks for packages that must stay out.
# PIP_EXTRA_INDEX_URL: PyTorch's index of CPU wheels, which its install page names.
FROM python AS worker-cpu
RUN apt-get update && apt-get install --yes --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*
ARG PIP_EXTRA_INDEX_URL
RUN --mount=source=.locks,target=/locks pip install --no-deps --requirement /locks/cpu.txt
RUN --mount=from=wheel,source=/wheels,target=/wheels pip install --no-deps /wheels/*.whl
USER penstock
CMD ["penstock-worker", "--help"]
