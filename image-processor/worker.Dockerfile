# Built from the project's root: docker build -f image-processor/worker.Dockerfile .
FROM python:3.11.18-slim-bookworm AS builder
WORKDIR /build
RUN python -m venv /opt/pixmill
COPY requirements/build.txt image-processor/requirements.txt ./
RUN /opt/pixmill/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r build.txt
COPY service-kit service-kit
COPY image-processor image-processor
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels ./service-kit ./image-processor \
 && /opt/pixmill/bin/pip install --no-cache-dir --no-deps --no-index wheels/*.whl \
 && /opt/pixmill/bin/pip uninstall --yes --quiet pip setuptools

FROM python:3.11.18-slim-bookworm
# Fonts for text marks, 20 MB: most alphabets and symbols, Chinese, Japanese, Korean, emoji. The docs say how to add others.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends fontconfig-config fonts-dejavu-core fonts-wqy-microhei fonts-noto-color-emoji \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
RUN groupadd --gid 1000 pixmill && useradd --uid 1000 --gid pixmill --no-create-home pixmill \
 && install --directory --owner pixmill --group pixmill /var/lib/pixmill-scratch /var/lib/pixmill-renders
COPY --from=builder /opt/pixmill /opt/pixmill
COPY NOTICE LICENSE /usr/share/doc/pixmill/
# MALLOC_ARENA_MAX: fewer malloc arenas, so less memory is requested and returned for each image.
ENV PATH=/opt/pixmill/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2 TMPDIR=/var/lib/pixmill-scratch
# Build the cache of these fonts now; the worker keeps that of mounted fonts in its scratch folder.
RUN python -c "import pyvips; pyvips.Image.text('x')"
WORKDIR /etc/pixmill
COPY config/worker config/worker
# For the render service, which is this image with another command.
COPY config/access config/access
COPY config/render config/render
USER pixmill
VOLUME /var/lib/pixmill-scratch
# The relay touches this file while the database and the broker answer.
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=6 \
  CMD ["find", "/var/lib/pixmill-scratch/alive", "-newermt", "-30 seconds"]
CMD ["celery", "--quiet", "--app", "image_processor.worker", "worker", "--without-gossip", "--without-mingle"]
