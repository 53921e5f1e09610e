# OCR Distillery on NVIDIA GPUs (torch's own CUDA 13; the host brings the driver and NVIDIA's container toolkit).
#   docker build -f infra/docker/gpu.Dockerfile -t ocr-distillery:gpu .
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD:/work" ocr-distillery:gpu train.teacher run.name=first data.root=data/words
#   docker run --rm --gpus all --ipc=host --user "$(id -u):$(id -g)" -v "$PWD:/work" ocr-distillery:gpu accelerate.commands.launch \
#       --multi_gpu --num_processes 2 -m train.teacher run.name=first data.root=data/words
# --user: what is written into a mounted folder is its owner's; user 10001 may write to an unmounted /work alone.
# No DeepSpeed: it builds its kernels where it runs, with a compiler that this image does not have.
FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d AS build
WORKDIR /source
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY infra/constraints.txt infra/constraints.txt
RUN python -m venv /opt/venv
# torch first and alone: the other packages then find it installed.
RUN /opt/venv/bin/pip install -c infra/constraints.txt torch==2.13.0
RUN /opt/venv/bin/pip install -c infra/constraints.txt setuptools
COPY pyproject.toml README.md LICENSE ./
COPY ingest ingest
COPY shards shards
COPY train train
COPY distill distill
COPY configs configs
ARG EXTRAS=dali,onnx,serve,tensorboard
RUN /opt/venv/bin/pip install -c infra/constraints.txt --no-build-isolation ".[$EXTRAS]"
RUN /opt/venv/bin/pip check && /opt/venv/bin/pip uninstall --yes pip

FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
RUN python -m pip uninstall --yes setuptools wheel pip && useradd --uid 10001 --home-dir /tmp reader \
    && install --directory --owner=reader /work
COPY --from=build /opt/venv /opt/venv
# Whoever --user names need be no user of the image: caches go to /tmp, and nobody is looked up.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 HOME=/tmp USER=reader \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001
WORKDIR /work
ENTRYPOINT ["python", "-m"]
CMD ["train.teacher", "--help"]
