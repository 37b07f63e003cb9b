# The node and the hub: commands vserver, vnode and vclient. Build it with script/images, which fills wheels/ and own/ for the
# Python of the base image: nothing is downloaded while an image is built.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS install
# What changes seldom first: the engine keeps this layer until a dependency changes.
COPY wheels /wheels
RUN python3 -m venv /opt/vestal \
 && /opt/vestal/bin/pip install --no-index --no-cache-dir --find-links /wheels /wheels/*.whl
COPY own /own
RUN /opt/vestal/bin/pip install --no-index --no-deps --no-cache-dir /own/*.whl \
 && /opt/vestal/bin/pip uninstall --yes pip setuptools

FROM ${BASE_IMAGE}
COPY --from=install /opt/vestal /opt/vestal
ENV PATH=/opt/vestal/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
CMD ["vnode", "--help"]
