# Like Dockerfile, for `vnode start --develop SOURCE`: the checkout is mounted at /vestal and comes before what is
# installed. Build it with script/images development (tag vestal:devcon).
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS install
# What changes seldom first: the engine keeps this layer until a dependency changes.
COPY wheels /wheels
RUN python3 -m venv /opt/vestal \
 && /opt/vestal/bin/pip install --no-index --no-cache-dir --find-links /wheels /wheels/*.whl
COPY own /own
RUN /opt/vestal/bin/pip install --no-index --no-deps --no-cache-dir /own/*.whl

FROM ${BASE_IMAGE}
COPY --from=install /opt/vestal /opt/vestal
ENV PATH=/opt/vestal/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/vestal \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /vestal
USER 65532:65532
CMD ["vnode", "--help"]
