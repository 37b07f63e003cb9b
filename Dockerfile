# The node and the hub: commands vserver, vnode and vclient. Build it with script/images, which fills wheels/ for the
# Python of the base image: nothing is downloaded while an image is built.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS install
COPY wheels /wheels
RUN python3 -m venv /opt/vestal \
 && /opt/vestal/bin/pip install --no-index --find-links /wheels --no-cache-dir vestal \
 && /opt/vestal/bin/pip uninstall --yes pip setuptools

FROM ${BASE_IMAGE}
COPY --from=install /opt/vestal /opt/vestal
ENV PATH=/opt/vestal/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
CMD ["vnode", "--help"]
