"""The pages of the server: one completes the typed text, and one shows alarms.

The HTML comes from templates (`onward.html`). Scripts and styles are the files in `static/`, and those in
`onward/static` that the pages share with the HTML reports.
"""

from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onward.html import render

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from other sites, and nothing inline."""

_HERE = Path(__file__).parent
_SHARED = ("onward", "static")  # scripts and styles of other pages too
_HEADERS = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-cache"}


def page_routes(*, writes: bool, watches: bool) -> list[BaseRoute]:
    """Returns the routes of the pages and of their files.

    Args:
        writes: whether models are served. If not, "/" leads to the page of alarms.
        watches: whether detectors are served, so that there is a page of alarms.
    """
    protected = [Middleware(PageHeaders)]

    def page(path: str, template: str) -> Route:
        content = render(template)

        async def show(_: Request) -> Response:
            return HTMLResponse(content)

        return Route(path, show, middleware=protected)

    routes: list[BaseRoute] = []
    if watches:
        files = StaticFiles(directory=_HERE / "static" / "watch")
        routes += [page("/watch", "alarms_page.html.j2"), Mount("/page/watch", files, middleware=protected)]
    files = StaticFiles(directory=_HERE / "static" / "page", packages=[_SHARED])
    return [
        *routes,
        page("/", "typing_page.html.j2") if writes else Route("/", _redirect_to_alarms, middleware=protected),
        Mount("/page", files, middleware=protected),
    ]


class PageHeaders:
    """Adds the headers of pages to every response of an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)


async def _redirect_to_alarms(_: Request) -> Response:
    return RedirectResponse("/watch")
