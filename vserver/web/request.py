"""What happens around every request: its id, its log line, its metrics, the headers of its answer."""

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram

from vruntime.logs import bound

log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    # Closed for scripts of other sites; no Access-Control-Allow-Origin is ever sent.
    "Cross-Origin-Resource-Policy": "same-origin",
}


def install(app: Flask, metrics: CollectorRegistry, *, https: bool) -> None:
    seen = Counter("vestal_requests", "Requests answered", ("method", "endpoint", "status"), registry=metrics)
    took = Histogram("vestal_request_seconds", "Time to answer", ("endpoint",), registry=metrics)

    @app.before_request
    def _begin() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        g.began_s = time.perf_counter()  # how long it takes is measured, never judged: no clock to pass in
        g.bound = bound(request_id=g.request_id)
        g.bound.__enter__()

    @app.after_request
    def _end(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if https:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        if "request_id" in g:
            response.headers["X-Request-Id"] = g.request_id
            _measure(response)
        return response

    @app.teardown_request
    def _leave(_error: BaseException | None) -> None:
        if "bound" in g:
            g.pop("bound").__exit__(None, None, None)

    def _measure(response: Response) -> None:
        endpoint = request.endpoint or "none"
        duration_s = time.perf_counter() - g.began_s
        seen.labels(request.method, endpoint, response.status_code).inc()
        took.labels(endpoint).observe(duration_s)
        quiet = request.method in ("GET", "HEAD") and response.status_code < 400
        level = logging.DEBUG if quiet else logging.INFO
        if log.isEnabledFor(level):
            caller = g.principal.label if "principal" in g else "nobody"
            details = {"status": response.status_code, "ms": round(duration_s * 1000, 1), "caller": caller}
            # The path alone: what stands behind the "?" is a filter and may say more than a log should.
            log.log(level, "%s %s", request.method, request.path, extra=details)
