"""The deployed sites: each environment has a separate loopback port with the files of its LIVE deployment.

With a separate port, root-relative links work. Sites beyond ``site_listeners`` are paths on the main port.
"""

import base64
import hmac
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web

from launch_async.emulator.clock import Clock, milliseconds
from launch_async.emulator.options import IN_MEMORY, EmulatorOptions
from launch_async.emulator.shapes import as_object
from launch_async.emulator.state import Deployment, Environment, ServerLine, State
from launch_async.emulator.uploads.storage import StoredFile

PLACEHOLDER = (
    "<!doctype html><title>{name}</title><h1>{name}</h1><p>Deployment {number} has no static files to serve here.</p>\n"
)


class Sites:
    """Opens listeners for environments, and returns the files of their LIVE deployments."""

    def __init__(self, options: EmulatorOptions, state: State, clock: Clock) -> None:
        self.main_address = IN_MEMORY if options.port is None else ""
        self._options = options
        self._state = state
        self._clock = clock
        self._runner: web.ServerRunner | None = None
        self._listeners: dict[str, web.TCPSite] = {}
        self._by_port: dict[int, Environment] = {}

    async def start(self, server: web.Server) -> None:
        """Prepare to open listeners. ``server`` handles their requests."""
        self._runner = web.ServerRunner(server)
        await self._runner.setup()

    async def stop(self) -> None:
        """Close every listener."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._listeners.clear()
        self._by_port.clear()

    async def open(self, environment: Environment) -> None:
        """Open a listener for an environment, and set its address."""
        if environment.uid in self._listeners:
            return
        if self._runner is None or len(self._listeners) >= self._options.site_listeners:
            environment.address = self.fallback_address(environment)
            return
        listener = web.TCPSite(self._runner, self._options.host, 0, ssl_context=self._options.tls)
        self._listeners[environment.uid] = listener
        await listener.start()
        port = listener.port
        self._by_port[port] = environment
        environment.address = netloc(self._options.host, port)

    async def close(self, environment: Environment) -> None:
        """Close the listener of an environment's site."""
        listener = self._listeners.pop(environment.uid, None)
        if listener is not None:
            self._by_port.pop(listener.port, None)
            await listener.stop()

    def fallback_address(self, environment: Environment) -> str:
        """Return the address of a site that is a path on the main port."""
        return f"{self.main_address}/sites/{environment.uid}"

    def on_port(self, port: int) -> Environment | None:
        """Return the environment whose site has a port; None if there is none."""
        return self._by_port.get(port)

    def answer(self, request: web.BaseRequest, environment: Environment | None, prefix: str = "") -> web.StreamResponse:
        """Return a page of a site. ``prefix`` is the part of the path before the site's own path."""
        live = None if environment is None or environment.deleted else self._shown(environment)
        if live is None:
            return _page(404, "<!doctype html><title>Not found</title><h1>This site does not exist yet</h1>\n")
        if self._is_cold(live):
            return _page(
                503, "<!doctype html><title>Not yet</title><h1>The site is not available everywhere yet</h1>\n"
            )
        if not _is_authorized(live.settings, request.headers.get("Authorization")):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="site"'})
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        response = self._file(live, request, prefix)
        if live.server_rendered:
            line = f"{request.method} {request.path.removeprefix(prefix) or '/'} {response.status}"
            live.add_server_line(ServerLine(milliseconds(self._clock.now()), "server", line))
        return response

    def _shown(self, environment: Environment) -> Deployment | None:
        """Return the deployment that visitors see: the LIVE one, or the previous one while caches still contain it."""
        live = environment.live
        if live is None or self._clock.now() >= live.updated_at + self._options.site_stale_seconds:
            return live
        before = (one for one in environment.deployments.values() if one.status in ("ARCHIVED", "DEPLOYED"))
        return max(before, key=lambda one: one.updated_at, default=live)

    def _is_cold(self, shown: Deployment) -> bool:
        return shown.status == "LIVE" and self._clock.now() < shown.updated_at + self._options.site_cold_seconds

    def _file(self, live: Deployment, request: web.BaseRequest, prefix: str) -> web.StreamResponse:
        path = request.rel_url.raw_path.removeprefix(prefix)
        if live.folder is None:
            return _page(200, PLACEHOLDER.format(name=_escaped(live.environment.name), number=live.number))
        root = output_folder(live.folder, live.output_directory)
        if root is None:
            return _page(200, PLACEHOLDER.format(name=_escaped(live.environment.name), number=live.number))
        found = find(root, path)
        if found is None:
            missing = root / "404.html"
            return (
                _file_response(missing, 404) if missing.is_file() else _page(404, "<!doctype html><h1>Not found</h1>\n")
            )
        if found.is_dir():
            return web.Response(status=301, headers={"Location": f"{prefix}{path}/"})
        return _file_response(found, 200)


def netloc(host: str, port: int) -> str:
    """Return host and port for a URL, with IPv6 in brackets, and loopback instead of an address of all interfaces."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - nothing is bound here
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def output_folder(folder: Path, directory: str) -> Path | None:
    """Return the folder of the built site; None if it does not exist or is outside of ``folder``."""
    if "\0" in directory:
        return None
    chosen = (folder / directory.lstrip("/")).resolve()
    return chosen if chosen.is_relative_to(folder.resolve()) and chosen.is_dir() else None


def find(root: Path, raw_path: str) -> Path | None:
    """Return the file for a path; the folder if the path lacks only the slash at its end; otherwise None.

    ``/about/`` is ``about/index.html``. ``/about`` is the file ``about``, or ``about.html`` if there is no such file.
    """
    parts = [unquote(part) for part in raw_path.split("/") if part]
    if any("\0" in part for part in parts):
        return None
    path = root.joinpath(*parts)
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            return None
        if path.is_dir():
            index = path / "index.html"
            if not index.is_file():
                return None
            return index if raw_path.endswith("/") or not parts else path
        if path.is_file() and not raw_path.endswith("/"):
            return path
        page = path.with_name(f"{path.name}.html") if parts else path
        return page if page.is_file() else None
    except OSError:
        return None


def _is_authorized(settings: Mapping[str, object], authorization: str | None) -> bool:
    """Return whether a visitor's credentials match the password protection of the environment."""
    protection = as_object(settings.get("passwordProtection"))
    if protection is None or not protection.get("isEnabled"):
        return True
    pair = f"{protection.get('username', '')}:{protection.get('password', '')}"
    expected = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return hmac.compare_digest((authorization or "").encode("utf-8", "replace"), expected.encode())


def _file_response(file: Path, status: int) -> StoredFile:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind in ("application/javascript", "application/json"):
        kind = f"{kind}; charset=utf-8"
    return StoredFile(file, status=status, headers={"Content-Type": kind, "Cache-Control": "no-cache"})


def _page(status: int, text: str) -> web.Response:
    return web.Response(status=status, body=text.encode("utf-8", "replace"), content_type="text/html", charset="utf-8")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
