# Built from the project's root: docker build -f file-storage/file-storage.Dockerfile .
FROM python:3.11.18-slim-bookworm AS builder
WORKDIR /build
RUN python -m venv /opt/pixmill
COPY requirements/build.txt file-storage/requirements.txt ./
RUN /opt/pixmill/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r build.txt
COPY service-kit service-kit
COPY file-storage file-storage
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels ./service-kit ./file-storage \
 && /opt/pixmill/bin/pip install --no-cache-dir --no-deps --no-index wheels/*.whl \
 && /opt/pixmill/bin/pip uninstall --yes --quiet pip setuptools

FROM python:3.11.18-slim-bookworm
RUN groupadd --gid 1000 pixmill && useradd --uid 1000 --gid pixmill --no-create-home pixmill \
 && install --directory --owner pixmill --group pixmill /var/lib/pixmill \
 # Volumes that are mounted here belong to the user of these folders.
 && for service in postgres rabbitmq file-storage image-processor worker webhooks render; do \
      install --directory --owner pixmill --group pixmill /var/lib/pixmill-secrets/$service; \
    done
COPY --from=builder /opt/pixmill /opt/pixmill
COPY NOTICE LICENSE /usr/share/doc/pixmill/
ENV PATH=/opt/pixmill/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 LISTEN=:8000 LISTEN_LARGE=:8001 EVENTS_HOST=0.0.0.0 EVENTS_PORT=8002
WORKDIR /etc/pixmill
COPY config/access config/access
COPY config/file-storage config/file-storage
USER pixmill
VOLUME /var/lib/pixmill
EXPOSE 8000 8001 8002
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=6 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["uwsgi", "--ini", "config/file-storage/wsgi.ini"]
