# OCR Distillery on a CPU: serves the recogniser that comes with it, or runs any other entry.
#   docker build -f infra/docker/cpu.Dockerfile -t ocr-distillery:cpu .
#   docker run --rm -p 8000:8000 ocr-distillery:cpu
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" ocr-distillery:cpu train.predict photos/
# --user: what is written into a mounted folder is its owner's; user 10001 may write to an unmounted /work alone.
#   docker build -f infra/docker/cpu.Dockerfile --build-arg EXTRAS=ray -t ocr-distillery:ray .
FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d AS build
WORKDIR /source
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY infra/constraints.txt infra/constraints.txt
RUN python -m venv /opt/venv
# torch first and alone: the other packages then find it installed.
RUN /opt/venv/bin/pip install -c infra/constraints.txt --no-deps --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0+cpu
RUN /opt/venv/bin/pip install -c infra/constraints.txt setuptools
COPY pyproject.toml README.md LICENSE ./
COPY ingest ingest
COPY shards shards
COPY train train
COPY distill distill
COPY configs configs
ARG EXTRAS=onnx,serve
RUN /opt/venv/bin/pip install -c infra/constraints.txt --no-build-isolation ".[$EXTRAS]"
RUN /opt/venv/bin/pip check && /opt/venv/bin/pip uninstall --yes pip

FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
RUN python -m pip uninstall --yes setuptools wheel pip && useradd --uid 10001 --home-dir /tmp reader \
    && install --directory --owner=reader /work
COPY --from=build /opt/venv /opt/venv
# Whoever --user names need be no user of the image: caches go to /tmp, and nobody is looked up.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 HOME=/tmp USER=reader
USER 10001
WORKDIR /work
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=5)"]
ENTRYPOINT ["python", "-m"]
CMD ["train.serve", "host=0.0.0.0"]
