# syntax=docker/dockerfile:1
# The service in one container, as a user without rights, on a root file system that may be read-only: all that it
# writes is in /data, and in /tmp for as long as it runs. See docs/operations.md.

FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.lock
COPY . .
RUN /opt/venv/bin/python -m compileall -q downie_project downloads

FROM python:3.11-slim-bookworm
# tini passes signals on, and reaps what downloads leave behind.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin downie \
 && install -d -o downie -g downie -m 0700 /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DOWNIE_DATA_DIR=/data \
    DOWNIE_HOST=0.0.0.0
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "deploy/healthcheck.py"]
ENTRYPOINT ["tini", "--", "python", "manage.py"]
CMD ["serve"]
