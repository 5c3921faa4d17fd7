"""The service as a process: a web server around the app, that ends in good order."""

import uvicorn

from .app import create_app
from .logs import log, set_up_logs
from .settings import ServerSettings


def serve(settings: ServerSettings) -> None:
    """Run the service until it is told to stop.

    Raises
    ------
    ConfigError, ModelError
        If a setting cannot be, or the model cannot be opened.
    """
    set_up_logs()
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_max_size=int(settings.max_message_kb * 1000),
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=int(settings.shutdown_s) + 1,
        ssl_certfile=settings.ssl_certfile,
        ssl_keyfile=settings.ssl_keyfile,
    )
    log("start", model=app.state.service.recognizer.fingerprint)
    uvicorn.Server(config).run()
