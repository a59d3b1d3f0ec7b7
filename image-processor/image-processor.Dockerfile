# Built from the project's root: docker build -f image-processor/image-processor.Dockerfile .
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
RUN groupadd --gid 1000 pixmill && useradd --uid 1000 --gid pixmill --no-create-home pixmill
COPY --from=builder /opt/pixmill /opt/pixmill
COPY NOTICE LICENSE /usr/share/doc/pixmill/
ENV PATH=/opt/pixmill/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 LISTEN=:8000 EVENTS_HOST=0.0.0.0 EVENTS_PORT=8001
WORKDIR /etc/pixmill
COPY config/access config/access
COPY config/image-processor config/image-processor
# The same image sends webhooks, by another command.
COPY config/webhooks config/webhooks
USER pixmill
EXPOSE 8000 8001
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=6 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["uwsgi", "--ini", "config/image-processor/wsgi.ini"]
