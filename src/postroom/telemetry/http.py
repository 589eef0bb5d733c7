"""The listener's pages: ``/metrics``, ``/healthz`` and ``/readyz``, as an ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..store.errors import BadInput, PostroomError, StoreUnavailable
from .metrics import Metrics

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


def metrics_app(metrics: Metrics) -> Starlette:
    """The application that shows ``metrics``.

    Only GET and HEAD are answered, and only requests that name this listener as their host.
    """

    async def show_metrics(request: Request) -> Response:
        content_type, body = await metrics.scrape(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def show_health(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def show_readiness(request: Request) -> Response:
        if await metrics.store_answers():
            return PlainTextResponse("ready\n")
        return refusal(503, StoreUnavailable("not ready", "the store does not answer", "run postroom doctor"))

    return Starlette(
        routes=[
            Route("/metrics", show_metrics, methods=["GET"]),
            Route("/healthz", show_health, methods=["GET"]),
            Route("/readyz", show_readiness, methods=["GET"]),
        ],
        middleware=[Middleware(ExactHost)],
    )


def refusal(status: int, error: PostroomError) -> JSONResponse:
    """An error as every client of postroom sees it, under an HTTP status."""
    fields = {"code": error.code, "what": error.what, "why": error.why, "do": error.do}
    return JSONResponse({"error": fields}, status_code=status)


class ExactHost:
    """Lets only requests through whose Host is this listener's own address and port.

    A page in a browser can make any name resolve to 127.0.0.1 and then read what is served there;
    the Host header is what gives it away.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_own_host(scope):
            error = BadInput(
                "the Host header does not name this listener",
                "only exact names are served, against rebinding attacks",
                "use the address that postroom printed",
            )
            await refusal(403, error)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_own_host(scope: Scope) -> bool:
    """Whether the request's one Host header is a name of the address it came in by."""
    hosts = Headers(scope=scope).getlist("host")
    address, port = scope["server"]
    bound = f"[{address}]" if ":" in address else address
    return len(hosts) == 1 and hosts[0].lower() in {f"{name}:{port}" for name in (*LOCAL_NAMES, bound)}
